"""What querysets ask the driver: plain queries past MongoEngine's translation, and a cursor
without a look at each option that nobody has set."""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import Any

from bson import ObjectId
from mongoengine.errors import NotRegistered
from mongoengine.fields import (
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    IntField,
    ListField,
    ObjectIdField,
    ReferenceField,
    StringField,
)
from mongoengine.queryset.transform import MATCH_OPERATORS
from mongoengine.queryset.visitor import Q

from datalayer.documents.engine.mixins import reading_program
from datalayer.documents.engine.program import Program

_OPERATORS = frozenset({*MATCH_OPERATORS, "not"})
_PREPARING_NOTHING = frozenset(
    {
        IntField.prepare_query_value,
        ObjectIdField.prepare_query_value,
        StringField.prepare_query_value,
    }
)
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1  # of BSON's integers
# The options of a queryset that its cursor gets, as they are when nobody has set them.
_UNSET: dict[str, Any] = {
    "_allow_disk_use": False,
    "_batch_size": None,
    "_collation": None,
    "_comment": None,
    "_hint": -1,
    "_limit": None,
    "_max_time_ms": None,
    "_ordering": None,
    "_read_concern": None,
    "_read_preference": None,
    "_search_text": None,
    "_skip": None,
    "_snapshot": False,
    "_timeout": True,
    "_where_clause": None,
}
_options_of = itemgetter(*_UNSET)
_ALL_UNSET = tuple(_UNSET.values())


def asks_plainly(queryset: Any) -> bool:
    """Whether its query is all that ``queryset`` tells the driver."""
    options = queryset.__dict__
    return (
        _options_of(options) == _ALL_UNSET
        and not options["_loaded_fields"]
        and not queryset._document._meta["ordering"]
    )


def plain_query(model: Any, query: Any) -> dict[str, Any] | None:
    """The query for single values of fields, each equal to one; ``None`` for any other."""
    program = reading_program(model) if type(query) is Q else None
    if program is None:
        return None
    asked: dict[str, Any] = query.query
    found: dict[str, Any] = {}
    for name in sorted(asked):
        value = asked[name]
        resolved = _resolved(program, name)
        kind = type(value)
        if resolved is None or kind not in resolved[1]:
            return None
        if (kind is int and not _LOWEST <= value <= _HIGHEST) or (
            kind is str and not value.isascii() and not _is_unicode(value)
        ):
            return None
        found[resolved[0]] = value
    return found if len(found) == len(asked) else None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a surrogate without its pair
        return False
    return True


@lru_cache(maxsize=1024)  # of names in the code, and few of them
def _resolved(program: Program, name: str) -> tuple[str, tuple[type, ...]] | None:
    """The key of the field ``name``, of an embedded document perhaps, and the types of values
    that it is asked for as they are."""
    first, *inner = name.split("__")
    plan = program.by_name.get(program.model._meta.get("id_field") if first == "pk" else first)
    if plan is None or (inner and inner[-1] in _OPERATORS):
        return None
    keys = [plan.key]
    for part in inner:
        embedded = _embedded_in(plan.field)
        inside = None if embedded is None else reading_program(embedded)
        plan = None if inside is None else inside.by_name.get(part)
        if plan is None:
            return None
        keys.append(plan.key)
    prepare = type(plan.field).prepare_query_value
    if prepare is ReferenceField.prepare_query_value and _holds_plain_keys(plan.field):
        return ".".join(keys), (ObjectId,)
    if prepare not in _PREPARING_NOTHING:
        return None
    return ".".join(keys), plan.types if plan.types == plan.written else ()


def _holds_plain_keys(field: Any) -> bool:
    """Whether a reference is stored as the ``ObjectId`` of its document and nothing else."""
    try:
        target = field.document_type
    except NotRegistered:  # raised where the query is translated
        return False
    if field.dbref or type(field).to_mongo is not ReferenceField.to_mongo:
        return False
    key = target._fields.get(target._meta.get("id_field"))
    return type(key).to_mongo is ObjectIdField.to_mongo and not target._meta.get("abstract")


def _embedded_in(field: Any) -> Any:
    """The class of the documents in ``field``, or in the list that it holds."""
    if type(field) in (ListField, EmbeddedDocumentListField):
        field = field.field
    return field.document_type if type(field) is EmbeddedDocumentField else None
