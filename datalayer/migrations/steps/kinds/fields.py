"""Names of stored fields: may a step change them, and does a path lead through arrays?"""

from __future__ import annotations

from typing import Any

from datalayer.context.deadlines import deadline
from datalayer.errors import MigrationError
from datalayer.migrations.steps.targets import Target

COUNT_SECONDS = 3600.0
"""For a count of all documents: one for each step, that nobody waits for in a request."""
_MOST_IDS = 5


def check_names(target: Target, *names: str) -> None:
    """Refuse what is no name of a field that can be changed.

    Raises:
        MigrationError: for an empty name, ``_id``, a part that begins with a dollar or is a number
            (an element of an array), and fields that the collection is sharded by.
    """
    for name in names:
        parts = name.split(".") if isinstance(name, str) else []
        if not parts or not all(parts) or "\0" in name:
            raise target.error(f"{name!r} is no name of a field: give it as it is stored")
        if parts[0] == "_id":
            raise target.error(
                f"_id can't be changed, also by a migration ({target}): put documents with other "
                "ids into another collection with m.transfer()"
            )
        if any(part.startswith("$") or part.isdigit() for part in parts):
            raise target.error(
                f"{name!r} of {target} can't be changed by name: parts that begin with a dollar "
                "and elements of arrays are out of reach; use m.update() or m.each()"
            )
    target.check_not_shard_key(names)


def check_no_arrays(target: Target, *names: str) -> None:
    """Refuse dotted ``names`` that lead through an array somewhere.

    Raises:
        MigrationError: with how many documents have it, and up to five ids.
    """
    arrays = [{prefix: {"$type": "array"}} for name in names for prefix in _prefixes(name)]
    if not arrays:
        return
    query = target.selecting({"$or": arrays})
    if counted := count(target, query):
        raise target.error(
            f"{' and '.join(map(repr, names))} of {target} would lead through arrays in {counted} "
            f"documents ({ids_of(target, query)}); use m.convert() on the array, or m.each()"
        )


def parent_of(name: str) -> str | None:
    """The embedded document that a dotted name is in."""
    parent, _, _ = name.rpartition(".")
    return parent or None


def value_at(document: Any, name: str) -> Any:
    """The value at a path that is there."""
    for part in name.split("."):
        document = document[part]
    return document


def count(target: Target, query: dict[str, Any]) -> int:
    """How many documents ``query`` selects."""
    with deadline(COUNT_SECONDS):
        return int(target.collection.count_documents(query))


def ids_of(target: Target, query: dict[str, Any]) -> str:
    """Up to five ids of the documents that ``query`` selects, to be shown."""
    with deadline(COUNT_SECONDS):
        found = list(target.collection.find(query, {"_id": True}).limit(_MOST_IDS))
    return "_id " + ", ".join(repr(each["_id"]) for each in found)


def stopped(target: Target, kind: str, id: Any, exc: Exception) -> MigrationError:
    """What to raise where a function of the application's fails for a document."""
    where = "the function that it was given"
    if kind == "each":
        where += ", or in saving the document"
    return target.error(
        f"m.{kind}() of {target} stopped at _id {id!r}: {type(exc).__name__} in {where}; all "
        "before it is done. Correct the function or the document, and apply it again"
    )


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]
