"""MongoEngine's keywords for updates as MongoDB's updates, with every value in the form in which
its field stores it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from bson import Decimal128
from mongoengine.base.common import UPDATE_OPERATORS
from mongoengine.errors import InvalidQueryError
from mongoengine.fields import (
    CachedReferenceField,
    Decimal128Field,
    DecimalField,
    DictField,
    DynamicField,
    EmbeddedDocumentField,
    FloatField,
    IntField,
    ListField,
    SequenceField,
)
from mongoengine.queryset.transform import COMPARISON_OPERATORS

from datalayer.documents.fields.conversion import asked, stored, validated
from datalayer.documents.fields.refusals import refusal
from datalayer.documents.fields.scalar_conversion import is_condition, is_many
from datalayer.documents.queries.field_paths import FieldPath, field_path_of
from datalayer.documents.queries.filter_translation import condition_on, named, raw_condition

_Change = tuple[str, dict[str, Any]]  # MongoDB's operator, and what it is to change
_Filters = list[Mapping[str, Any]] | None
_NAMES = {"add_to_set": "addToSet", "dec": "inc", "set_on_insert": "setOnInsert"}


def update_of(
    model: Any, keywords: Mapping[str, Any], array_filters: _Filters = None
) -> tuple[dict[str, Any], _Filters]:
    """The update that ``keywords`` stand for, and the ``array_filters`` that belong to it.

    Raises:
        ValidationError: for a value that its field can't hold, or that saving would refuse.
        InvalidQueryError: for a name that the model lacks, and for one path that would be
            changed twice by the same operator, of which MongoEngine would drop one.
    """
    update: dict[str, Any] = {}
    members: dict[str, Any] = {}
    for keyword, value in keywords.items():
        if keyword == "__raw__":
            for operator, changes in value.items():
                present = update.get(operator, {})
                is_mapping = isinstance(changes, Mapping)
                update[operator] = {**present, **changes} if is_mapping else changes
            continue
        operator, target, comparison = _parsed(model, keyword)
        members.update(target.filtered)
        name, changes = _named_change(operator, target, comparison, value)
        present = update.setdefault(f"${name}", {})
        if twice := present.keys() & changes.keys():
            raise InvalidQueryError(f"this update changes {min(twice)!r} twice by ${name}")
        update[f"${name}"] = {**present, **changes}
    filters = array_filters
    if array_filters is not None and members:
        filters = [_array_filter(members, each) for each in array_filters]
    return update, filters


def _parsed(model: Any, keyword: str) -> tuple[str, FieldPath, str | None]:
    """The operator of a keyword, what it changes, and the comparison of a "pull"."""
    parts = keyword.split("__")
    operator = parts.pop(0) if len(parts) > 1 and parts[0] in UPDATE_OPERATORS else "set"
    comparison = None
    if operator == "pull" and len(parts) > 1 and parts[-1] in COMPARISON_OPERATORS:
        comparison = parts.pop()
    if len(parts) > 1 and parts[-1] == "":  # escapes a field called like an operator
        parts.pop()
    return operator, field_path_of(model, parts), comparison


def _named_change(operator: str, target: FieldPath, comparison: str | None, value: Any) -> _Change:
    return named(  # type: ignore[no-any-return]
        target, lambda _: _change(operator, target, comparison, value)
    )


def _change(operator: str, target: FieldPath, comparison: str | None, value: Any) -> _Change:
    if operator == "pull":
        return "pull", _pulled(target, comparison, value)
    if operator == "pull_all":
        return "pullAll", {target.key: _members(target, value, asked)}
    if operator in ("push", "push_all"):
        return "push", _pushed(target, value, is_several=operator == "push_all")
    if operator == "add_to_set":
        return "addToSet", {target.key: _added(target, value)}
    name = _NAMES.get(operator, operator)
    if operator in ("inc", "dec", "mul"):
        return name, {target.key: _amount(target.field, value, is_negative=operator == "dec")}
    if operator == "unset":
        return name, {target.key: 1}
    if operator in ("pop", "rename"):
        return name, {target.key: value}
    return name, {target.key: stored(target.field, value)}


def _member_of(target: FieldPath) -> Any:
    """The field of the members of the list that is changed."""
    field = target.field
    if isinstance(field, ListField):
        return field.field or DynamicField()
    if isinstance(field, (DictField, DynamicField)):
        return DynamicField()
    raise InvalidQueryError(f"{target.key!r} is no list")


def _members(target: FieldPath, value: Any, convert: Callable[[Any, Any], Any]) -> list[Any]:
    if not is_many(value):
        raise refusal(target.field, "takes a list of members")
    member = _member_of(target)
    return [convert(member, each) for each in value]


def _pushed(target: FieldPath, value: Any, *, is_several: bool) -> dict[str, Any]:
    position = None
    if target.parts[-1].isdigit():
        position = int(target.parts[-1])
        key, member = ".".join(target.parts[:-1]), target.field
    else:
        key, member = target.key, _member_of(target)
    if _is_each(value):
        return {key: _each(member, value)}
    several = is_several or (position is not None and is_many(value) and not _is_list(member))
    if not several and position is None:
        return {key: _one(member, value)}
    if is_several and not is_many(value):
        raise refusal(target.field, "takes a list of members")
    changes: dict[str, Any] = {
        "$each": [_one(member, each) for each in (value if several else [value])]
    }
    return {key: changes if position is None else {**changes, "$position": position}}


def _added(target: FieldPath, value: Any) -> Any:
    member = _member_of(target)
    if _is_each(value):
        return _each(member, value)
    if not is_many(value):
        return _one(member, value)
    values = list(value)
    if _is_list(member) and not all(is_many(each) for each in values):
        values = [values]  # one member, which is a list
    return {"$each": [_one(member, each) for each in values]}


def _one(member: Any, value: Any) -> Any:
    """One member of a list, as saving the list would store it."""
    return validated(member, None) if value is None else stored(member, value)


def _is_list(member: Any) -> bool:
    return isinstance(member, ListField)


def _is_each(value: Any) -> bool:
    return is_condition(value) and "$each" in value


def _each(member: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    return {**value, "$each": [_one(member, each) for each in value["$each"]]}


def _pulled(target: FieldPath, comparison: str | None, value: Any) -> dict[str, Any]:
    """The list on the way, and what its members are to be like."""
    member = _member_of(target) if _is_list(target.field) else target.field
    condition = condition_on(member, comparison, value)
    if isinstance(member, CachedReferenceField):
        condition = {"_id": condition}
    outer, inner = target.parts[: target.listed], target.parts[target.listed :]
    if not outer or not inner:
        return {target.key: condition}
    return {".".join(outer): {".".join(inner): condition}}


def _amount(field: Any, value: Any, *, is_negative: bool) -> Any:
    """What is added or multiplied; limits are those of the sum, which only the server knows."""
    if value is None:
        raise refusal(field, "takes a number to add or multiply by")
    if isinstance(field, _NUMBERS):
        number = asked(field, value)
    elif isinstance(field, (DictField, DynamicField)):
        number = Decimal128(value) if isinstance(value, Decimal) else value
    else:
        raise InvalidQueryError(f"{field.name or field.db_field!r} holds no number")
    if isinstance(number, bool) or not isinstance(number, (int, float, Decimal128)):
        raise refusal(field, "takes a number to add or multiply by")
    if not is_negative:
        return number
    return Decimal128(-number.to_decimal()) if isinstance(number, Decimal128) else -number


_NUMBERS = (Decimal128Field, DecimalField, FloatField, IntField, SequenceField)


def _array_filter(members: Mapping[str, Any], condition: Mapping[str, Any]) -> dict[str, Any]:
    """An array filter with the values that the members of the list, by its name, store."""
    found: dict[str, Any] = {}
    for path, value in condition.items():
        if path in ("$and", "$nor", "$or"):
            found[path] = [_array_filter(members, each) for each in value]
            continue
        name, *inner = path.split(".")
        field = members.get(name)
        for part in inner:
            field = _by_key(field, part)
        if field is None:
            found[path] = value
        elif is_condition(value):
            found[path] = raw_condition(field, value)
        else:
            found[path] = asked(field, value)
    return found


def _by_key(field: Any, key: str) -> Any:
    """The field of an embedded document that is stored under ``key``; ``None`` if unknown."""
    while isinstance(field, ListField):
        field = field.field
    if isinstance(field, DictField):
        return field.field
    if isinstance(field, EmbeddedDocumentField):
        fields = field.document_type._fields
        stored_so = (each for each in fields.values() if each.db_field == key)
        return next(stored_so, fields.get(key))
    return None
