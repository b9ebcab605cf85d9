"""Makes filters for querysets out of request data, in which a value never becomes an operator."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import bson
from bson import Decimal128, ObjectId
from mongoengine.errors import (
    FieldDoesNotExist,
    InvalidQueryError,
    LookUpError,
    ValidationError,
)
from mongoengine.fields import (
    BooleanField,
    LazyReferenceField,
    ReferenceField,
    StringField,
)
from mongoengine.queryset import transform

from datalayer.documents.fields.bson_limits import ENCODING, LARGEST_BYTES, shown_key
from datalayer.documents.fields.conversion import key_field_of
from datalayer.documents.fields.refusals import UNFIT, reason_of
from datalayer.documents.from_input import values_of
from datalayer.documents.queries.filter_translation import query

_WITH_LIST = frozenset({"all", "in", "nin"})
_REFUSED = frozenset({"elemMatch", "iregex", "match", "mod", "not", "regex", "type"})
_OPERATORS = {*transform.MATCH_OPERATORS} - {*transform.GEO_OPERATORS} - _REFUSED
_SCALARS = (str, int, float, Decimal, Decimal128, date, ObjectId, UUID)  # datetimes are dates
_TRUTH = {"true": True, "false": False}


def safe_filter(
    model: Any, data: Mapping[str, Any], *, allow: Iterable[str], ignore: Iterable[str] = ()
) -> dict[str, Any]:
    """Keyword arguments for ``model.objects(...)`` from request data such as a query string.

    In a view::

        Advertisement.objects(**db.safe_filter(
            Advertisement, request.args, allow=["category", "price__lte"], ignore=["page"]
        ))

    ``allow`` names what may be asked for, as in a queryset: a field for exact matches
    (``"category"``, ``"address__city"``), or a field with an operator (``"price__lte"``).
    Operators are ``ne``, ``gt``, ``gte``, ``lt``, ``lte``, ``in``, ``nin``, ``all``, ``exists``,
    ``size`` and those on text except regular expressions. Keys in ``ignore`` are left out. Any
    other key is refused rather than left out: without its condition, the filter would match more
    than was asked for. For the same reason so is ``None``, which matches all documents without
    the field; allow ``"field__exists"`` instead. An input without keys gives an empty filter,
    which matches everything.

    Values are single values of the field's type, or text that stands for one; lists only for
    ``in``, ``nin`` and ``all``. Of a multi-dict (Django, Flask) these take all values of a key;
    for the others a key that comes twice is refused.

    Raises:
        ValidationError: for input that doesn't fit, with all such keys in ``errors``.
        FieldDoesNotExist: for a field in ``allow`` that the model lacks.
        ValueError: for an operator in ``allow`` that is none of the above.
    """
    if isinstance(allow, str) or isinstance(ignore, str):
        raise TypeError("allow and ignore are lists of names, not one string")
    operators = {key: _operator_of(model, key) for key in allow}
    if not isinstance(data, Mapping):
        raise ValidationError("the input is not a mapping of names to values")
    ignored = frozenset(ignore)
    found: dict[str, Any] = {}
    errors: dict[str, ValidationError] = {}
    for key in data:
        if key in ignored:
            continue
        try:
            if key not in operators:
                raise ValidationError("is not allowed in this filter")
            found[key] = _condition(model, key, operators[key], values_of(data, key))
        except ValidationError as exc:
            errors[shown_key(key)] = exc
    if errors:
        raise ValidationError(f"the input is no filter for {model.__name__}", errors=errors)
    return found


def _operator_of(model: Any, key: str) -> str | None:
    """The operator in a name of ``allow``, if any."""
    parts = key.split("__")
    operator = parts.pop() if len(parts) > 1 and parts[-1] in transform.MATCH_OPERATORS else None
    if operator is not None and operator not in _OPERATORS:
        raise ValueError(f"the operator of {key!r} can't be allowed for input from outside")
    if "" in parts or "." in key or any(part in transform.MATCH_OPERATORS for part in parts[1:]):
        raise ValueError(f"{key!r} is no field, nor a field with one operator")
    _field_of(model, parts, key)
    return operator


def _field_of(model: Any, parts: list[str], key: str) -> Any:
    try:
        return model._lookup_field([part for part in parts if not part.isdigit()])[-1]
    except (FieldDoesNotExist, LookUpError):
        raise FieldDoesNotExist(f"{model.__name__} has no field for {key!r}") from None


def _condition(model: Any, key: str, operator: str | None, values: list[Any]) -> Any:
    if operator in _WITH_LIST:
        if len(values) == 1 and isinstance(values[0], (list, tuple)):
            values = list(values[0])
        exactly = key.removesuffix(f"__{operator}")
        return [_matching(model, exactly, None, value) for value in values]
    if len(values) != 1:
        raise ValidationError("takes a single value, and was given several")
    (value,) = values
    if operator == "exists":
        return _as_boolean(value)
    if operator == "size":
        if not re.fullmatch("[0-9]{1,9}", str(value)):
            raise ValidationError("takes a whole number")
        return int(value)
    return _matching(model, key, operator, value)


def _matching(model: Any, key: str, operator: str | None, value: Any) -> Any:
    """``value``, in the form that MongoEngine turns into a condition on exactly this value."""
    if not isinstance(value, _SCALARS):
        raise ValidationError("takes a single value")
    parts = key.split("__")
    field = _field_of(model, parts[:-1] if operator else parts, key)
    field = getattr(field, "field", None) or field  # of a list, what it holds
    if isinstance(field, BooleanField):
        return _as_boolean(value)
    if isinstance(field, StringField) and not isinstance(value, str):
        raise ValidationError("takes text")
    if operator in transform.STRING_OPERATORS and not isinstance(value, str):
        raise ValidationError("takes text")
    try:
        if isinstance(field, (ReferenceField, LazyReferenceField)):
            value = key_field_of(field.document_type).to_python(value)
        (sent,) = query(model, {key: value}).values()
        size = len(bson.encode({"": sent}, codec_options=ENCODING))
        kept = _is_same(value, sent[f"${operator}"] if isinstance(sent, dict) else sent)
    except ValidationError as exc:
        raise ValidationError(reason_of(exc)) from None
    except (*UNFIT, InvalidQueryError):
        kept = False
    if not kept or size > LARGEST_BYTES:
        raise ValidationError("does not fit the field")
    return value


def _as_boolean(value: Any) -> bool:
    value = _TRUTH.get(value, value) if isinstance(value, str) else value
    if not isinstance(value, bool):
        raise ValidationError("takes true or false")
    return value


def _is_same(given: Any, sent: Any) -> bool:
    """Whether MongoEngine has kept the value: an ``IntField`` takes 2.7 for 2, and a
    ``DateTimeField`` anything that is no date for ``None``, which every document without it has.
    """
    if sent is None or isinstance(given, bool) != isinstance(sent, bool):
        return False
    if isinstance(given, (int, float)) and isinstance(sent, (int, float)):
        return given == sent
    return True
