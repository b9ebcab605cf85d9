"""What steps take away from documents, kept in the same database until it was put back or is
dropped: a collection for each field, whose documents have the ids of those it was taken from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import ReplaceOne

from datalayer.migrations.steps.kinds.step import Single, Tell, anywhere
from datalayer.migrations.steps.ranges import BY_ID
from datalayer.migrations.steps.targets import Target

KEPT = "datalayer_migration_kept"
_LONGEST_NAMESPACE = 255  # in bytes, with the database


def kept(target: Target, migration: str, field: str) -> Target:
    """Where the values of ``field`` are kept that a migration takes away from ``target``.

    Raises:
        MigrationError: where the names are too long for a name of a collection.
    """
    name = f"{KEPT}:{migration}:{target.name}:{field}"
    size = len(f"{target.connection.settings.database}.{name}".encode())
    if size > _LONGEST_NAMESPACE:
        raise target.error(
            f"what {migration!r} takes away from {field!r} of {target} would be kept in a "
            f"collection whose name has {size} bytes, and a server takes {_LONGEST_NAMESPACE}; "
            "give the migration a shorter name"
        )
    return Target(target.alias, name)


def drop_kept(target: Target, migration: str, field: str) -> Single:
    """``m.drop_kept``."""
    where = kept(target, migration, field)

    def count() -> int:
        return int(where.collection.estimated_document_count())

    def drop(resumed: bool, tell: Tell) -> tuple[int, int]:
        counted = count()
        where.collection.drop()
        return counted, counted

    return Single("drop_kept", target, (field, where.name), drop, count, exists=anywhere)


def keep_by_server(target: Target, field: str, query: Mapping[str, Any], into: Target) -> None:
    """Keep the values of ``field`` of the documents that ``query`` selects, which the server
    copies by itself; the present ones in the place of earlier ones."""
    target.collection.aggregate(
        [
            {"$match": dict(query)},
            {"$project": {"value": f"${field}"}},
            {"$merge": {"into": into.name, "whenMatched": "replace"}},
        ],
        hint=BY_ID,
    )


def keep(into: Target, entries: Iterable[Mapping[str, Any]]) -> None:
    """Keep ``entries``: ``_id``, the ``value`` that was taken, and what it ``became``, if so."""
    writes = [ReplaceOne({"_id": each["_id"]}, dict(each), upsert=True) for each in entries]
    if writes:
        into.collection.bulk_write(writes, ordered=False)
