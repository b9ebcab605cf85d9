"""Fields that refer to documents, as they are stored: by the key, or by collection and key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mongoengine.errors import NotRegistered
from mongoengine.fields import (
    CachedReferenceField,
    GenericReferenceField,
    LazyReferenceField,
    ReferenceField,
)

from datalayer.documents.json_schema.kinds import has_theirs, kind_of
from datalayer.documents.json_schema.place import Place
from datalayer.documents.json_schema.single_values import SINGLE_VALUES, Schema


def resolved(field: Any, place: Place) -> Any:
    """The class that the field names; ``None`` where no such class has been imported."""
    try:
        return field.document_type
    except NotRegistered:
        name = field.document_type_obj
        place.leave_out("class", f"the class {name} has not been imported")
        return None


def key_field_of(model: Any) -> Any:
    """The field whose values a reference to ``model`` holds; ``None`` of an abstract class."""
    field = model._fields.get(model._meta.get("id_field"))
    while isinstance(field, ReferenceField) and not field.dbref:  # the key of one is another's
        model = field.document_type
        field = model._fields.get(model._meta.get("id_field"))
    return field


def _key_schema(model: Any) -> Schema:
    field = key_field_of(model)
    kind = None if field is None else kind_of(field, SINGLE_VALUES)
    if kind is None or not has_theirs(type(field), "to_mongo"):
        return {}
    schema = SINGLE_VALUES[kind](field, Place())
    return {"bsonType": schema["bsonType"]} if "bsonType" in schema else {}


def _dbref(key: Schema, collection: str | None = None) -> Schema:
    name: Schema = {"bsonType": "string"} if collection is None else {"enum": [collection]}
    properties = {"$ref": name, "$id": key}
    return {"bsonType": "object", "required": ["$ref", "$id"], "properties": properties}


def _referred(field: Any, place: Place) -> Any:
    place.leave_out("reference", "whether there is such a document")
    return resolved(field, place)


def _reference(field: Any, place: Place) -> Schema:
    model = _referred(field, place)
    if model is None:
        return {}
    if model._meta.get("abstract"):
        return _dbref({})
    key = _key_schema(model)
    return _dbref(key) if field.dbref else key


def _lazy_reference(field: Any, place: Place) -> Schema:
    model = _referred(field, place)
    if model is None:
        return {}
    key = _key_schema(model)
    if not field.dbref:
        return key
    place.leave_out("collection", "validate() takes that of another class, too")
    return _dbref(key, model._get_collection_name())


def _cached_reference(field: Any, place: Place) -> Schema:
    model = _referred(field, place)
    place.leave_out("fields", "what is kept of the document with its key")
    key = {} if model is None else _key_schema(model)
    return {"bsonType": "object", "required": ["_id"], "properties": {"_id": key}}


def _generic_reference(field: Any, place: Place) -> Schema:
    place.leave_out("reference", "whether there is such a document")
    name: Schema = {"enum": list(field.choices)} if field.choices else {"bsonType": "string"}
    schema = {"required": ["_cls", "_ref"], "properties": {"_cls": name, "_ref": _dbref({})}}
    if field.choices:
        return {"bsonType": "object", **schema}
    bare = {key: value for key, value in _dbref({}).items() if key != "bsonType"}
    return {"bsonType": "object", "anyOf": [schema, bare]}


REFERENCES: Mapping[type, Callable[[Any, Place], Schema]] = {
    CachedReferenceField: _cached_reference,
    GenericReferenceField: _generic_reference,
    LazyReferenceField: _lazy_reference,
    ReferenceField: _reference,
}
"""By the class: a function of a field and its place that gives the schema of its values."""
