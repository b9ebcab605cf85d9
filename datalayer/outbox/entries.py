"""How an entry of the outbox is stored, and what the target remembers of delivered ones.

An entry's ``_id`` is ``{key, number}``: numbers count up from 1 for each key, so the order of
``_id`` is the order of delivery. The target keeps, for each key, the number delivered last, and
writes it in one transaction with the document itself: whoever delivers an entry a second time
finds that out there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from datalayer.core import Connection
from datalayer.documents.collection import plain_collection

__all__ = ["INBOX", "KEYS", "OUTBOX", "Entry", "collection"]

OUTBOX = "datalayer_outbox"
"""In the source: what waits for delivery."""
KEYS = "datalayer_outbox_keys"
"""In the source: the number given out last, by key."""
INBOX = "datalayer_inbox"
"""In the target: the number delivered last, by key."""


@dataclass(frozen=True)
class Entry:
    """One document on its way."""

    key: str
    number: int
    alias: str
    collection: str
    document: Mapping[str, Any]
    ordered: bool
    """Whether others with its key follow it. A key without order belongs to one entry."""

    @property
    def id(self) -> dict[str, Any]:
        """Its ``_id`` in the outbox."""
        return {"key": self.key, "number": self.number}

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Entry:
        """The entry that the outbox holds."""
        return cls(
            key=stored["_id"]["key"],
            number=stored["_id"]["number"],
            alias=stored["alias"],
            collection=stored["collection"],
            document=stored["document"],
            ordered=stored["ordered"],
        )

    def to_stored(self) -> dict[str, Any]:
        """What the outbox holds of it."""
        return {
            "_id": self.id,
            "alias": self.alias,
            "collection": self.collection,
            "document": dict(self.document),
            "ordered": self.ordered,
        }


def collection(connection: Connection, name: str) -> Collection[Any]:
    """A collection of the outbox's own, whose operations raise datalayer's errors.

    Whatever the URI says: what is delivered is what the majority has, and another member than
    the primary may not have heard of it yet, or may still have what was delivered before.
    """
    return plain_collection(connection, name).with_options(
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("majority"),
        write_concern=WriteConcern("majority"),
    )
