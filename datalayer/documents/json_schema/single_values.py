"""Fields that hold one value: its type in the database, its limits and the choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import bson
from bson import Decimal128, ObjectId
from bson.errors import BSONError
from mongoengine.base import BaseField
from mongoengine.base.fields import ObjectIdField
from mongoengine.errors import ValidationError
from mongoengine.fields import (
    BinaryField,
    BooleanField,
    ComplexDateTimeField,
    DateTimeField,
    Decimal128Field,
    DecimalField,
    EmailField,
    EnumField,
    FileField,
    FloatField,
    IntField,
    SequenceField,
    StringField,
    URLField,
    UUIDField,
)

from datalayer.documents.fields import (
    CurrencyField,
    MoneyField,
    NormalizedEmailField,
    RawDictField,
)
from datalayer.documents.fields.bson_limits import ENCODING
from datalayer.documents.fields.money import CURRENCIES
from datalayer.documents.fields.refusals import UNFIT
from datalayer.documents.json_schema.patterns import email_pattern, translated, url_pattern
from datalayer.documents.json_schema.place import Place

Schema = dict[str, Any]

WHOLE = ["int", "long"]
NUMBER = ["double", "int", "long"]
_BSON_TYPES: Mapping[type, list[str]] = {
    str: ["string"],
    bool: ["bool"],
    int: WHOLE,
    float: NUMBER,
    datetime: ["date"],
    ObjectId: ["objectId"],
}
_NO_NUMBERS = [Decimal128("NaN"), Decimal128("Infinity"), Decimal128("-Infinity")]
_UUID = r"^(urn:)?(uuid:)?\{*(-*[0-9A-Fa-f]){32}-*\}*$"
_NUMBER_TEXT = r"^-?([0-9]+(\.[0-9]+)?(E-[0-9]+)?|NaN)$"
_LARGEST = 2**63 - 1


def _of_type(name: str) -> Callable[[Any, Place], Schema]:
    return lambda field, place: {"bsonType": name}


def _text(field: Any, place: Place) -> Schema:
    schema: Schema = {"bsonType": "string"}
    if field.min_length is not None:
        schema["minLength"] = field.min_length
    if field.max_length is not None:
        schema["maxLength"] = field.max_length
    if field.regex is not None:
        _add_pattern(schema, translated(field.regex), "regex", place)
    return schema


def _add_pattern(schema: Schema, pattern: str | None, rule: str, place: Place) -> None:
    if pattern is None:
        place.leave_out(rule, "the server's regular expressions have no equal of this pattern")
        return
    if r"\p{" in pattern:
        place.leave_out("Unicode", "letters and digits that are newer than the server's Unicode")
    if "pattern" in schema:
        schema["allOf"] = [{"pattern": pattern}]
    else:
        schema["pattern"] = pattern


def _url(field: Any, place: Place) -> Schema:
    schema: Schema = {"bsonType": "string"}  # it looks at neither lengths nor the regex
    _add_pattern(schema, url_pattern(field), "URL", place)
    return schema


def _email(field: Any, place: Place) -> Schema:
    schema = _text(field, place)
    _add_pattern(schema, email_pattern(field), "e-mail address", place)
    place.leave_out("domain", "whether a domain with letters of other scripts can be encoded")
    if field.allow_ip_domain:
        place.leave_out("domain", "whether what stands in brackets is an address")
    if isinstance(field, NormalizedEmailField):
        place.leave_out("spelling", "whether the address is stored in its normal spelling")
    return schema


def _currency(field: Any, place: Place) -> Schema:
    return {**_text(field, place), "enum": sorted(CURRENCIES)}


def _uuid(field: Any, place: Place) -> Schema:
    if field._binary:
        place.leave_out("UUID", "whether binary data is of a UUID's subtype and length")
        return {"bsonType": "binData"}
    return {"bsonType": "string", "pattern": _UUID}


def _limited(schema: Schema, field: Any, place: Place, stored: Callable[[Any], Any]) -> Schema:
    for keyword, limit in (("minimum", field.min_value), ("maximum", field.max_value)):
        if limit is None:
            continue
        try:
            value = stored(limit)
        except ArithmeticError:
            continue  # it is infinite, which rounding to decimal places doesn't take
        if isinstance(value, int) and abs(value) > _LARGEST:
            place.leave_out(keyword, "a limit greater than any whole number of the server's")
            continue
        schema[keyword] = value
        if schema["bsonType"] == NUMBER:
            place.leave_out("NaN", "validate() lets it pass the limits")
    return schema


def _as_bson(limit: Any) -> Any:
    return Decimal128(limit) if isinstance(limit, Decimal) else limit


def _whole(field: Any, place: Place) -> Schema:
    return _limited({"bsonType": list(WHOLE)}, field, place, _as_bson)


def _float(field: Any, place: Place) -> Schema:
    return _limited({"bsonType": list(NUMBER)}, field, place, float)


def _decimal(field: Any, place: Place) -> Schema:
    if field.force_string:
        place.leave_out("number", "the limits and decimal places of a number stored as text")
        return {"bsonType": "string", "pattern": _NUMBER_TEXT}
    place.leave_out("precision", "the number of decimal places")
    return _limited({"bsonType": list(NUMBER)}, field, place, field.to_mongo)


def _decimal128(field: Any, place: Place) -> Schema:
    stored = partial(Decimal128Field.to_mongo, field)  # that of money takes no float
    return _limited({"bsonType": "decimal"}, field, place, stored)


def _money(field: Any, place: Place) -> Schema:
    return {**_decimal128(field, place), "not": {"enum": list(_NO_NUMBERS)}}


def _complex_datetime(field: Any, place: Place) -> Schema:
    place.leave_out("date", "whether the month has that day")
    parts = ["[0-9]{1,4}", "(0[1-9]|1[0-2])", "(0[1-9]|[12][0-9]|3[01])", "([01][0-9]|2[0-3])"]
    parts += ["[0-5][0-9]", "[0-5][0-9]", "[0-9]{6}"]
    separator = "".join(rf"\x{{{ord(each):x}}}" for each in field.separator)
    return {"bsonType": "string", "pattern": f"^{separator.join(parts)}$"}


def _enum(field: Any, place: Place) -> Schema:
    kinds = {type(each.value) for each in field.choices}
    names = {name for kind in kinds for name in _BSON_TYPES.get(kind, ())}
    return {"bsonType": sorted(names)} if kinds <= _BSON_TYPES.keys() else {}


def _sequence(field: Any, place: Place) -> Schema:
    known = {int: WHOLE, str: ["string"], float: NUMBER}.get(field.value_decorator)
    if known is None:
        place.leave_out("value_decorator", "what a function of yours makes of the number")
        return {}
    place.leave_out("sequence", "validate() takes any value for the number")
    return {"bsonType": list(known)}


def _binary(field: Any, place: Place) -> Schema:
    if field.max_bytes is not None:
        place.leave_out("max_bytes", "the length of binary data")
    return {"bsonType": "binData"}


def _mapping_as_it_is(field: Any, place: Place) -> Schema:
    if field.max_bytes is not None:
        place.leave_out("max_bytes", "the size of a mapping")
    return {"bsonType": "object"}


SINGLE_VALUES: Mapping[type, Callable[[Any, Place], Schema]] = {
    BinaryField: _binary,
    BooleanField: _of_type("bool"),
    ComplexDateTimeField: _complex_datetime,
    CurrencyField: _currency,
    DateTimeField: _of_type("date"),
    Decimal128Field: _decimal128,
    DecimalField: _decimal,
    EmailField: _email,
    EnumField: _enum,
    FileField: _of_type("objectId"),
    FloatField: _float,
    IntField: _whole,
    MoneyField: _money,
    ObjectIdField: _of_type("objectId"),
    RawDictField: _mapping_as_it_is,
    SequenceField: _sequence,
    StringField: _text,
    URLField: _url,
    UUIDField: _uuid,
}
"""By the class: a function of a field and its place that gives the schema of its values."""


def choices_of(field: Any) -> list[Any]:
    """The values that a field's ``choices`` name, without the words that they are shown by."""
    choices = list(field.choices)
    if choices and isinstance(choices[0], (list, tuple)):
        return [value for value, _ in choices]
    return choices


def stored_choices(field: Any, storing: BaseField, place: Place) -> Schema:
    """The ``enum`` of the choices of ``field``, each once, as ``storing`` stores them; nothing
    where one of them can't be stored."""
    distinct: list[Any] = []
    try:
        for value in map(storing.to_mongo, choices_of(field)):
            if not any(_is_equal(value, each) for each in distinct):
                distinct.append(value)
        bson.encode({"": distinct}, codec_options=ENCODING)
    except (*UNFIT, ArithmeticError, AttributeError, BSONError, ValidationError):
        place.leave_out("choices", "how one of them is stored is not known")
        return {}
    return {"enum": distinct}


def _is_equal(one: Any, other: Any) -> bool:
    """As the server compares: numbers by what they are worth, and no boolean is a number."""
    if isinstance(one, Decimal128) and isinstance(other, Decimal128):
        return bool(one.to_decimal() == other.to_decimal())
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
