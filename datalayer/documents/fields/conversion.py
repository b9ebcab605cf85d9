"""What a value means to a field: one conversion for constructors, attributes, filters, updates and
keys. What a field can't take is refused, with the field's name and never with the value."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from bson import DBRef, ObjectId
from mongoengine.base import BaseDocument, BaseField, LazyReference
from mongoengine.base.fields import ComplexBaseField, GeoJsonBaseField
from mongoengine.errors import FieldDoesNotExist, ValidationError
from mongoengine.fields import (
    CachedReferenceField,
    DictField,
    EmbeddedDocumentField,
    GenericEmbeddedDocumentField,
    GenericReferenceField,
    GeoPointField,
    LazyReferenceField,
    ListField,
    ReferenceField,
    SortedListField,
)

from datalayer.documents.fields.refusals import (
    UNFIT,
    Misfit,
    expectation,
    misfit,
    refusal,
    tells_well,
)
from datalayer.documents.fields.scalar_conversion import (
    PATTERNS,
    SINGLE,
    Converter,
    held,
    holds_text,
    is_as_stored,
    is_condition,
    is_many,
)


def asked(field: BaseField, value: Any) -> Any:
    """``value`` as a filter looks for it: in the form in which ``field`` stores it.

    Of a list it may be the whole or a member. Limits (``min_value``, ``max_length``, ``regex``,
    ``required``) aren't the conversion's: what is beyond them is looked for, and not found.

    Raises:
        ValidationError: where ``field`` can't hold such a value.
    """
    return value if is_as_stored(field, value) else _told(field, _asked, value)


def stored(field: BaseField, value: Any) -> Any:
    """``value`` as an update stores it: what saving a document with this value would.

    Raises:
        ValidationError: where saving would, or where ``field`` can't hold such a value.
    """
    if value is None:
        if field.required:
            raise refusal(field, "is required")
        return None
    if is_as_stored(field, value):
        return validated(field, value)
    given = converted(field, value)
    validated(field, given)
    return _told(field, raw, given)


def validated(field: BaseField, value: Any) -> Any:
    """``value``, if a document with it is valid; raises ``ValidationError`` as saving does."""
    try:
        field._validate(value)
    except ValidationError as exc:
        if not exc.errors:
            raise refusal(field, str(exc.message)) from None
        name = field.name or field.db_field
        errors = {name: exc.errors} if name else exc.errors
        raise ValidationError("holds what doesn't fit ", errors=errors, field_name=name) from None
    except UNFIT:
        raise refusal(field, expectation(field, value)) from None
    return value


def converted(field: BaseField, value: Any) -> Any:
    """``value`` as a document holds it.

    Raises:
        ValidationError: where ``field`` can't hold such a value.
    """
    return _told(field, _converted, value)


def key_field_of(model: Any) -> Any:
    """The field of the primary key of ``model``; ``None`` where it has none (it is abstract)."""
    return model._fields.get(model._meta.get("id_field"))


def key_of(model: Any, value: Any) -> Any:
    """The primary key ``value`` of ``model`` in the form in which it is stored.

    Raises:
        ValidationError: where it can't be a key of ``model``.
    """
    field = key_field_of(model)
    return value if field is None else asked(field, value)


def _told(field: Any, convert: Converter, value: Any) -> Any:
    try:
        return convert(field, value)
    except Misfit as misfit:
        raise refusal(field, str(misfit)) from None
    except FieldDoesNotExist:
        raise
    except ValidationError as exc:
        if exc.field_name is not None and isinstance(field, _OF_OTHERS):
            raise  # it names the member
        is_told = isinstance(field, _OF_OTHERS) or tells_well(field)
        raise refusal(field, exc.message if is_told else expectation(field, value)) from None
    except UNFIT:
        raise refusal(field, expectation(field, value)) from None


# What a filter looks for.


def _asked(field: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, PATTERNS):
        if not holds_text(field):
            raise Misfit("isn't text, so that no pattern fits it")
        return value
    if isinstance(field, ListField):
        return _asked_of_list(field, value)
    if isinstance(field, DictField) and field.field is not None and isinstance(value, Mapping):
        return {key: asked(field.field, each) for key, each in value.items()}
    if isinstance(field, EmbeddedDocumentField) and is_condition(value):
        return value  # as MongoEngine documents it
    if is_condition(value):
        raise Misfit("takes a value: operators stand in the name, as in price__gte, or in __raw__")
    if _is_theirs(field.__class__, "prepare_query_value"):
        prepared = field.prepare_query_value(None, value)
    else:
        prepared = raw(field, _converted(field, value))
    if prepared is None:
        raise misfit(field, value)
    return held(prepared)


def _asked_of_list(field: ListField, value: Any) -> Any:
    inner = field.field
    if inner is None:
        return held(field.to_mongo(list(value) if is_many(value) else value))
    if not is_many(value) or _is_place(inner, value):
        return asked(inner, value)
    members = [asked(inner, each) for each in value]
    if isinstance(field, SortedListField):
        try:
            return _sorted(field, members)
        except (KeyError, TypeError):
            return members
    return members


def _is_place(field: Any, value: Any) -> bool:
    """Whether ``value`` is one place, which is a list of coordinates itself."""
    if not isinstance(field, (GeoJsonBaseField, GeoPointField)):
        return False
    try:
        field.validate(value)
    except ValidationError:
        return False
    return True


def _sorted(field: Any, members: list[Any]) -> list[Any]:
    order, is_reverse = field._ordering, field._order_reverse
    if order is None:
        return sorted(members, reverse=is_reverse)
    return sorted(members, key=lambda member: member[order], reverse=is_reverse)


@cache
def _is_theirs(kind: Any, *names: str) -> bool:
    """Whether an application's own class defines one of the methods called ``names``."""
    definers = (next(parent for parent in kind.__mro__ if name in vars(parent)) for name in names)
    return any(not each.__module__.startswith(("mongoengine.", "datalayer.")) for each in definers)


