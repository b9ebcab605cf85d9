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
from mongoengine.base.fields import GeoJsonBaseField
from mongoengine.errors import NotRegistered
from mongoengine.fields import (
    CachedReferenceField,
    DictField,
    DynamicField,
    EmbeddedDocumentField,
    GenericEmbeddedDocumentField,
    GenericReferenceField,
    GeoPointField,
    LazyReferenceField,
    ListField,
    ReferenceField,
    SortedListField,
)

from datalayer.documents.json_schema.place import Place
from datalayer.documents.json_schema.single_values import (
    NUMBER,
    SINGLE_VALUES,
    Schema,
    choices_of,
    chosen,
    stored_choices,
)

_THEIR_MODULES = ("mongoengine", "datalayer")


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
    classes = [model]
    if not model._meta.get("allow_inheritance") or (
        model._meta.get("abstract") and not _is_part(model)
    ):
        return classes
    for name in model._subclasses:
        with suppress(NotRegistered):
            if name != model._class_name:
                classes.append(get_document(name))
    return [each for each in classes if not each._meta.get("abstract")] or [model]


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
    if not model._dynamic and model._meta.get("strict", True):
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
    for name in ("clean", "validate"):
        owner = _owner_of(model, name)
        if not _is_theirs(owner) or owner.__name__ == "Lifecycle":
            place.leave_out(f"{name}()", f"what {owner.__name__}.{name}() refuses")
    for spec in model._meta.get("index_specs") or ():
        if spec.get("unique"):
            keys = ", ".join(key for key, _ in spec["fields"])
            place.leave_out("unique", f"an index sees to it, over {keys}")


def field_schema(field: BaseField, place: Place) -> Schema:
    """The schema of a value of ``field``, which is there and not null."""
    kind = next((each for each in type(field).__mro__ if each in _WRITERS), None)
    schema: Schema = {}
    if kind is not None and _is_theirs(_owner_of(type(field), "to_mongo")):
        schema = _WRITERS[kind](field, place)
    elif type(field).to_mongo is not BaseField.to_mongo and not _is_theirs(type(field)):
        place.leave_out("to_mongo()", f"how {type(field).__name__} stores its values")
    if field.choices:
        schema = _with_choices(field, kind, schema, place)
    owner = _owner_of(type(field), "validate")
    if not _is_theirs(owner):
        place.leave_out("validate()", f"what {owner.__name__}.validate() refuses")
    if field.validation is not None:
        name = getattr(field.validation, "__name__", "a function")
        place.leave_out("validation", f"what {name} refuses")
    if field.unique:
        place.leave_out("unique", "an index sees to it")
    return schema


def _owner_of(kind: Any, name: str) -> Any:
    return next(each for each in kind.__mro__ if name in vars(each))


def _is_theirs(kind: Any) -> bool:
    return kind.__module__.partition(".")[0] in _THEIR_MODULES


def _with_choices(field: Any, kind: Any, schema: Schema, place: Place) -> Schema:
    if kind in _CHOOSING:
        return schema
    if kind in SINGLE_VALUES or kind is None:
        return {**schema, **stored_choices(field, place)}
    if kind in (ListField, SortedListField):
        inner = field.field or BaseField()
        values = [inner.to_mongo(each) for each in choices_of(field)]
        items = {**schema.get("items", {}), **chosen(values, place)}
        return {**schema, "items": items}
    place.leave_out("choices", "which of them a value is")
    return schema


def _list(field: Any, place: Place) -> Schema:
    schema: Schema = {"bsonType": "array"}
    if field.field is not None:
        schema["items"] = field_schema(field.field, place)
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
    model = _resolved(field, place)
    return {"bsonType": "object"} if model is None else stored_schema(model, place)


def _resolved(field: Any, place: Place) -> Any:
    """The class that the field names; ``None`` where no such class has been imported."""
    try:
        return field.document_type
    except NotRegistered:
        name = field.document_type_obj
        place.leave_out("class", f"the class {name} has not been imported")
        return None


