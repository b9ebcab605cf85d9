"""Lets the fields of the base documents take every value by the one conversion: given to the
constructor, assigned, or put into a list or a mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MethodType
from typing import Any

from bson import SON, DBRef, ObjectId
from mongoengine.base import BaseField, LazyReference
from mongoengine.errors import ValidationError
from mongoengine.fields import (
    BooleanField,
    CachedReferenceField,
    Decimal128Field,
    DictField,
    EmbeddedDocumentField,
    GenericEmbeddedDocumentField,
    GenericLazyReferenceField,
    GenericReferenceField,
    IntField,
    ListField,
    ReferenceField,
    UUIDField,
)

from datalayer.documents.fields.conversion import converted, key_of
from datalayer.documents.fields.primary_keys import with_stored_key
from datalayer.documents.fields.refusals import reason_of
from datalayer.documents.partial.home import fetched


def patch_fields(model: Any) -> None:
    """Give the fields of ``model`` what the base documents do better than MongoEngine.

    It is put into the fields themselves, so that MongoEngine's classes stay as they are for
    documents that aren't datalayer's.
    """
    for name, field in model._fields.items():
        if name != "_cls":
            _patch(field)


def _patch(field: Any) -> None:
    if "_validate" in vars(field):
        return
    if type(field).to_python in _LOSING:
        field.of_given = MethodType(_of_given, field)
    for kinds, name, function in _PATCHES:
        if isinstance(field, kinds):
            setattr(field, name, MethodType(function, field))
    inner = getattr(field, "field", None)
    if isinstance(inner, BaseField):
        _patch(inner)
        if "of_given" in vars(inner):
            field.of_given = MethodType(_of_given, field)


def _validate(field: Any, value: Any, **how: Any) -> None:
    """A value that the constructor would convert is as valid as what it would become."""
    judge = partial(type(field)._validate, field, **how)
    if isinstance(field, IntField) and value is not None:  # MongoEngine takes 2.7 for 2
        try:
            value = converted(field, value)
        except ValidationError as exc:
            field.error(reason_of(exc))
        judge(value)
        return
    try:
        judge(value)
    except (ArithmeticError, TypeError, ValidationError, ValueError):
        if value is None or isinstance(field, _JUDGED_AS_THEY_ARE):
            raise
        try:
            value = converted(field, value)
        except ValidationError:
            value = None
        if value is None:
            raise
        judge(value)


# What has parts of its own, each of which is validated by itself, and what stays as it is.
_JUDGED_AS_THEY_ARE = (
    CachedReferenceField,
    DictField,
    EmbeddedDocumentField,
    GenericEmbeddedDocumentField,
    GenericReferenceField,
    ListField,
)


def _of_given(field: Any, value: Any) -> Any:
    """What the constructor makes of a value: unlike what comes from the database, a value that
    doesn't fit stays as it is, for validation to refuse."""
    if isinstance(field, ListField) and isinstance(value, (list, tuple)):
        return [each if each is None else field.field.of_given(each) for each in value]
    if isinstance(field, DictField) and isinstance(value, Mapping):
        return {
            key: each if each is None else field.field.of_given(each)
            for key, each in value.items()
        }
    if isinstance(field, (DictField, ListField)):
        return field.to_python(value)
    try:
        return converted(field, value)
    except ValidationError:
        return value


def _uuid_to_mongo(field: Any, value: Any) -> Any:
    return type(field).to_mongo(field, value if value is None else converted(field, value))


def _reference_to_mongo(field: Any, document: Any) -> Any:
    if isinstance(document, DBRef):
        document = with_stored_key(document, field.document_type)
    return type(field).to_mongo(field, document)


def _lazy_to_mongo(field: Any, document: Any) -> Any:
    if not isinstance(document, LazyReference):
        return type(field).to_mongo(field, document)
    model = document.document_type
    reference = DBRef(model._get_collection_name(), key_of(model, document.pk))
    return SON((("_cls", model._class_name), ("_ref", reference)))


def _cached_to_python(field: Any, value: Any) -> Any:
    if not isinstance(value, dict) or type(value.get("_id")) is ObjectId:
        return type(field).to_python(field, value)
    model = field.document_type
    reference = DBRef(model._get_collection_name(), value["_id"])
    return fetched(model._from_son(model._get_db().dereference(reference)))


def _load_one(field: Any, model: Any, reference: DBRef) -> Any:
    return fetched(type(field)._lazy_load_ref(model, with_stored_key(reference, model)))


# What they make of a value doesn't tell whether it was one of theirs.
_LOSING = (BooleanField.to_python, Decimal128Field.to_python, IntField.to_python)
_PATCHES: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (BaseField, "_validate", _validate),
    (UUIDField, "to_mongo", _uuid_to_mongo),
    (ReferenceField, "to_mongo", _reference_to_mongo),
    (ReferenceField, "_lazy_load_ref", _load_one),
    (CachedReferenceField, "to_python", _cached_to_python),
    (CachedReferenceField, "_lazy_load_ref", _load_one),
    (GenericLazyReferenceField, "to_mongo", _lazy_to_mongo),
    (GenericReferenceField, "_lazy_load_ref", _load_one),
)
