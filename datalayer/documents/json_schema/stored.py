"""Documents as they are stored, as MongoDB's ``$jsonSchema``: draft 4 without references.

A field is known by the nearest class in it that is MongoEngine's or datalayer's. One that writes
its values in a way of its own (``to_mongo``) may store anything, and one that has a ``validate``
of its own has rules beside those of that class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from mongoengine import Document
from mongoengine.base import BaseField, get_document
from mongoengine.errors import NotRegistered
from mongoengine.fields import (
    DictField,
    DynamicField,
    EmbeddedDocumentField,
    GenericEmbeddedDocumentField,
    GenericReferenceField,
    ListField,
    SortedListField,
)

from datalayer.documents.json_schema.geometry import GEOMETRY
from datalayer.documents.json_schema.kinds import has_theirs, kind_of, owner_of
from datalayer.documents.json_schema.place import Place
from datalayer.documents.json_schema.references import REFERENCES, resolved
from datalayer.documents.json_schema.single_values import SINGLE_VALUES, Schema, stored_choices
from datalayer.documents.lifecycle import Lifecycle


def stored_schema(model: Any, place: Place) -> Schema:
    """The schema of documents of ``model`` and its subclasses, at ``place``."""
    if model in place.within:
        place.leave_out(
            "nesting", f"what is inside a {model.__name__} in a {model.__name__}: it never ends"
        )
        return {"bsonType": "object"}
    place = place.inside(model)
    return _one_of(classes_of(model), place, is_named=not _is_part(model))


def classes_of(model: Any) -> list[Any]:
    """``model`` and those of its subclasses that may stand where it stands."""
    is_abstract = bool(model._meta.get("abstract"))
    if not model._meta.get("allow_inheritance") or (is_abstract and not _is_part(model)):
        return [model]
    classes = [] if is_abstract else [model]
    for name in model._subclasses:
        with suppress(NotRegistered):
            found = get_document(name)
            if found is not model and issubclass(found, model) and not found._meta.get("abstract"):
                classes.append(found)
    return classes or [model]


def _is_part(model: Any) -> bool:
    return not issubclass(model, Document)


def _one_of(classes: list[Any], place: Place, *, is_named: bool) -> Schema:
    """The schema for ``classes``; ``is_named`` requires that documents name theirs, where they
    could. A part that doesn't is loaded as one of the first class."""
    if len(classes) == 1:
        return {"bsonType": "object", **_fields(classes[0], place, is_named=is_named)}
    alternatives = [
        _fields(each, place, is_named=is_named or each is not classes[0]) for each in classes
    ]
    return {"bsonType": "object", "anyOf": alternatives}


def _fields(model: Any, place: Place, *, is_named: bool, always: bool = False) -> Schema:
    properties: Schema = {}
    required: list[str] = []
    for name in model._fields_ordered:
        field = model._fields[name]
        if name == "_cls":
            continue
        key = field.db_field
        schema = field_schema(field, place.at(key))
        is_required = field.required and not getattr(field, "_auto_gen", False)
        properties[key] = schema if is_required or key == "_id" else _or_null(schema)
        if is_required:
            required.append(key)
    if model._meta.get("allow_inheritance") or always:
        properties["_cls"] = {"enum": [model._class_name]}
        if is_named:
            required.append("_cls")
    _leave_out_rules_of(model, place)
    fields: Schema = {"properties": properties}
    if required:
        fields["required"] = required
    is_strict = not model._dynamic and model._meta.get("strict", True)
    if is_strict and has_theirs(model, "to_mongo"):
        fields["additionalProperties"] = False
    return fields


def _or_null(schema: Schema) -> Schema:
    """``schema``, or null: a field without a value is left out, and one that is null read so."""
    if "bsonType" in schema:
        kinds = schema["bsonType"]
        kinds = [kinds] if isinstance(kinds, str) else kinds
        schema = {**schema, "bsonType": [*kinds, "null"]}
    if "enum" in schema and None not in schema["enum"]:
        schema = {**schema, "enum": [*schema["enum"], None]}
    return schema


def _leave_out_rules_of(model: Any, place: Place) -> None:
    does = {"clean": "refuses", "validate": "refuses", "to_mongo": "adds or changes"}
    for name, what in does.items():
        owner = owner_of(model, name)
        if not has_theirs(model, name) or owner is Lifecycle:
            place.leave_out(f"{name}()", f"what {owner.__name__}.{name}() {what}")
    unique = {field.db_field for field in model._fields.values() if field.unique}
    for spec in model._meta.get("index_specs") or ():
        keys = [key for key, _ in spec["fields"]]
        if spec.get("unique") and unique.isdisjoint(keys):  # those fields have said so
            place.leave_out("unique", f"an index sees to it, over {', '.join(keys)}")