def _generic_embedded(field: Any, place: Place) -> Schema:
    choices = [each for each in field.choices or () if isinstance(each, type)]
    if not choices:
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
            alternatives.append({"properties": {"_cls": {"enum": [each._class_name]}}})
        else:
            inner = place.inside(each)
            alternatives.append(_fields(each, inner, is_named=True, always=True))
    return {"bsonType": "object", "anyOf": alternatives}


def _dbref(key: Schema, collection: str | None = None) -> Schema:
    name: Schema = {"bsonType": "string"} if collection is None else {"enum": [collection]}
    properties = {"$ref": name, "$id": key}
    return {"bsonType": "object", "required": ["$ref", "$id"], "properties": properties}


def _key_schema(model: Any, place: Place) -> Schema:
    name = model._meta.get("id_field")
    if name is None:  # an abstract class
        return {}
    schema = field_schema(model._fields[name], Place(place.path))
    return {"bsonType": schema["bsonType"]} if "bsonType" in schema else {}


def _reference(field: Any, place: Place) -> Schema:
    place.leave_out("reference", "whether there is such a document")
    model = _resolved(field, place)
    if model is None:
        return {}
    if model._meta.get("abstract"):
        return _dbref({})
    key = _key_schema(model, place)
    return _dbref(key) if field.dbref else key


def _lazy_reference(field: Any, place: Place) -> Schema:
    place.leave_out("reference", "whether there is such a document")
    model = _resolved(field, place)
    if model is None:
        return {}
    key = _key_schema(model, place)
    return _dbref(key, model._get_collection_name()) if field.dbref else key


def _cached_reference(field: Any, place: Place) -> Schema:
    place.leave_out("reference", "whether there is such a document, and what it holds now")
    model = _resolved(field, place)
    key = {} if model is None else _key_schema(model, place)
    return {"bsonType": "object", "required": ["_id"], "properties": {"_id": key}}


def _generic_reference(field: Any, place: Place) -> Schema:
    place.leave_out("reference", "whether there is such a document")
    name: Schema = {"enum": list(field.choices)} if field.choices else {"bsonType": "string"}
    schema = {"required": ["_cls", "_ref"], "properties": {"_cls": name, "_ref": _dbref({})}}
    if field.choices:
        return {"bsonType": "object", **schema}
    bare = {key: value for key, value in _dbref({}).items() if key != "bsonType"}
    return {"bsonType": "object", "anyOf": [schema, bare]}


def levels_of(field: Any) -> int:
    """How many lists there are around a point in the coordinates of a GeoJSON field."""
    levels = {"LineString": 1, "MultiPoint": 1, "Polygon": 2, "MultiLineString": 2}
    return {**levels, "MultiPolygon": 3}.get(field._type, 0)


def _geojson(field: Any, place: Place) -> Schema:
    if field._type.endswith("Polygon"):
        place.leave_out("rings", "whether a ring ends where it begins")
    coordinates = _point(field, place)
    for _ in range(levels_of(field)):
        coordinates = {"bsonType": "array", "items": coordinates, "minItems": 1}
    properties = {"type": {"enum": [field._type]}, "coordinates": coordinates}
    return {
        "bsonType": "object",
        "properties": properties,
        "required": ["type", "coordinates"],
        "additionalProperties": False,
    }


def _point(field: Any, place: Place) -> Schema:
    place.leave_out("coordinates", "validate() takes booleans for numbers")
    numbers = {"bsonType": list(NUMBER)}
    return {"bsonType": "array", "items": numbers, "minItems": 2, "maxItems": 2}


_WRITERS: Mapping[type, Callable[[Any, Place], Schema]] = {
    **SINGLE_VALUES,
    CachedReferenceField: _cached_reference,
    DictField: _mapping,
    DynamicField: _anything,
    EmbeddedDocumentField: _embedded,
    GenericEmbeddedDocumentField: _generic_embedded,
    GenericReferenceField: _generic_reference,
    GeoJsonBaseField: _geojson,
    GeoPointField: _point,
    LazyReferenceField: _lazy_reference,
    ListField: _list,
    ReferenceField: _reference,
    SortedListField: _sorted_list,
}
_CHOOSING = {GenericEmbeddedDocumentField, GenericReferenceField}
