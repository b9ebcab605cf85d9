"""What a model's ``reverse_delete_rule`` does to the documents that refer to deleted ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mongoengine.errors import OperationError
from mongoengine.queryset import CASCADE, DENY, NULLIFY, PULL

from datalayer.documents.querysets.matched_keys import pieces


def has_delete_rules(model: Any) -> bool:
    """Whether something is to be done to other documents before those of ``model`` go."""
    return any(_rules_of(model))


def follow_delete_rules(
    model: Any,
    keys: Sequence[Any],
    write_concern: dict[str, Any] | None,
    cascade_refs: set[Any] | None,
) -> None:
    """Do what the rules say for the documents of ``model`` with these keys, which are deleted
    next. ``cascade_refs`` are the keys that a deletion further up takes care of.

    Raises:
        OperationError: where a rule forbids to delete one of them; nothing was changed.
    """
    field = model._fields[model._meta["id_field"]]
    some = [[field.to_python(key) for key in piece] for piece in pieces(keys)]
    for referring, name, rule in _rules_of(model):
        if rule == DENY and any(
            _is_there(referring.objects(**{f"{name}__in": each})) for each in some
        ):
            raise OperationError(
                f"Could not delete document ({referring.__name__}.{name} refers to it)"
            )
    for referring, name, rule in _rules_of(model):
        if rule == CASCADE:
            _cascade(model, referring, name, some, write_concern, cascade_refs)
        for each in some if rule in _CHANGES else ():
            referring.objects(**{f"{name}__in": each}).update(
                write_concern=write_concern, **_CHANGES[rule](name, each)
            )


_CHANGES: dict[int, Callable[[str, list[Any]], dict[str, Any]]] = {
    NULLIFY: lambda name, keys: {f"unset__{name}": 1},
    PULL: lambda name, keys: {f"pull_all__{name}": keys},
}


def _cascade(
    model: Any,
    referring: Any,
    name: str,
    some: list[list[Any]],
    write_concern: dict[str, Any] | None,
    cascade_refs: set[Any] | None,
) -> None:
    kept = set() if cascade_refs is None else cascade_refs
    if model._get_collection() == referring._get_collection():
        kept.update(key for each in some for key in each)  # they may refer to one another
    for each in some:
        referring_to_it = referring.objects(**{f"{name}__in": each, "pk__nin": kept})
        if _is_there(referring_to_it):
            referring_to_it.delete(write_concern=write_concern, cascade_refs=kept)


def _is_there(referring: Any) -> bool:
    return referring.order_by().only("pk").first() is not None


def _rules_of(model: Any) -> Iterable[tuple[Any, str, int]]:
    for (referring, name), rule in (model._meta.get("delete_rules") or {}).items():
        if not referring._meta.get("abstract"):
            yield referring, name, rule
