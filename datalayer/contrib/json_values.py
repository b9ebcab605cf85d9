"""Documents, and the values in them, as a web API shows them in JSON: by the attributes' names,
without secrets, in the forms that ``from_input`` takes and ``json_schema`` describes."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from bson import DBRef, Decimal128, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from mongoengine.base import BaseDocument, LazyReference
from mongoengine.base.fields import ComplexBaseField, GeoJsonBaseField
from mongoengine.fields import (
    CachedReferenceField,
    ComplexDateTimeField,
    DecimalField,
    GenericLazyReferenceField,
    GenericReferenceField,
    GridFSProxy,
    LazyReferenceField,
    ReferenceField,
)
from mongoengine.queryset.base import BaseQuerySet
from pymongo.command_cursor import CommandCursor
from pymongo.cursor import Cursor

from datalayer.documents import without_secrets
from datalayer.documents.partial.partial_documents import projection_in
from datalayer.documents.querysets.pages.keyset import CursorPagination
from datalayer.documents.querysets.pages.numbered import Pagination

__all__ = ["UnknownToJSONError", "json_default"]

_AS_STORED = (
    *(CachedReferenceField, GenericLazyReferenceField, GenericReferenceField, GeoJsonBaseField),
    *(LazyReferenceField, ReferenceField),
)


class UnknownToJSONError(TypeError):
    """A value that ``json_default`` has no form for."""


def json_default(value: Any) -> Any:
    """For ``json.dumps(..., default=json_default)``: what ``value`` is to stand as.

    A document is an object by its attributes' names, without secret fields and without those
    that have no value; what it refers to is shown by its id. A queryset or a cursor is a list. A
    page is an object with its ``items`` and what leads to the others. ``ObjectId``, ``UUID``,
    ``Decimal`` and ``Decimal128`` are text, points in time ISO 8601, binary data Base64.

    Raises:
        UnknownToJSONError: a ``TypeError``, for what it doesn't know.
    """
    for kinds, shown in _SHOWN.items():
        if isinstance(value, kinds):
            return shown(value)
    raise UnknownToJSONError(f"a {type(value).__name__} can't be shown as JSON")


def _document(document: Any) -> dict[str, Any]:
    projection = projection_in(document)
    shown = {}
    for name in document:
        field = document._fields.get(name) or document._dynamic_fields.get(name)
        if getattr(field, "secret", False):
            continue
        if projection is not None and projection.of(getattr(field, "db_field", name)) is False:
            continue
        value = _of_field(field, document._data.get(name))
        if value is not None or (field is not None and field.null):
            shown[name] = value
    return shown


def _of_field(field: Any, value: Any) -> Any:
    """A value as JSON may hold it, or as ``json_default`` takes it. What it refers to is not
    read for it."""
    if isinstance(field, ComplexDateTimeField) and isinstance(value, str):
        return field.to_python(value)  # it is stored as text of its own kind
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, GridFSProxy):
        return value.grid_id
    if isinstance(field, _AS_STORED):
        return _reference(field.to_mongo(value))
    if isinstance(field, DecimalField) and isinstance(value, (int, float)):
        return str(field.to_python(value))
    inner = getattr(field, "field", None) if isinstance(field, ComplexBaseField) else None
    if isinstance(value, (list, tuple)):
        return [_of_field(inner, each) for each in value]
    if isinstance(value, dict):
        return {str(key): _of_field(inner, each) for key, each in value.items()}
    return value


def _reference(stored: Any) -> Any:
    """What stands for a document, in which no id is a reference of its own."""
    if isinstance(stored, Mapping) and isinstance(stored.get("_ref"), DBRef):
        target = stored["_ref"]
        return {"_cls": stored["_cls"], "_ref": {"$ref": target.collection, "$id": target.id}}
    return stored


def _queryset(queryset: Any) -> list[Any]:
    if queryset._as_pymongo:
        return [without_secrets(queryset._document, raw) for raw in queryset]
    return list(queryset)


def _page(page: Pagination[Any]) -> dict[str, Any]:
    names = ("items", "page", "per_page", "pages", "total")
    return {name: getattr(page, name) for name in names}


def _cursor_page(page: CursorPagination[Any]) -> dict[str, Any]:
    names = ("items", "per_page", "next", "previous")
    return {name: getattr(page, name) for name in names}


_SHOWN: dict[Any, Callable[[Any], Any]] = {
    BaseDocument: _document,
    LazyReference: lambda reference: reference.pk,
    DBRef: lambda reference: reference.id,
    BaseQuerySet: _queryset,
    Pagination: _page,
    CursorPagination: _cursor_page,
    (Cursor, CommandCursor): list,
    (ObjectId, Decimal, UUID): str,
    Decimal128: lambda number: str(number.to_decimal()),
    (date, time): lambda moment: moment.isoformat(),  # a datetime is a date
    Timestamp: lambda moment: moment.as_datetime().isoformat(),
    DatetimeMS: int,  # beyond what Python's have
    (bytes, bytearray, memoryview): lambda data: base64.b64encode(data).decode(),
    Enum: lambda member: member.value,
    GridFSProxy: lambda file: file.grid_id,
    (Regex, re.Pattern): lambda pattern: pattern.pattern,
}
