"""MongoEngine's keywords for filters as MongoDB's queries, with every value in the form in which
its field stores it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bson import DBRef, ObjectId
from mongoengine.errors import InvalidQueryError, ValidationError
from mongoengine.fields import (
    CachedReferenceField,
    DateField,
    Decimal128Field,
    DecimalField,
    DictField,
    DynamicField,
    EmbeddedDocumentField,
    EnumField,
    GenericReferenceField,
    ListField,
    UUIDField,
)
from mongoengine.queryset import transform
from mongoengine.queryset.visitor import Q, QCombination

from datalayer.documents.fields.conversion import asked
from datalayer.documents.fields.refusals import reason_of, refusal
from datalayer.documents.fields.scalar_conversion import PATTERNS, is_condition, is_many
from datalayer.documents.queries.field_paths import FieldPath, field_path_of
from datalayer.documents.queries.patterns import pattern_of

_GEO = frozenset(transform.GEO_OPERATORS)
_TEXT = frozenset(transform.STRING_OPERATORS)
_WITH_LIST = frozenset({"all", "in", "nin"})
_OPERATORS = frozenset({*transform.MATCH_OPERATORS})
_LIMITS = frozenset({"$maxDistance", "$minDistance"})


def query_of(model: Any, node: Any) -> dict[str, Any]:
    """The query that ``node``, a ``Q`` or a combination of such, stands for.

    Unlike MongoEngine's translation it leaves ``node`` as it is, so that the same ``Q`` may be
    used for another model.

    Raises:
        ValidationError: for a value that its field can't hold.
        InvalidQueryError: for a name or an operator that doesn't fit the model.
    """
    node = _simplified(node)
    if isinstance(node, Q):
        return query(model, node.query)
    if isinstance(node, QCombination):
        operator = "$or" if node.operation == node.OR else "$and"
        return {operator: [query_of(model, child) for child in node.children]}
    if isinstance(node, dict):  # of a combination that MongoEngine has translated before
        return node
    translated: dict[str, Any] = node.to_query(model)
    return translated


def _simplified(node: Any) -> Any:
    """One ``Q`` for an "and" of several that ask for different things, as MongoEngine does."""
    if not isinstance(node, QCombination):
        return node
    children = [_simplified(child) for child in node.children]
    if node.operation == node.AND and all(isinstance(child, Q) for child in children):
        merged: dict[str, Any] = {}
        for child in children:
            merged.update(child.query)
        if len(merged) == sum(len(child.query) for child in children):
            return Q(**merged)
    return QCombination(node.operation, children)


def query(model: Any, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The query that the ``keywords`` of a filter stand for; raises as ``query_of``."""
    found: dict[str, Any] = {}
    near: dict[str, Any] = {}
    for keyword, value in sorted(keywords.items()):
        if keyword == "__raw__":
            for path, condition in value.items():
                _add(found, path, condition)
            continue
        parts, operator, is_negated = _parsed(keyword)
        if operator in _GEO:
            near[keyword] = value
            continue
        target = field_path_of(model, parts)
        condition = named(target, condition_on, operator, value)
        path = _path_for(target, condition)
        _add(found, path, _negated(condition) if is_negated else condition)
    if near:
        for path, condition in transform.query(model, **near).items():
            _add(found, path, condition)
    return found


def _parsed(keyword: str) -> tuple[list[str], str | None, bool]:
    """The names in a keyword, its operator, and whether "not" stands before that."""
    parts = keyword.split("__")
    operator = parts.pop() if len(parts) > 1 and parts[-1] in _OPERATORS else None
    if len(parts) > 1 and parts[-1] == "":  # escapes a field called like an operator
        parts.pop()
    is_negated = len(parts) > 1 and parts[-1] == "not"
    if is_negated:
        parts.pop()
    return parts, operator, is_negated


def _path_for(target: FieldPath, condition: Any) -> str:
    """Where the condition applies; references hold more than the key that is asked for."""
    if isinstance(target.field, CachedReferenceField):
        return f"{target.key}._id"
    member = target.field.field if isinstance(target.field, ListField) else target.field
    if isinstance(member, CachedReferenceField):
        return f"{target.key}._id"
    if isinstance(member, GenericReferenceField):
        return target.key + _inside_generic(condition)
    return target.key


def _inside_generic(condition: Any) -> str:
    (values,) = condition.values() if is_condition(condition) else (condition,)
    kinds = {type(value) for value in (values if isinstance(values, list) else [values])}
    kinds.discard(type(None))
    if kinds == {DBRef}:
        return "._ref"
    if kinds == {ObjectId}:
        return "._ref.$id"
    if kinds & {DBRef, ObjectId}:
        raise InvalidQueryError("a list holds documents, references or keys, not several of them")
    return ""


