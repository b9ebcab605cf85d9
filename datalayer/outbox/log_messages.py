"""What the log says of deliveries that fail: never anything of a document or a key."""

from __future__ import annotations

import logging

from datalayer.errors import DataLayerError
from datalayer.failures.connecting import kind_of
from datalayer.failures.redaction import without_contents
from datalayer.outbox.entries import Entry, Unreadable, label_of, printable

logger = logging.getLogger("datalayer.outbox")


def log_refused(entry: Entry, reason: str) -> None:
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


def log_unreadable(broken: Unreadable) -> None:
    """Say that something in the outbox is no entry."""
    label = label_of(broken.id)
    logger.error(
        "the outbox holds what is no entry; it stays there: `datalayer outbox list` shows it as "
        "%s",
        label,
        extra={"event": "outbox_unreadable", "entry": label},
    )


def log_further(source: str, count: int) -> None:
    """Say how many there were beyond those of which a pass has told one by one."""
    if count > 0:
        logger.error(
            "%d further entries of the outbox of %s could not be delivered: `datalayer outbox "
            "list` shows them",
            count,
            source,
            extra={"alias": source, "event": "outbox_further"},
        )


def log_unknown_alias(alias: str, exc: Exception) -> None:
    """Say that entries are for a database that this process doesn't know or isn't connected to."""
    logger.error(
        "what is for %r in the outbox waits, until a process delivers that is connected to it: %s",
        alias,
        exc,
        extra={"alias": alias, "event": "outbox_unknown_alias"},
    )


def log_away(alias: str, exc: Exception) -> None:
    """Say that a target can't be used for now."""
    # The driver's own texts may hold values of documents.
    said = exc if isinstance(exc, DataLayerError) else kind_of(exc)
    logger.warning(
        "what is for %r in the outbox waits, and is tried again: %s",
        alias,
        said,
        extra={"alias": alias, "event": "outbox_waits"},
    )


def log_gap(alias: str, streams: int) -> None:
    """Say that entries are delivered though the target misses some before them."""
    logger.warning(
        "the inbox of %r doesn't know what came before in %d streams, and the outbox holds no "
        "more of it: the inbox was lost, or entries were removed; delivery goes on with what is "
        "there",
        alias,
        streams,
        extra={"alias": alias, "event": "outbox_gap"},
    )


def log_pass_failed(source: str, pause: float, exc: Exception) -> None:
    """Say that a relay tries again in ``pause`` seconds."""
    if isinstance(exc, DataLayerError):
        logger.warning(
            "the outbox is tried again in %.1f s: %s",
            pause,
            exc,
            extra={"alias": exc.alias, "event": "outbox_waits"},
        )
    else:
        logger.error(
            "delivering from the outbox failed, and is tried again in %.1f s",
            pause,
            exc_info=without_contents(exc),
            extra={"alias": source, "event": "outbox"},
        )