def field_schema(field: BaseField, place: Place) -> Schema:
    """The schema of a value of ``field``, which is there and not null."""
    kind = kind_of(field, _WRITERS)
    schema: Schema = {}
    if kind is not None and has_theirs(type(field), "to_mongo"):
        schema = _WRITERS[kind](field, place)
    elif type(field) is not BaseField:
        place.leave_out("to_mongo()", f"how {type(field).__name__} stores its values")
    if field.choices:
        schema = _with_choices(field, kind, schema, place)
    if not has_theirs(type(field), "validate"):
        name = owner_of(type(field), "validate").__name__
        place.leave_out("validate()", f"what {name}.validate() refuses")
    if field.validation is not None:
        name = getattr(field.validation, "__name__", "a function")
        place.leave_out("validation", f"what {name} refuses")
    if field.unique:
        place.leave_out("unique", "an index sees to it")
    return schema


def _with_choices(field: Any, kind: Any, schema: Schema, place: Place) -> Schema:
    if kind in _CHOOSING:
        return schema
    if kind in SINGLE_VALUES or kind is None:
        return {**schema, **stored_choices(field, field, place)}
    if kind in (ListField, SortedListField):
        chosen = stored_choices(field, field.field or BaseField(), place)
        return {**schema, "items": {**schema.get("items", {}), **chosen}}
    place.leave_out("choices", "which of them a value is")
    return schema


def _list(field: Any, place: Place) -> Schema:
    schema: Schema = {"bsonType": "array"}
    if field.field is not None:
        schema["items"] = field_schema(field.field, place.of_items())
    else:
        place.leave_out("items", "what a list of anything holds")
    if field.required:
        schema["minItems"] = 1
    if field.max_length is not None:
        schema["maxItems"] = field.max_length
    return schema


def _anything(field: Any, place: Place) -> Schema:
    place.leave_out("class", "whether a mapping with a key _cls is a document of that class")
    return {}


def _sorted_list(field: Any, place: Place) -> Schema:
    place.leave_out("order", "whether the list is sorted")
    return _list(field, place)


def _mapping(field: Any, place: Place) -> Schema:
    schema: Schema = {"bsonType": "object", "patternProperties": {"^[$]": {"not": {}}}}
    if field.field is not None:
        schema["additionalProperties"] = field_schema(field.field, place.at("*"))
    else:
        place.leave_out(
            "items", "what a mapping of anything holds, and keys in there that begin with $"
        )
    if field.required:
        schema["minProperties"] = 1
    return schema


def _embedded(field: Any, place: Place) -> Schema:
    model = resolved(field, place)
    return {"bsonType": "object"} if model is None else stored_schema(model, place)


def _generic_embedded(field: Any, place: Place) -> Schema:
    choices = list(field.choices or ())
    if not choices or not all(isinstance(each, type) for each in choices):
        place.leave_out("class", "any embedded document: its fields")
        return {
            "bsonType": "object",
            "required": ["_cls"],
            "properties": {"_cls": {"bsonType": "string"}},
        }
    classes = list(dict.fromkeys(each for choice in choices for each in classes_of(choice)))
    alternatives = []
    for each in classes:
        if each in place.within:
            place.leave_out("nesting", f"what is inside a {each.__name__} in a {each.__name__}")
            named = {"properties": {"_cls": {"enum": [each._class_name]}}, "required": ["_cls"]}
            alternatives.append(named)
        else:
            inner = place.inside(each)
            alternatives.append(_fields(each, inner, is_named=True, always=True))
    return {"bsonType": "object", "anyOf": alternatives}


_WRITERS: Mapping[type, Callable[[Any, Place], Schema]] = {
    **GEOMETRY,
    **REFERENCES,
    **SINGLE_VALUES,
    DictField: _mapping,
    DynamicField: _anything,
    EmbeddedDocumentField: _embedded,
    GenericEmbeddedDocumentField: _generic_embedded,
    ListField: _list,
    SortedListField: _sorted_list,
}
_CHOOSING = {GenericEmbeddedDocumentField, GenericReferenceField}