# What a document holds, and what is stored of it.


def raw(field: Any, value: Any) -> Any:
    """What is stored of ``value``, which a document holds in ``field``."""
    # As MongoEngine finds out what a field's to_mongo takes.
    if "use_db_field" in field.to_mongo.__code__.co_varnames:
        return field.to_mongo(value, use_db_field=True)
    return field.to_mongo(value)


def _converted(field: Any, value: Any) -> Any:
    if _is_theirs(field.__class__, "to_python", "to_mongo", "__set__"):
        return field.to_python(value)
    for kind in type(field).__mro__:
        convert = SINGLE.get(kind) or _OF_SEVERAL.get(kind)
        if convert is not None:
            return convert(field, value)
    return field.to_python(value)


def _part(field: Any, value: Any) -> Any:
    part = field.to_python(value)
    is_generic = isinstance(field, GenericEmbeddedDocumentField)
    if not isinstance(part, BaseDocument if is_generic else field.document_type):
        raise misfit(field, value)
    _check_members(part)
    return part


def _check_members(part: Any) -> None:
    for name, field in part._fields.items():
        value = part._data.get(name)
        if value is not None and name != "_cls":
            converted(field, value)


def _list(field: Any, value: Any) -> Any:
    if not is_many(value):
        raise Misfit("takes a list")
    if field.field is None:
        return field.to_python(list(value))
    return [each if each is None else converted(field.field, each) for each in value]


def _mapping(field: Any, value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise Misfit("takes a mapping")
    if field.field is None:
        return value
    return {
        key: each if each is None else converted(field.field, each) for key, each in value.items()
    }


def _reference(field: Any, value: Any) -> Any:
    model = field.document_type
    field_of_key = key_field_of(model)
    is_key = isinstance(field_of_key, (LazyReferenceField, ReferenceField))
    if isinstance(value, BaseDocument) and (isinstance(value, model) or not is_key):
        if not isinstance(value, model):
            raise Misfit(f"takes a {model.__name__} or its key, and no {type(value).__name__}")
        if value.pk is None:
            raise Misfit("takes only documents that were saved")
        return value
    if isinstance(value, DBRef):  # a LazyReference is one, too
        key_of(value.document_type if isinstance(value, LazyReference) else model, value.id)
        return value
    if field_of_key is None:
        raise misfit(field, value)
    return DBRef(model._get_collection_name(), converted(field_of_key, value))


def _lazy_reference(field: Any, value: Any) -> Any:
    model = field.document_type
    if isinstance(value, (BaseDocument, DBRef)):
        return field.build_lazyref(_reference(field, value))
    return field.build_lazyref(converted(key_field_of(model), value))


def _cached_reference(field: Any, value: Any) -> Any:
    reference = _reference(field, value)
    return (
        reference if isinstance(reference, BaseDocument) else field.document_type(pk=reference.id)
    )


def _generic_reference(field: Any, value: Any) -> Any:
    if isinstance(value, BaseDocument) and value.pk is None:
        raise Misfit("takes only documents that were saved")
    if not isinstance(value, (BaseDocument, DBRef, Mapping, ObjectId)):
        raise misfit(field, value)
    return value


_OF_SEVERAL: Mapping[type, Converter] = {
    CachedReferenceField: _cached_reference,
    DictField: _mapping,
    EmbeddedDocumentField: _part,
    GenericEmbeddedDocumentField: _part,
    GenericReferenceField: _generic_reference,
    LazyReferenceField: _lazy_reference,
    ListField: _list,
    ReferenceField: _reference,
}
_OF_OTHERS = (ComplexBaseField, EmbeddedDocumentField, GenericEmbeddedDocumentField)
