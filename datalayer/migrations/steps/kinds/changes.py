"""Steps that the server does by itself: updates, and fields renamed, removed or filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bson
from bson.errors import BSONError

from datalayer import transactions
from datalayer.errors import MigrationError
from datalayer.migrations.steps.batches import Condition, Counts, Work
from datalayer.migrations.steps.kinds.fields import (
    check_names,
    check_no_arrays,
    count,
    ids_of,
    parent_of,
    value_at,
)
from datalayer.migrations.steps.kinds.kept import keep, keep_by_server, kept
from datalayer.migrations.steps.kinds.step import Step
from datalayer.migrations.steps.ranges import BY_ID
from datalayer.migrations.steps.targets import Target
from datalayer.transfer.codecs import DECODED

_REPEATABLE = frozenset({"$set", "$unset", "$max", "$min", "$addToSet", "$pull", "$pullAll"})
"""What may be done twice, where nobody else writes the same in between."""


def update(target: Target, filter: Mapping[str, Any], update: Any) -> Step:
    """``m.update``."""
    _check_update(target, filter, update)
    operators = set(update) if isinstance(update, Mapping) else {"a pipeline"}

    def do(condition: Condition) -> Counts:
        query = target.selecting(condition, filter)
        return _counted(target.collection.update_many(query, update))

    # With transactions it happens once; without them, as often as that changes nothing.
    repeatable = operators <= _REPEATABLE and not target.has_transactions
    return Step(
        "update",
        target,
        (filter, update),
        Work(target, do, limits_itself=repeatable),
        lambda: count(target, target.selecting(filter)),
    )


def rename_field(target: Target, old: str, new: str) -> Step:
    """``m.rename_field``."""
    check_names(target, old, new)
    if f"{old}.".startswith(f"{new}.") or f"{new}.".startswith(f"{old}."):
        raise target.error(
            f"{old!r} of {target} can't be renamed {new!r}: one is in the other; rename it to "
            "another name first"
        )
    there = {old: {"$exists": True}}
    # Both may also be written while this goes on: neither of them is lost.
    only_old = {**there, new: {"$exists": False}}

    def do(condition: Condition) -> Counts:
        query = target.selecting(condition, only_old)
        return _updated(target, query, {"$rename": {old: new}})

    def check() -> None:
        check_no_arrays(target, old, new)
        both = target.selecting({**there, new: {"$exists": True}})
        if counted := count(target, both):
            raise target.error(
                f"{old!r} of {target} can't be renamed {new!r}: {counted} documents have both "
                f"({ids_of(target, both)}), and one would be lost; nothing was written. Remove "
                "the one that isn't needed, with m.remove_field() or m.update()"
            )

    work = Work(target, do, limits_itself=True)
    counting = lambda: count(target, target.selecting(only_old))  # noqa: E731
    return Step("rename_field", target, (old, new), work, counting, check)


def set_default(target: Target, name: str, value: Any) -> Step:
    """``m.set_default``."""
    check_names(target, name)
    value = _storable(target, name, value)
    missing: dict[str, Any] = {name: {"$exists": False}}
    if parent := parent_of(name):  # one that isn't there stays away
        missing[parent] = {"$type": "object"}

    def do(condition: Condition) -> Counts:
        query = target.selecting(condition, missing)
        return _updated(target, query, {"$set": {name: value}})

    return Step(
        "set_default",
        target,
        (name, value),
        Work(target, do, limits_itself=True),
        lambda: count(target, target.selecting(missing)),
        lambda: check_no_arrays(target, name),
    )


def remove_field(target: Target, name: str, migration: str) -> Step:
    """``m.remove_field``."""
    check_names(target, name)
    there = {name: {"$exists": True}}
    into = kept(target, migration, name)

    def do(condition: Condition) -> Counts:
        query = target.selecting(condition, there)
        if transactions.current() is None:
            keep_by_server(target, name, query, into)
        else:  # where the server takes no $merge
            found = target.collection.find(query, {name: True})
            keep(into, ({"_id": each["_id"], "value": value_at(each, name)} for each in found))
        return _updated(target, query, {"$unset": {name: ""}})

    return Step(
        "remove_field",
        target,
        (name,),
        Work(target, do, limits_itself=True),
        lambda: count(target, target.selecting(there)),
        lambda: check_no_arrays(target, name),
    )


def _updated(target: Target, query: Condition, update: Mapping[str, Any]) -> Counts:
    # Without the hint, the server may go through an index on the field for each batch.
    return _counted(target.collection.update_many(query, update, hint=BY_ID))


def _counted(result: Any) -> Counts:
    return result.matched_count, result.modified_count


def _check_update(target: Target, filter: Any, update: Any) -> None:
    if not isinstance(filter, Mapping):
        raise target.error(
            f"m.update() of {target} takes a filter of MongoDB's, {{}} for all documents, unlike "
            f"a {type(filter).__name__}"
        )
    operators = isinstance(update, Mapping) and all(str(key).startswith("$") for key in update)
    pipeline = isinstance(update, list) and all(isinstance(each, Mapping) for each in update)
    if not update or not (operators or pipeline):
        raise target.error(
            f"m.update() of {target} takes update operators ({{'$set': ...}}) or a pipeline; "
            "documents aren't replaced as a whole"
        )
    for part in (filter, update):
        _check_encoding(target, "m.update()", part)


def _storable(target: Target, name: str, value: Any) -> Any:
    if callable(value) and not hasattr(value, "to_mongo"):
        raise target.error(
            f"the default for {name!r} of {target} is a function: every document would get the "
            "same; give a value, or use m.each() for one of each document's own"
        )
    stored = value.to_mongo() if hasattr(value, "to_mongo") else value
    _check_encoding(target, f"the default for {name!r}", stored)
    return stored


def _check_encoding(target: Target, what: str, value: Any) -> None:
    try:
        bson.encode({"value": value}, codec_options=DECODED)
    except (BSONError, TypeError, ValueError, OverflowError) as exc:
        raise MigrationError(
            f"{what} of {target} holds a value that can't be stored ({type(exc).__name__}); give "
            "one that BSON has",
            alias=target.alias,
        ) from None
