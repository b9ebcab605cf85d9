"""What the engine may do with a field instead of asking it: found out once per class and field.

A field is known by the functions that its class uses, not by its class: a field derived from
``StringField`` that only validates differently loads like a ``StringField``, and one that
converts in its own way is left to itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from bson import ObjectId
from mongoengine.base import BaseField
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import (
    BooleanField,
    DateTimeField,
    Decimal128Field,
    DecimalField,
    DynamicField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    FloatField,
    GenericEmbeddedDocumentField,
    IntField,
    LazyReferenceField,
    ListField,
    ObjectIdField,
    ReferenceField,
    SequenceField,
    SortedListField,
    StringField,
    UUIDField,
)


class Load(Enum):
    """How a value comes from the database into a document."""

    AS_IS = "as it is"
    SCALAR = "as it is, where its type is the expected one; else converted"
    DEFERRED = "converted when it is first read"
    CONVERTED = "converted by the field"
    ASSIGNED = "converted by the field and assigned through it"


@dataclass(frozen=True, slots=True)
class Plan:
    """One field of a class.

    ``types`` are the exact types that the field's ``to_python`` returns unchanged, ``written``
    those that its ``to_mongo`` does, ``deferred`` is the type of raw values that can wait.
    """

    name: str
    key: str
    field: Any
    load: Load
    types: tuple[type, ...]
    written: tuple[type, ...]
    deferred: type | None

    @property
    def is_set_plainly(self) -> bool:
        """Whether the field keeps a value that is assigned to it as its ``to_python`` made it."""
        plain = (BaseField.__set__, ComplexBaseField.__set__)
        # One that has a __set__ of its own and yet waits has given its word.
        return type(self.field).__set__ in plain or self.load is Load.DEFERRED

    @property
    def is_container(self) -> bool:
        """Whether a value may hold changes of its own: a list, a mapping, an embedded document."""
        return self.load not in (Load.AS_IS, Load.SCALAR)


_Functions = Mapping[Any, tuple[type, ...]]

# By the function ``to_python``; tests/documents hold MongoEngine to it.
_PASSED_BY_TO_PYTHON: _Functions = {
    StringField.to_python: (str,),
    IntField.to_python: (int,),
    FloatField.to_python: (float,),
    BooleanField.to_python: (bool,),
    ObjectIdField.to_python: (ObjectId,),
}
# By the function ``to_mongo``, for types that ``to_python`` passes too.
_PASSED_BY_TO_MONGO: _Functions = {
    ObjectIdField.to_mongo: (ObjectId,),
    DateTimeField.to_mongo: (datetime,),
}
_WAITING: Mapping[Any, type] = {
    Decimal128Field.to_python: object,
    DecimalField.to_python: object,
    EmbeddedDocumentField.to_python: dict,
    GenericEmbeddedDocumentField.to_python: dict,
}
_BY_TO_PYTHON: Mapping[Any, Load] = {
    BaseField.to_python: Load.AS_IS,
    LazyReferenceField.to_python: Load.CONVERTED,
    ReferenceField.to_python: Load.CONVERTED,
    UUIDField.to_python: Load.CONVERTED,
}
_LEFT_TO_THEMSELVES = (DynamicField, SequenceField)


def scalar_types(field: Any) -> tuple[type, ...]:
    """The exact types of values that ``field`` neither converts nor looks into."""
    return _PASSED_BY_TO_PYTHON.get(type(field).to_python, ())


def attribute_of(model: type, name: str) -> Any:
    """What stands under ``name`` in the class, without asking its descriptor."""
    for parent in model.__mro__:
        if name in parent.__dict__:
            found = parent.__dict__[name]
            return getattr(found, "engine_field", found)
    return None


def plan_for(model: type, name: str, field: BaseField) -> Plan:
    """What may be done with the field called ``name`` of ``model``."""
    kind: Any = type(field)
    own = attribute_of(model, name)
    is_itself = own is not None and type(own) is kind and own.name == name
    load, deferred = _loading(field) if is_itself else (Load.ASSIGNED, None)
    types = scalar_types(field) if load is Load.SCALAR else ()
    if kind.to_mongo is BaseField.to_mongo:
        written = scalar_types(field)
    else:
        written = _PASSED_BY_TO_MONGO.get(kind.to_mongo, ())
    return Plan(name, field.db_field, field, load, types, written, deferred)


def _loading(field: Any) -> tuple[Load, type | None]:
    kind: Any = type(field)
    if isinstance(field, _LEFT_TO_THEMSELVES):
        return _UNKNOWN
    if _may_wait_by_its_own_word(kind):
        return Load.DEFERRED, object
    if isinstance(field, ComplexBaseField):
        return (Load.DEFERRED, _raw_type(field)) if _is_known_complex(kind) else _UNKNOWN
    if kind.__set__ is not BaseField.__set__:
        return _UNKNOWN
    if kind.to_python in _WAITING and kind.__get__ is BaseField.__get__:
        return Load.DEFERRED, _WAITING[kind.to_python]
    if scalar_types(field):
        return Load.SCALAR, None
    return _BY_TO_PYTHON.get(kind.to_python, Load.ASSIGNED), None


_UNKNOWN = (Load.ASSIGNED, None)


def _may_wait_by_its_own_word(kind: type) -> bool:
    for parent in kind.__mro__:
        if "to_python" in vars(parent) or "__set__" in vars(parent):
            return bool(vars(parent).get("converts_on_first_read"))
    return False


def _is_known_complex(kind: Any) -> bool:
    return (
        kind.to_python is ComplexBaseField.to_python
        and kind.__set__ is ComplexBaseField.__set__
        and kind.__get__ in (ListField.__get__, ComplexBaseField.__get__)
    )


def _raw_type(field: Any) -> type:
    return list if isinstance(field, ListField) else dict


def is_plain_list(field: Any) -> bool:
    """Whether the list holds only single values, or embedded documents of such.

    Of these MongoEngine finds out on first access, item by item, that there is nothing to
    dereference.
    """
    if type(field) not in (ListField, SortedListField, EmbeddedDocumentListField):
        return False
    inner = field.field
    if inner is None:
        return False
    if scalar_types(inner):
        return True
    if type(inner) is not EmbeddedDocumentField:
        return False
    part = inner.document_type
    return not part._meta.get("allow_inheritance") and all(
        scalar_types(each) or type(each) is DateTimeField for each in part._fields.values()
    )
