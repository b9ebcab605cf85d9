"""What a single value means to a field: a number, a text, a moment, a key; and whether it is a
single value, rather than several or a condition."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import bson
from bson import Binary, Decimal128, ObjectId, Regex
from bson.errors import BSONError
from mongoengine.base import BaseDocument
from mongoengine.base.fields import GeoJsonBaseField
from mongoengine.fields import (
    BinaryField,
    BooleanField,
    CachedReferenceField,
    ComplexDateTimeField,
    DateTimeField,
    Decimal128Field,
    DecimalField,
    DictField,
    DynamicField,
    EnumField,
    FileField,
    FloatField,
    GenericReferenceField,
    GeoPointField,
    IntField,
    ListField,
    ObjectIdField,
    SequenceField,
    StringField,
    UUIDField,
)

from datalayer.documents.fields.bson_limits import ENCODING, HIGHEST, LOWEST
from datalayer.documents.fields.fields import RawDictField
from datalayer.documents.fields.refusals import Misfit, misfit

PATTERNS = (re.Pattern, Regex)
# Of these BSON holds every value.
_SURELY_HELD = frozenset({bool, float, ObjectId, Decimal128})
Converter = Callable[[Any, Any], Any]  # given a field and a value
_MOST_DIGITS = 20


def is_many(value: Any) -> bool:
    """Whether ``value`` holds values, as the list of ``in`` does: no text, mapping or document."""
    single = (str, bytes, bytearray, Mapping, BaseDocument)
    return isinstance(value, Iterable) and not isinstance(value, single)


def is_condition(value: Any) -> bool:
    """Whether ``value`` is made of MongoDB's operators."""
    return isinstance(value, Mapping) and bool(value) and all(_is_operator(key) for key in value)


def _is_operator(key: Any) -> bool:
    return isinstance(key, str) and key.startswith("$")


def held(value: Any) -> Any:
    """``value``, if BSON can hold it."""
    if type(value) in _SURELY_HELD:
        return value
    try:
        bson.encode({"": value}, codec_options=ENCODING)
    except (BSONError, OverflowError, RecursionError, TypeError, ValueError):
        raise Misfit(f"is a {type(value).__name__} that BSON can't hold") from None
    return value


def holds_text(field: Any) -> bool:
    """Whether ``field``, or a member of it, may be stored as text, so that a pattern fits it."""
    if isinstance(field, (ListField, DictField)):
        return field.field is None or holds_text(field.field)
    if isinstance(field, DecimalField):
        return bool(field.force_string)
    if isinstance(field, UUIDField):
        return not field._binary
    if isinstance(field, SequenceField):
        return field.value_decorator is not int
    return not isinstance(field, _NEVER_TEXT)


def is_as_stored(field: Any, value: Any) -> bool:
    """Whether ``value`` is surely of the form in which it is stored: most values are."""
    kind = type(value)
    if _STORED_AS.get(type(field)) is not kind:
        return False
    if kind is str:
        return bool(value.isascii())  # others may not be Unicode
    if kind is datetime:
        return value.tzinfo is None or value.tzinfo is UTC  # others may lie before the year 1
    return kind is not int or LOWEST <= value <= HIGHEST


def _whole(field: Any, value: Any) -> Any:
    if isinstance(value, Decimal) and value.adjusted() > _MOST_DIGITS:
        raise misfit(field, value)  # int() takes minutes to write out 1e999999
    number = int(value)
    if not isinstance(value, (str, bytes)) and number != value:
        raise misfit(field, value)
    return number


def _number(field: Any, value: Any) -> Any:
    return float(value)


def _truth(field: Any, value: Any) -> Any:
    if not isinstance(value, (bool, int, float)) or value not in (0, 1):
        raise misfit(field, value)
    return bool(value)


def _text(field: Any, value: Any) -> Any:
    text = field.to_python(value)
    if not isinstance(text, str):
        raise misfit(field, value)
    return text


def _moment(field: Any, value: Any) -> Any:
    if field.to_mongo(value) is None:
        raise misfit(field, value)
    return field.to_python(value)


def _precise_moment(field: Any, value: Any) -> Any:
    moment = field.to_python(value)
    field._convert_from_datetime(moment)
    return moment


def _decimal(field: Any, value: Any) -> Any:
    if isinstance(value, Decimal128):
        value = value.to_decimal()
    if isinstance(value, str) and type(field).to_python is Decimal128Field.to_python:
        value = Decimal(value)  # of which MongoEngine makes a NaN where it is no number
    number = field.to_python(value)
    if not isinstance(number, Decimal):
        raise misfit(field, value)
    return number


def _uuid(field: Any, value: Any) -> Any:
    return value if isinstance(value, UUID) else UUID(str(value))


def _member(field: Any, value: Any) -> Any:
    enum: type[Enum] = field._enum_cls
    return value if isinstance(value, enum) else enum(value)


def _bytes(field: Any, value: Any) -> Any:
    if not isinstance(value, (bytes, bytearray, Binary)):
        raise misfit(field, value)
    return bytes(value) if isinstance(value, bytearray) else value


def _object_id(field: Any, value: Any) -> Any:
    return value if isinstance(value, ObjectId) else ObjectId(value)


def _numbered(field: Any, value: Any) -> Any:
    decorate = field.value_decorator
    if isinstance(decorate, type):
        if isinstance(value, decorate) and not isinstance(value, bool):
            return value
        return _whole(field, value) if decorate is int else decorate(value)
    return decorate(value) if isinstance(value, int) else value


def _mapping_as_it_is(field: Any, value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise Misfit("takes a mapping")
    return value


def _as_given(field: Any, value: Any) -> Any:
    return value


def _place(field: Any, value: Any) -> Any:
    field.validate(value)
    if isinstance(value, Mapping):
        return {"type": value["type"], "coordinates": value["coordinates"]}
    return list(value)


# By the class of a field; of those that hold other values see ``conversion``.
SINGLE: Mapping[type, Converter] = {
    BinaryField: _bytes,
    BooleanField: _truth,
    ComplexDateTimeField: _precise_moment,
    DateTimeField: _moment,
    Decimal128Field: _decimal,
    DecimalField: _decimal,
    DynamicField: _as_given,
    EnumField: _member,
    FileField: _as_given,
    FloatField: _number,
    GeoJsonBaseField: _place,
    GeoPointField: _place,
    IntField: _whole,
    ObjectIdField: _object_id,
    RawDictField: _mapping_as_it_is,
    SequenceField: _numbered,
    StringField: _text,
    UUIDField: _uuid,
}

# By the exact class of a field, the exact type of values that it neither converts nor refuses.
_STORED_AS: Mapping[type, type] = {
    BooleanField: bool,
    DateTimeField: datetime,
    FloatField: float,
    IntField: int,
    ObjectIdField: ObjectId,
    StringField: str,
}
_NEVER_TEXT = (
    BinaryField,
    BooleanField,
    CachedReferenceField,
    DateTimeField,
    Decimal128Field,
    FloatField,
    GenericReferenceField,
    GeoJsonBaseField,
    GeoPointField,
    IntField,
    ObjectIdField,
)
