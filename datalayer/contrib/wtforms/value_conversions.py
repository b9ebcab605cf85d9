"""The form's fields for single values: texts, numbers, times, places, JSON."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any
from uuid import UUID

from bson import Decimal128, ObjectId
from mongoengine.fields import (
    EmbeddedDocumentField,
    FileField,
    GenericEmbeddedDocumentField,
    GenericReferenceField,
    LazyReferenceField,
    ReferenceField,
)
from wtforms import fields, validators

from datalayer.contrib.wtforms.conversions import LeftOut, Options, converts, without
from datalayer.contrib.wtforms.fields import choices, text
from datalayer.contrib.wtforms.fields.converted import ConvertedField, NumberField, json_field
from datalayer.contrib.wtforms.fields.places import PlaceField
from datalayer.contrib.wtforms.fields.times import PointInTimeField

_OF_PARTS = (
    EmbeddedDocumentField,
    FileField,
    GenericEmbeddedDocumentField,
    GenericReferenceField,
    LazyReferenceField,
    ReferenceField,
)


class ValueConversions:
    """The part of a converter for single values."""

    # Texts

    @converts("StringField")
    def conv_String(self, model: Any, field: Any, kwargs: Options) -> Any:
        """One line where a length is limited, otherwise several; or as the hints say."""
        is_password, is_long = kwargs.pop("password", False), kwargs.pop("textarea", None)
        if is_password:
            return text.PasswordField(**kwargs)
        if field.max_length is None if is_long is None else is_long:
            return text.TextAreaField(**kwargs)
        return text.StringField(**kwargs)

    @converts("EmailField")
    def conv_Email(self, model: Any, field: Any, kwargs: Options) -> Any:
        """An address, which the model checks."""
        return text.EmailField(**kwargs)

    @converts("URLField")
    def conv_URL(self, model: Any, field: Any, kwargs: Options) -> Any:
        """An address, which the model checks."""
        return text.URLField(**kwargs)

    @converts("CurrencyField")
    def conv_Currency(self, model: Any, field: Any, kwargs: Options) -> Any:
        """Three letters."""
        return text.StringField(**kwargs)

    @converts("ObjectIdField")
    def conv_ObjectId(self, model: Any, field: Any, kwargs: Options) -> Any:
        """The 24 digits."""
        return ConvertedField(
            **{"convert": ObjectId, "invalid_message": "Not a valid id.", **kwargs}
        )

    @converts("UUIDField")
    def conv_UUID(self, model: Any, field: Any, kwargs: Options) -> Any:
        """The 32 digits."""
        return ConvertedField(
            **{"convert": UUID, "invalid_message": "Not a valid UUID.", **kwargs}
        )

    # Numbers and times

    @converts("IntField", "LongField")
    def conv_Int(self, model: Any, field: Any, kwargs: Options) -> Any:
        """A whole number."""
        return fields.IntegerField(**kwargs)

    @converts("FloatField")
    def conv_Float(self, model: Any, field: Any, kwargs: Options) -> Any:
        """A number."""
        return NumberField(**{"convert": _finite, "show": repr, **_NUMBER, **kwargs})

    @converts("DecimalField", "Decimal128Field")
    def conv_Decimal(self, model: Any, field: Any, kwargs: Options) -> Any:
        """A number, exactly as it is written."""
        kwargs = without(kwargs, "places", "rounding")
        return NumberField(**{"convert": _decimal, "show": _plain, **_NUMBER, **kwargs})

    @converts("BooleanField")
    def conv_Boolean(self, model: Any, field: Any, kwargs: Options) -> Any:
        """A box to tick; with ``null=True``, or ``choices`` of its own to show, a choice of yes,
        no and nothing."""
        if field.null or "choices" in kwargs:
            return choices.yes_or_no(**kwargs)
        kwargs["validators"] = [each for each in kwargs["validators"] if not _asks(each)]
        return fields.BooleanField(**kwargs)

    @converts("DateTimeField")
    def conv_DateTime(self, model: Any, field: Any, kwargs: Options) -> Any:
        """A date and a time of day, in UTC or the argument ``timezone``."""
        return PointInTimeField(**kwargs)

    @converts("ComplexDateTimeField")
    def conv_ComplexDateTime(self, model: Any, field: Any, kwargs: Options) -> Any:
        """The same, without a zone, as that field holds it."""
        return PointInTimeField(**{"is_aware": False, **kwargs})

    @converts("DateField")
    def conv_Date(self, model: Any, field: Any, kwargs: Options) -> Any:
        """A date."""
        return fields.DateField(**kwargs)

    # What is written as JSON, and places

    @converts("DictField", "DynamicField", "RawDictField")
    def conv_Dict(self, model: Any, field: Any, kwargs: Options) -> Any:
        """JSON."""
        if isinstance(getattr(field, "field", None), _OF_PARTS):
            raise LeftOut("its members are no plain values")
        # flask-mongoengine's field asked whether an empty text is null; the model says so here.
        return json_field(field.to_mongo, **without(kwargs, "null"))

    @converts("GeoJsonBaseField")
    def conv_GeoJson(self, model: Any, field: Any, kwargs: Options) -> Any:
        """GeoJSON, or its coordinates alone."""
        return json_field(field.to_mongo, **kwargs)

    @converts("GeoPointField", "PointField")
    def conv_GeoLocation(self, model: Any, field: Any, kwargs: Options) -> Any:
        """Longitude and latitude."""
        return PlaceField(**kwargs)


_NUMBER = {"invalid_message": "Not a valid number."}


def _asks(validator: Any) -> bool:
    """Whether it asks for a value: a box that isn't ticked has one."""
    return isinstance(validator, (validators.InputRequired, validators.Optional))


def _finite(written: str) -> float:
    number = float(written)
    if number - number != 0:
        raise ValueError("no finite number")
    return number


def _decimal(written: str) -> Decimal:
    with decimal.localcontext() as context:
        context.traps[decimal.InvalidOperation] = True
        number = Decimal(written)
    if not number.is_finite():
        raise ValueError("no finite number")
    return number


def _plain(value: Any) -> str:
    number = value.to_decimal() if isinstance(value, Decimal128) else value
    return format(number, "f") if abs(number.adjusted()) < 40 else str(number)
