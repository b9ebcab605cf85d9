"""Inserts documents as the bytes that they are. The driver's own bulk writes handle each document,
which takes longer than sending it, and have the server keep a record of each for retrying them:
a transfer's journal knows already what is to be written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from datalayer.errors import TransferError
from datalayer.transfer.endpoint import MAJORITY, Endpoint
from datalayer.transfer.raw.bson import id_of

_MOST_BYTES = 12 * 2**20
"""Below the 16 MiB that the driver lets a document have, for what it takes to be one."""
_MOST_DOCUMENTS = 100_000
"""The server's ``maxWriteBatchSize``."""


def insert(endpoint: Endpoint, collection: str, documents: Sequence[bytes]) -> None:
    """Insert ``documents``, in any order; those that the server refuses stop no others.

    Unlike the driver's it is not tried again: after a fail-over, some may have been inserted.

    Raises:
        BulkWriteError: with what the server refused, as the driver would.
    """
    errors: list[dict[str, Any]] = []
    unconfirmed: list[Any] = []
    sent = 0
    for piece in _pieces(documents):
        reply = endpoint.database.command(
            {
                "insert": collection,
                "ordered": False,
                "writeConcern": MAJORITY.document,
                "documents": [_Joined(piece)],
            }
        )
        refused = reply.get("writeErrors", [])
        if reply["n"] + len(refused) != len(piece):
            raise TransferError(
                f"{endpoint.alias!r} was sent {len(piece)} documents for {collection!r} and tells "
                f"of {reply['n'] + len(refused)}",
                alias=endpoint.alias,
            )
        errors += ({**each, "index": sent + each["index"]} for each in refused)
        unconfirmed += filter(None, [reply.get("writeConcernError")])
        sent += len(piece)
    if errors or unconfirmed:
        raise BulkWriteError({"writeErrors": errors, "writeConcernErrors": unconfirmed})


def replacement(raw: bytes) -> ReplaceOne[RawBSONDocument]:
    """What puts a document into the place of the one with its ``_id``, or adds it."""
    return ReplaceOne({"_id": id_of(raw)}, RawBSONDocument(raw), upsert=True)


class _Joined(RawBSONDocument):
    """Documents one after the other, for the driver to put where it puts one.

    A message holds an insert's documents in just that form
    (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/, kind 1 of a section).
    """

    def __init__(self, documents: Sequence[bytes]) -> None:
        super().__init__(documents[0])
        self._joined = b"".join(documents)

    @property
    def raw(self) -> bytes:
        """What is sent."""
        return self._joined


def _pieces(documents: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """``documents`` in as few pieces as messages take."""
    if len(documents) <= _MOST_DOCUMENTS and sum(map(len, documents)) <= _MOST_BYTES:
        yield documents
        return
    begin = size = 0
    for at, raw in enumerate(documents):
        if at > begin and (size + len(raw) > _MOST_BYTES or at - begin == _MOST_DOCUMENTS):
            yield documents[begin:at]
            begin, size = at, 0
        size += len(raw)
    yield documents[begin:]
