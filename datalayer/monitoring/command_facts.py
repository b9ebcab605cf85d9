"""What a command and its reply tell that may be counted and logged: names and numbers, and nothing
of the documents' contents. Pure functions."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

_NAMES_SOMEBODY = re.compile("user|role", re.IGNORECASE)  # such as createUser
_SENT_DOCUMENTS = {
    "insert": "documents",
    "update": "updates",
    "delete": "deletes",
    "bulkWrite": "ops",
}


_WITHOUT_A_COLLECTION = frozenset(
    {"aggregate", "drop", "dropIndexes", "dropSearchIndex", "updateSearchIndex"}
)
"""What the driver takes for done where the collection isn't there (NamespaceNotFound)."""
_NAMESPACE_NOT_FOUND = 26
_WRITES = frozenset({"insert", "update", "delete", "bulkWrite"})
"""Whose write concerns' errors come with the result."""


def command_in(message: bytes, *, with_documents: bool = False) -> dict[str, Any]:
    """The command that a message to the server (OP_MSG, not compressed) carries; of documents
    that follow it only how many they are, unless they are wanted too."""
    try:
        end = _BODY_AT + _length_at(message, _BODY_AT)
        command: dict[str, Any] = dict(RawBSONDocument(message[_BODY_AT:end]))
        while end < len(message) and message[end] == 1:
            part = end + 1
            end = part + _length_at(message, part)
            key, _, _ = message[part + 4 : end].partition(b"\0")
            places = list(_places(message, part + 5 + len(key), end))
            command[key.decode()] = [
                RawBSONDocument(message[each]) if with_documents else None for each in places
            ]
    except (BSONError, ValueError, struct.error):
        return {}
    return command


_BODY_AT = 21  # behind the header, the flags and the kind of the section


def place_in(name: str, command: Mapping[str, Any] | bytes | None) -> tuple[Any, str | None]:
    """The database and the collection that a command names; of a message, without reading all of
    it, where that can be."""
    if not isinstance(command, bytes) or name == "getMore":
        read = command_in(command) if isinstance(command, bytes) else command
        return (read or {}).get("$db"), collection_of(name, read)
    try:
        end = _BODY_AT + _length_at(command, _BODY_AT)
        # The driver adds it behind what the application gave.
        at = command.rfind(b"\x02$db\0", _BODY_AT, end)
        database = None if at < 0 else _text_at(command, at + 5)
        value = _BODY_AT + 6 + len(name.encode())
        is_text = command[_BODY_AT + 4] == _TEXT and not _names_somebody(name)
        return database, _text_at(command, value) if is_text else None
    except (UnicodeDecodeError, struct.error):
        return None, None


_TEXT = 2  # the BSON type


def _text_at(message: bytes, place: int) -> str:
    return message[place + 4 : place + 3 + _length_at(message, place)].decode()


@lru_cache(maxsize=256)
def _names_somebody(name: str) -> bool:
    return _NAMES_SOMEBODY.search(name) is not None


def operations_in(
    name: str, command: Mapping[str, Any] | bytes | None, reply: Mapping[str, Any]
) -> int | None:
    """How many operations a command holds that may hold several; ``None`` for any other."""
    key = _SENT_DOCUMENTS.get(name)
    if key is None or not command:
        return None
    if name == "insert" and "writeErrors" not in reply and isinstance(reply.get("n"), int):
        return int(reply["n"])
    read = command_in(command) if isinstance(command, bytes) else command
    sent = read.get(key)
    return len(sent) if isinstance(sent, (list, tuple)) else None


def _length_at(message: bytes, place: int) -> int:
    (length,) = struct.unpack_from("<i", message, place)
    return int(length)


def _places(message: bytes, place: int, end: int) -> Iterator[slice]:
    """Where each of the documents stands that are between ``place`` and ``end``."""
    while place < end:
        behind = place + _length_at(message, place)
        yield slice(place, behind)
        place = behind


def failure_in(name: str, reply: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What made the command fail that got this reply; ``None`` for one that was done.

    As the driver has it: errors of single documents and of a write's concern are no failures.
    """
    if not reply.get("ok"):
        ignored = name in _WITHOUT_A_COLLECTION and reply.get("code") == _NAMESPACE_NOT_FOUND
        return None if ignored else reply
    failure: Mapping[str, Any] | None = None
    if "writeConcernError" in reply and name not in _WRITES:
        failure = reply["writeConcernError"]
    return failure


def waits_for_data(name: str, command: Mapping[str, Any] | None) -> bool:
    """Whether the command was to wait for something to happen, as a change stream's does.

    Such a ``getMore``, and no other, says for how long
    (https://www.mongodb.com/docs/manual/reference/command/getMore/).
    """
    return name == "getMore" and command is not None and "maxTimeMS" in command


def collection_of(name: str, command: Mapping[str, Any] | None) -> str | None:
    """The collection a command names: its first value, or a cursor command's own field."""
    if not command or _names_somebody(name):
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
