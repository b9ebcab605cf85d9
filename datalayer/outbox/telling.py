"""What the log says of deliveries that fail: never anything of a document or a key."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from bson import MinKey
from pymongo.collection import Collection

from datalayer.errors import DataLayerError
from datalayer.failures.connecting import kind_of
from datalayer.outbox.entries import Entry, Unreadable, label_of, printable

logger = logging.getLogger("datalayer.outbox")


def tell_refused(entry: Entry, reason: str) -> None:
    """Say that a target refuses a document, or that it can't be sent."""
    label = label_of(entry.id)
    logger.error(
        "%s refuses a document for %s from the outbox (%s); it waits, with those behind it: "
        "`datalayer outbox list` shows it as %s",
        printable(entry.alias),
        printable(entry.collection),
        reason,
        label,
        extra={
            "alias": entry.alias,
            "event": "outbox_refused",
            "collection": entry.collection,
            "entry": label,
        },
    )


def tell_unreadable(broken: Unreadable) -> None:
    """Say that something in the outbox is no entry."""
    label = label_of(broken.id)
    logger.error(
        "the outbox holds what is no entry; it stays there: `datalayer outbox list` shows it as "
        "%s",
        label,
        extra={"event": "outbox_unreadable", "entry": label},
    )


def tell_further(source: str, count: int) -> None:
    """Say how many there were beyond those of which a pass has told one by one."""
    if count > 0:
        logger.error(
            "%d further entries of the outbox of %s could not be delivered: `datalayer outbox "
            "list` shows them",
            count,
            source,
            extra={"alias": source, "event": "outbox_further"},
        )


def tell_unknown_alias(alias: str, exc: Exception) -> None:
    """Say that entries are for a database that this process doesn't know or isn't connected to."""
    logger.error(
        "what is for %r in the outbox waits, until a process delivers that is connected to it: %s",
        alias,
        exc,
        extra={"alias": alias, "event": "outbox_unknown_alias"},
    )


def tell_away(alias: str, exc: Exception) -> None:
    """Say that a target can't be used for now."""
    # The driver's own texts may hold values of documents.
    said = exc if isinstance(exc, DataLayerError) else kind_of(exc)
    logger.warning(
        "what is for %r in the outbox waits, and is tried again: %s",
        alias,
        said,
        extra={"alias": alias, "event": "outbox_waits"},
    )


def tell_gaps(alias: str, first: Sequence[Entry], aside: Collection[Any]) -> None:
    """Say that entries are delivered though the target misses some before them; unless they are
    the first version's, which has left gaps, or those before them were put aside."""
    unexplained = [entry for entry in first if not entry.is_old and not _follows(entry, aside)]
    if unexplained:
        logger.warning(
            "the inbox of %r doesn't know what came before in %d streams, and the outbox holds no "
            "more of it: the inbox was lost, or entries were removed; delivery goes on with what "
            "is there",
            alias,
            len(unexplained),
            extra={"alias": alias, "event": "outbox_gap"},
        )


def _follows(entry: Entry, aside: Collection[Any]) -> bool:
    before = {
        "$gte": {"stream": entry.stream, "number": MinKey()},
        "$lt": {"stream": entry.stream, "number": entry.number},
    }
    return aside.find_one({"_id": before}, {"_id": 1}) is not None