def condition_on(field: Any, operator: str | None, value: Any) -> Any:
    """What MongoDB is told for a filter's ``operator`` and ``value``; raises as ``query_of``."""
    if operator in (None, "ne") and value is None and (nothing := _nothing(field)) is not None:
        return {"$nin" if operator else "$in": [None, nothing]}
    if operator is None:
        return _sought(field, value)
    if operator in _TEXT:
        found = pattern_of(field, operator, value)
        return _sought(field, value) if found is None else found
    if operator in ("match", "elemMatch"):
        return {"$elemMatch": _of_member(field, value)}
    if operator in _WITH_LIST:
        return {f"${operator}": _sought_each(field, operator, value)}
    if operator == "not" and not isinstance(value, PATTERNS):
        is_whole = is_condition(value)
        return {
            "$not": raw_condition(field, value) if is_whole else {"$eq": _sought(field, value)}
        }
    convert = _BY_OPERATOR.get(operator, _sought)
    return {f"${operator}": convert(field, value)}


def _sought(field: Any, value: Any) -> Any:
    found = asked(field, value)
    if isinstance(field, CachedReferenceField) and isinstance(found, Mapping):
        return found["_id"]
    if isinstance(field, ListField) and isinstance(field.field, CachedReferenceField):
        return [each["_id"] for each in found] if isinstance(found, list) else found["_id"]
    return found


def _sought_each(field: Any, operator: str, value: Any) -> list[Any]:
    if not is_many(value):
        raise refusal(field, f"takes a list of values for {operator!r}, and not one value")
    values = [_sought(field, each) for each in value]
    nothing = _nothing(field)
    if nothing is not None and operator != "all" and None in values and nothing not in values:
        values.append(nothing)
    return values


def _nothing(field: Any) -> Any:
    """What is stored for ``None`` in a field that is empty then; ``None`` for any other field."""
    if isinstance(field, (DictField, ListField)) and field.default in (dict, list):
        return None if field.null else field.default()
    return None


def _exists(field: Any, value: Any) -> bool:
    if not isinstance(value, (bool, int, float)) or value not in (0, 1):
        raise refusal(field, "takes true or false for 'exists'")
    return bool(value)


def _size(field: Any, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise refusal(field, "takes a whole number for 'size'")
    return int(value)


def _unchanged(field: Any, value: Any) -> Any:
    return value


_BY_OPERATOR: Mapping[str, Callable[[Any, Any], Any]] = {
    "exists": _exists,
    "mod": _unchanged,
    "size": _size,
    "type": _unchanged,
}


def _of_member(field: Any, value: Any) -> Any:
    """The condition on one member of a list, for "match"."""
    member = field.field if isinstance(field, ListField) else field
    if is_condition(value):
        return raw_condition(member, value)
    if isinstance(member, EmbeddedDocumentField) and isinstance(value, Mapping):
        return query(member.document_type, value)
    if isinstance(value, Q | QCombination) and isinstance(member, EmbeddedDocumentField):
        return query_of(member.document_type, value)
    if member is None or isinstance(member, (DictField, DynamicField)):
        return asked(DynamicField(), value)
    return asked(member, value)


def raw_condition(field: Any, condition: Mapping[str, Any]) -> dict[str, Any]:
    """A condition in MongoDB's own operators, with the values that ``field`` stores."""
    converted: dict[str, Any] = {}
    for operator, value in condition.items():
        name = operator[1:]
        if name == "not" and is_condition(value):
            converted[operator] = raw_condition(field, value)
        elif name in ("eq", "ne", "gt", "gte", "lt", "lte", *_WITH_LIST):
            converted[operator] = (
                _sought_each(field, name, value) if name in _WITH_LIST else _sought(field, value)
            )
        else:
            converted[operator] = value
    return converted


def as_documents_have(model: Any, path: str, values: Any) -> Any:
    """The stored ``values`` of single fields at the dotted ``path``, in the form that documents of
    ``model`` have; others, and those of a path that isn't the model's, as they are."""
    try:
        field = field_path_of(model, path.split(".")).field
    except InvalidQueryError:
        return values
    while isinstance(field, ListField) and field.field is not None:
        field = field.field
    if not isinstance(field, _CONVERTED_WHEN_LOADED):
        return values
    return [value if value is None else field.to_python(value) for value in values]


_CONVERTED_WHEN_LOADED = (DateField, Decimal128Field, DecimalField, EnumField, UUIDField)


def named(target: FieldPath, convert: Callable[..., Any], *args: Any) -> Any:
    """What ``convert`` makes for the field at ``target``; what it refuses is named by its path."""
    try:
        return convert(target.field, *args)
    except ValidationError as exc:
        names_it = exc.field_name == target.field.name and len(target.parts) == 1
        if names_it or exc.field_name not in (None, target.field.name):
            raise
        raise refusal(target.field, reason_of(exc), target.key) from None


def _negated(condition: Any) -> dict[str, Any]:
    is_whole = is_condition(condition) or isinstance(condition, PATTERNS)
    return {"$not": condition if is_whole else {"$eq": condition}}


def _add(found: dict[str, Any], path: str, condition: Any) -> None:
    """Another condition, so that all hold."""
    if path == "$and":
        found.setdefault("$and", []).extend(condition)
    elif path not in found:
        found[path] = condition
    elif _are_joinable(found[path], condition):
        found[path] = {**found[path], **condition}
    elif found[path] != condition:
        found.setdefault("$and", []).append({path: condition})


def _are_joinable(present: Any, condition: Any) -> bool:
    return (
        is_condition(present)
        and is_condition(condition)
        and not present.keys() & condition.keys()
        and not (present.keys() | condition.keys()) & _LIMITS
    )
