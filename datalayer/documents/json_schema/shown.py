"""Documents as an API shows them, as JSON Schema 2020-12.

By the attributes' names, without the fields marked secret, and with values as ``from_input`` takes
them: keys, points in time, amounts and UUIDs are strings. A class that is embedded stands once in
``$defs``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from enum import Enum
from typing import Any

from mongoengine.base.fields import GeoJsonBaseField, ObjectIdField
from mongoengine.errors import NotRegistered
from mongoengine.fields import (
    BinaryField,
    BooleanField,
    CachedReferenceField,
    ComplexDateTimeField,
    DateField,
    DateTimeField,
    Decimal128Field,
    DecimalField,
    DictField,
    EmailField,
    EmbeddedDocumentField,
    EnumField,
    FileField,
    FloatField,
    GenericEmbeddedDocumentField,
    GenericReferenceField,
    GeoPointField,
    IntField,
    LazyReferenceField,
    ListField,
    ReferenceField,
    SequenceField,
    StringField,
    URLField,
    UUIDField,
)

from datalayer.documents.fields import CurrencyField, RawDictField
from datalayer.documents.fields.money import CURRENCIES
from datalayer.documents.json_schema.geometry import levels_of
from datalayer.documents.json_schema.kinds import kind_of
from datalayer.documents.json_schema.references import key_field_of
from datalayer.documents.json_schema.single_values import Schema, choices_of
from datalayer.documents.json_schema.stored import classes_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OBJECT_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
# What Python's patterns have and those of ECMAScript lack.
_ONLY_PYTHON = re.compile(r"\\[AZ]|\(\?(?![:=!]|<[=!])|[*+?}]\+")
_AS_IT_IS = (str, int, float, bool, type(None))
_Definitions = dict[str, Schema]


def shown_schema(model: Any) -> Schema:
    """The schema of documents of ``model`` and its subclasses."""
    definitions: _Definitions = {}
    classes = classes_of(model)
    if len(classes) == 1:
        schema = _document(model, definitions)
    else:
        schema = {"anyOf": [_reference_to(each, definitions) for each in classes]}
    schema = {"$schema": _DIALECT, **schema}
    return {**schema, "$defs": definitions} if definitions else schema


def _document(model: Any, definitions: _Definitions) -> Schema:
    properties: Schema = {}
    required: list[str] = []
    for name in model._fields_ordered:
        field = model._fields[name]
        if name == "_cls":
            properties["_cls"] = {"const": model._class_name}
            required.append(name)
        elif not getattr(field, "secret", False):
            properties[name] = _field(field, definitions)
            if field.required:
                required.append(name)
    schema: Schema = {"title": model.__name__, "type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if not model._dynamic and model._meta.get("strict", True):
        schema["additionalProperties"] = False
    return schema


def _reference_to(model: Any, definitions: _Definitions) -> Schema:
    name = model._class_name
    if name not in definitions:
        definitions[name] = {}  # it may hold itself
        definitions[name] = _document(model, definitions)
    return {"$ref": f"#/$defs/{name}"}


def _field(field: Any, definitions: _Definitions) -> Schema:
    kind = kind_of(field, _WRITERS)
    schema = {} if kind is None else dict(_WRITERS[kind](field, definitions))
    if field.choices and kind not in _CHOOSING:
        values = [as_json(each) for each in choices_of(field)]
        if all(isinstance(each, _AS_IT_IS) for each in values):
            target = schema.setdefault("items", {}) if schema.get("type") == "array" else schema
            target["enum"] = values
    if field.null:
        schema = _or_null(schema)
    return {**schema, **_words_about(field)}


def _words_about(field: Any) -> Schema:
    words: Schema = {}
    if getattr(field, "verbose_name", None):
        words["title"] = str(field.verbose_name)
    if getattr(field, "help_text", None):
        words["description"] = str(field.help_text)
    default = as_json(field.default)
    if default is not None and isinstance(default, _AS_IT_IS):
        words["default"] = default
    if isinstance(field, SequenceField) or (field.db_field == "_id" and not field.primary_key):
        words["readOnly"] = True
    return words


def _or_null(schema: Schema) -> Schema:
    if "enum" in schema:
        schema = {**schema, "enum": [*schema["enum"], None]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]} if "$ref" in schema else schema


def as_json(value: Any) -> Any:
    """A value as JSON has it; what has no such form is left as it is."""
    if isinstance(value, Enum):
        return as_json(value.value)
    if isinstance(value, date):
        return value.isoformat()
    if callable(value) or isinstance(value, (*_AS_IT_IS, list, dict)):
        return value
    return str(value)


def _of_type(name: str, **keywords: Any) -> Callable[[Any, _Definitions], Schema]:
    return lambda field, definitions: {"type": name, **keywords}


def _text(field: Any, definitions: _Definitions) -> Schema:
    schema: Schema = {"type": "string"}
    if field.min_length is not None:
        schema["minLength"] = field.min_length
    if field.max_length is not None:
        schema["maxLength"] = field.max_length
    pattern = field.regex
    if pattern and pattern.flags == re.UNICODE and not _ONLY_PYTHON.search(pattern.pattern):
        text = pattern.pattern
        is_plain = text.startswith("^") and "|" not in text
        schema["pattern"] = text if is_plain else f"^(?:{text})"
    return schema


def _currency(field: Any, definitions: _Definitions) -> Schema:
    return {**_text(field, definitions), "enum": sorted(CURRENCIES)}


def _email(field: Any, definitions: _Definitions) -> Schema:
    name = "idn-email" if field.allow_utf8_user else "email"
    return {**_text(field, definitions), "format": name}


def _number(name: str) -> Callable[[Any, _Definitions], Schema]:
    def written(field: Any, definitions: _Definitions) -> Schema:
        limits = {"minimum": field.min_value, "maximum": field.max_value}
        return {"type": name, **{key: limit for key, limit in limits.items() if limit is not None}}

    return written


def _sequence(field: Any, definitions: _Definitions) -> Schema:
    name = {int: "integer", str: "string", float: "number"}.get(field.value_decorator)
    return {} if name is None else {"type": name}


def _list(field: Any, definitions: _Definitions) -> Schema:
    schema: Schema = {"type": "array"}
    if field.field is not None:
        schema["items"] = _field(field.field, definitions)
    if field.required:
        schema["minItems"] = 1
    if field.max_length is not None:
        schema["maxItems"] = field.max_length
    return schema


def _mapping(field: Any, definitions: _Definitions) -> Schema:
    schema: Schema = {"type": "object"}
    if field.field is not None:
        schema["additionalProperties"] = _field(field.field, definitions)
    if field.required:
        schema["minProperties"] = 1
    return schema


def _embedded(field: Any, definitions: _Definitions) -> Schema:
    try:
        return _any_of(classes_of(field.document_type), definitions)
    except NotRegistered:
        return {"type": "object"}


def _generic_embedded(field: Any, definitions: _Definitions) -> Schema:
    choices = [each for each in field.choices or () if isinstance(each, type)]
    return _any_of(choices, definitions) if choices else {"type": "object"}


def _any_of(classes: list[Any], definitions: _Definitions) -> Schema:
    references = [_reference_to(each, definitions) for each in classes]
    return references[0] if len(references) == 1 else {"anyOf": references}


def _reference(field: Any, definitions: _Definitions) -> Schema:
    try:
        key = key_field_of(field.document_type)
    except NotRegistered:
        return {}
    kind = None if key is None else kind_of(key, _WRITERS)
    return {} if kind is None else _WRITERS[kind](key, definitions)


def _generic_reference(field: Any, definitions: _Definitions) -> Schema:
    name: Schema = {"enum": list(field.choices)} if field.choices else {"type": "string"}
    return {
        "type": "object",
        "properties": {"_cls": name, "_ref": {"type": "object"}},
        "required": ["_cls", "_ref"],
    }


def _pair() -> Schema:
    return {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}


def _geojson(field: Any, definitions: _Definitions) -> Schema:
    schema = _pair()
    for _ in range(levels_of(field)):
        schema = {"type": "array", "items": schema, "minItems": 1}
    return {
        "type": "object",
        "properties": {"type": {"const": field._type}, "coordinates": schema},
        "required": ["type", "coordinates"],
        "additionalProperties": False,
    }


_WRITERS: Mapping[type, Callable[[Any, _Definitions], Schema]] = {
    BinaryField: _of_type("string", contentEncoding="base64"),
    BooleanField: _of_type("boolean"),
    CachedReferenceField: _of_type("object"),
    ComplexDateTimeField: _of_type("string", format="date-time"),
    CurrencyField: _currency,
    DateField: _of_type("string", format="date"),
    DateTimeField: _of_type("string", format="date-time"),
    Decimal128Field: _of_type("string", format="decimal"),
    DecimalField: _of_type("string", format="decimal"),
    DictField: _mapping,
    EmailField: _email,
    EmbeddedDocumentField: _embedded,
    EnumField: lambda field, definitions: {},  # its choices say all
    FileField: lambda field, definitions: _OBJECT_ID,
    FloatField: _number("number"),
    GenericEmbeddedDocumentField: _generic_embedded,
    GenericReferenceField: _generic_reference,
    GeoJsonBaseField: _geojson,
    GeoPointField: lambda field, definitions: _pair(),
    IntField: _number("integer"),
    LazyReferenceField: _reference,
    ListField: _list,
    ObjectIdField: lambda field, definitions: _OBJECT_ID,
    RawDictField: _of_type("object"),
    ReferenceField: _reference,
    SequenceField: _sequence,
    StringField: _text,
    URLField: lambda field, definitions: {"type": "string", "format": "uri"},
    UUIDField: _of_type("string", format="uuid"),
}
_CHOOSING = {GenericEmbeddedDocumentField, GenericReferenceField}
