"""Whether another document has a value that has to be unique: asked before a form is saved, as the
unique indexes of the document's class say. Between the question and the save another may take the
value, which the index refuses then."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mongoengine.errors import NotUniqueError, ValidationError

from datalayer.indexes.declared import alias_of, plan_for


def taken(
    document: Any, names: Collection[str], ignored: Collection[str], *, is_new: bool
) -> Iterator[list[str]]:
    """The fields of each unique index of which another document has the same values; of a new
    document's key too.

    Only indexes are asked of that hold one of ``names``, and none of ``ignored``.
    """
    model = type(document)
    for fields in (*([[model._meta["id_field"]]] if is_new else []), *_unique(model)):
        if not set(fields) & set(names) or set(fields) & set(ignored):
            continue
        values = {name: getattr(document, name) for name in fields}
        if None in values.values():
            continue  # it is for the index to say whether it counts
        if _is_taken(model, None if is_new else document.pk, values):
            yield fields


def refused_fields(model: Any, refused: NotUniqueError) -> list[str]:
    """The fields of the index that refused a document."""
    told = refused.__cause__ or refused.__context__  # the driver's
    details = getattr(told, "details", None) or {}
    return _names(model, details.get("keyPattern") or {}) or []


def _is_taken(model: Any, own_key: Any, values: Mapping[str, Any]) -> bool:
    try:
        found = model.objects(**values).no_dereference().only("pk").limit(2)
        return any(each.pk != own_key for each in found)
    except ValidationError:
        return False  # it is no value of the field; that is told elsewhere


def _unique(model: Any) -> Iterator[list[str]]:
    plan = plan_for(model, alias_of(model), model._get_collection_name())
    for index in plan.indexes:
        declared = index.document
        if declared.get("unique") and "partialFilterExpression" not in declared:
            names = _names(model, declared["key"])
            if names:
                yield names


def _names(model: Any, keys: Mapping[str, Any]) -> list[str] | None:
    """The attributes behind the keys of an index, but for the class's; ``None`` where one lies
    inside of another."""
    by_key = {field.db_field: name for name, field in model._fields.items()}
    wanted = [key for key in keys if key != "_cls"]
    return [by_key[key] for key in wanted] if all(key in by_key for key in wanted) else None
