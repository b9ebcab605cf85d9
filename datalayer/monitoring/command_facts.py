"""What a command and its reply tell that may be counted and logged: names and numbers, and nothing
of the documents' contents. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_NAMES_SOMEBODY = re.compile("user|role", re.IGNORECASE)  # such as createUser
_SENT_DOCUMENTS = {"insert": "documents", "update": "updates", "delete": "deletes"}


def waits_for_data(name: str, command: Mapping[str, Any] | None) -> bool:
    """Whether the command was to wait for something to happen, as a change stream's does.

    Such a ``getMore``, and no other, says for how long
    (https://www.mongodb.com/docs/manual/reference/command/getMore/).
    """
    return name == "getMore" and command is not None and "maxTimeMS" in command


def collection_of(name: str, command: Mapping[str, Any] | None) -> str | None:
    """The collection a command names: its first value, or a cursor command's own field."""
    if not command or _NAMES_SOMEBODY.search(name):
        return None
    value = command.get("collection") if name == "getMore" else command.get(name)
    return value if isinstance(value, str) else None


def dropped_by(name: str, command: Mapping[str, Any]) -> Iterator[tuple[str | None, str | None]]:
    """The collections, each with its database, that are not what they were after ``command``."""
    if name == "renameCollection":
        for place in (command.get(name), command.get("to")):
            database, _, collection = str(place).partition(".")
            yield database, collection
        return
    named = command.get(name)  # dropDatabase has a number there
    yield (
        command.get("$db"),
        # What holds a time series can be dropped instead of its view.
        named.removeprefix("system.buckets.") if isinstance(named, str) else None,
    )


def documents_in(name: str, command: Mapping[str, Any] | None, reply: Any) -> int | None:
    """How many documents a command sent or its reply brought; ``None`` where neither is known."""
    inserted = reply.get("n") if name == "insert" and isinstance(reply, Mapping) else None
    if isinstance(inserted, int):
        return inserted  # a transfer sends documents in a form that the driver can't count
    if name in _SENT_DOCUMENTS and command:
        sent = command.get(_SENT_DOCUMENTS[name])
        return len(sent) if isinstance(sent, (list, tuple)) else None
    if not isinstance(reply, Mapping):
        return None
    cursor = reply.get("cursor")
    if isinstance(cursor, Mapping):
        batch = cursor.get("firstBatch", cursor.get("nextBatch"))
        return len(batch) if isinstance(batch, list) else None
    count = reply.get("n")
    return count if isinstance(count, int) else None
