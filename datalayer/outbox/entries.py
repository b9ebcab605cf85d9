"""How an entry of the outbox is stored, and what is read back of it.

An entry's ``_id`` is ``{stream, number}``. A stream is what one source leaves for one target under
one key; its id is drawn in the source when the key is first used for that target, and stored there
with the number given out last. So nobody else has it, whatever processes call their databases.
Numbers count up from 1, and the order of ``_id`` is the order of delivery. The target keeps, for
each stream, the number delivered last, and writes it in one transaction with the document itself:
whoever delivers an entry a second time finds that out there.

The first version counted by key alone, ``{key, number}``, and the target knew the key. Its entries
are still read and delivered, by what it has left at the target.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import bson
from bson import CodecOptions, Decimal128, ObjectId
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from datalayer.connections.connection import Connection
from datalayer.documents.collection import plain_collection

OUTBOX = "datalayer_outbox"
"""In the source: what waits for delivery."""
KEYS = "datalayer_outbox_keys"
"""In the source: the stream and the number given out last, by target and key."""
ASIDE = "datalayer_outbox_aside"
"""In the source: entries that somebody took out of the outbox, to be put back some day."""
DATABASES = "datalayer_outbox_databases"
"""In the source's own database: the others of its server in which entries wait, or have waited."""
INBOX = "datalayer_inbox"
"""In the target: the number delivered last, by stream."""

# Undecoded documents, so that they arrive as they were written down; and nothing that somebody
# else wrote into the fields around them keeps an entry from being read.
_RAW: CodecOptions[Any] = CodecOptions(
    document_class=RawBSONDocument,
    uuid_representation=UuidRepresentation.STANDARD,
    unicode_decode_error_handler="replace",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)

Stream: TypeAlias = tuple[str, Hashable]
"""What is delivered in order: a target's alias and a stream, to be compared in Python."""


@dataclass(frozen=True)
class Entry:
    """One document on its way."""

    id: Mapping[str, Any]
    """Its ``_id`` in the outbox."""
    stream_id: Any
    """What the target knows it by: the stream's id, or the key of the first version."""
    number: int
    alias: str
    collection: str
    document: Mapping[str, Any]
    ordered: bool
    """Whether others of its stream follow. Without a key an entry has a stream of its own."""
    database: str | None = None
    """The target's database, where it isn't the alias's own."""
    key: Any = None
    behind: int | None = None
    """It comes after the first version's entries for its key up to this number."""
    is_old: bool = False
    """Whether the first version wrote it."""
    held: bool = False
    """Whether somebody said that it and those behind it are to wait."""
    span: str | None = None
    """The span in which it was added, where that process was traced."""

    @property
    def stream(self) -> Stream:
        """Which others it has to keep its order with."""
        return self.alias, _comparable(self.stream_id) if self.is_old else self.stream_id


@dataclass(frozen=True)
class Unreadable:
    """A document in the outbox that is no entry. It stays where it is."""

    id: Any

    @property
    def stream(self) -> Stream:
        """What keeps it apart from all others."""
        return "", label_of(self.id)


def read(stored: Mapping[str, Any]) -> Entry | Unreadable:
    """What the outbox holds, which others may have written to."""
    identity = stored["_id"]
    if not isinstance(identity, Mapping):
        return Unreadable(identity)
    number: Any = identity.get("number")
    alias, name = stored.get("alias"), stored.get("collection")
    document, behind, span = stored.get("document"), stored.get("behind"), stored.get("span")
    is_old, database = "key" in identity, stored.get("database")
    if (
        (is_old or isinstance(identity.get("stream"), ObjectId))
        and (is_whole(number) and number >= 1)
        and (isinstance(alias, str) and isinstance(name, str) and name)
        and (isinstance(document, Mapping) and "_id" in document)
        and (database is None or isinstance(database, str))
    ):
        return Entry(
            id=identity,
            stream_id=identity["key" if is_old else "stream"],
            number=int(number),
            alias=alias,
            collection=name,
            document=document,
            ordered=bool(stored.get("ordered", True)),
            database=database,
            key=identity["key"] if is_old else stored.get("key"),
            behind=behind if isinstance(behind, int) else None,
            is_old=is_old,
            held=stored.get("held_at") is not None,
            span=span if isinstance(span, str) else None,
        )
    return Unreadable(identity)


def label_of(identity: Any) -> str:
    """How people name an entry. It tells nothing of its key, which may be somebody's address."""
    if isinstance(identity, Mapping) and isinstance(identity.get("stream"), ObjectId):
        number = identity.get("number")
        if isinstance(number, int):
            return f"{identity['stream']}-{number}"
    digest = hashlib.sha256(bson.encode({"": identity}, codec_options=_RAW)).hexdigest()
    return f"old-{digest[:16]}"


def printable(text: object) -> str:
    """What somebody else may have written into an entry, for a log or a terminal."""
    return text if isinstance(text, str) and text.isprintable() else ascii(text)


def collection(connection: Connection, name: str) -> Collection[Any]:
    """A collection of the outbox's own, whose operations raise datalayer's errors.

    Whatever the URI says: what is delivered is what the majority has, and another member than
    the primary may not have heard of it yet, or may still have what was delivered before.
    """
    return as_outbox(plain_collection(connection, name))


def as_outbox(found: Collection[Any]) -> Collection[Any]:
    """``found`` with the options of the outbox's collections."""
    return found.with_options(
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("majority"),
        write_concern=WriteConcern("majority"),
    )


def raw(outbox: Collection[Any]) -> Collection[Any]:
    """``outbox`` with the codecs in which ``read`` takes entries."""
    return outbox.with_options(codec_options=_RAW)


def is_whole(number: Any) -> bool:
    """Whether it is a whole number, in whichever type somebody has stored it."""
    return isinstance(number, int) or (isinstance(number, float) and number.is_integer())


def _comparable(key: Any) -> Hashable:
    """A key of the first version, equal to another where the server takes both for one."""
    if isinstance(key, Decimal128):
        key = key.to_decimal()
    elif isinstance(key, bool) or not isinstance(key, (int, float)):
        return bson.encode({"": key}, codec_options=_RAW)
    return "NaN" if key != key else key
