"""What is said where a field can't take a value: its name and what it takes, never the value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson.errors import BSONError
from mongoengine.base.fields import GeoJsonBaseField
from mongoengine.errors import NotRegistered, ValidationError
from mongoengine.fields import (
    BinaryField,
    BooleanField,
    CachedReferenceField,
    ComplexDateTimeField,
    DateTimeField,
    Decimal128Field,
    DecimalField,
    EmbeddedDocumentField,
    EnumField,
    FloatField,
    GenericEmbeddedDocumentField,
    GenericLazyReferenceField,
    GenericReferenceField,
    GeoPointField,
    IntField,
    LazyReferenceField,
    ObjectIdField,
    ReferenceField,
    StringField,
    UUIDField,
)

UNFIT = (
    ArithmeticError,
    AttributeError,
    BSONError,
    KeyError,
    NotImplementedError,
    NotRegistered,
    TypeError,
    ValidationError,
    ValueError,
)
"""What fields raise for a value that they can't take."""
_TAKES: Mapping[type, str] = {
    BinaryField: "bytes",
    BooleanField: "true or false",
    CachedReferenceField: "a document or its key",
    ComplexDateTimeField: "a datetime",
    DateTimeField: "a date or a point in time",
    Decimal128Field: "a decimal number, written with a point",
    DecimalField: "a decimal number, written with a point",
    EmbeddedDocumentField: "an embedded document of its class",
    EnumField: "a member of its enumeration, or the value of one",
    FloatField: "a number",
    GenericEmbeddedDocumentField: "an embedded document",
    GenericLazyReferenceField: "a document",
    GenericReferenceField: "a document",
    GeoJsonBaseField: "coordinates of its shape",
    GeoPointField: "a longitude and a latitude",
    IntField: "a whole number",
    LazyReferenceField: "a document or its key",
    ObjectIdField: "an ObjectId, or its 24 hexadecimal digits",
    ReferenceField: "a document or its key",
    StringField: "text",
    UUIDField: "a UUID",
}


class Misfit(Exception):
    """A field can't take a value; the text says why."""


def misfit(field: Any, value: Any) -> Misfit:
    """Why ``field`` can't take ``value``, in the field's own words where those don't show it."""
    if tells_well(field):
        field.validate(value)
    return Misfit(expectation(field, value))


def tells_well(field: Any) -> bool:
    """Whether the field's own errors say what was wrong without showing the value."""
    return type(field).__module__.startswith("datalayer.")


def expectation(field: Any, value: Any) -> str:
    """What ``field`` takes, and of what type the value was that it can't."""
    for kind in type(field).__mro__:
        if kind in _TAKES:
            return f"takes {_TAKES[kind]}; this {type(value).__name__} is none"
    return f"{type(field).__name__} can't take this {type(value).__name__}"


def refusal(field: Any, reason: str, name: str | None = None) -> ValidationError:
    """The error that tells why ``field``, which the caller knows as ``name``, can't take a value.

    Like that of ``save()`` it has the name in ``errors``, once there is one: the field of a
    list's members has none.
    """
    name = name or field.name or field.db_field
    if name is None:
        return ValidationError(reason)
    errors = {name: ValidationError(reason, field_name=name)}
    return ValidationError("a value doesn't fit ", errors=errors, field_name=name)


def reason_of(error: ValidationError) -> str:
    """Why a value was refused, without the name of the field."""
    named = (error.errors or {}).get(error.field_name)
    return str(named.message if isinstance(named, ValidationError) else error.message)
