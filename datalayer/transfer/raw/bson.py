"""Documents as the bytes that the server holds: their ids, as values and as keys to look them up
by, and their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import bson
from bson import Int64, ObjectId
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from datalayer.errors import TransferError
from datalayer.transfer.codecs import DECODED, RAW
from datalayer.transfer.raw.comparison_keys import (
    LENGTH,
    key_of_integer,
    key_of_text,
    key_of_value,
    size_of,
)

_DOCUMENT, _OBJECT_ID, _POINTER = 0x03, 0x07, 0x0C
_ID_NAME = b"_id\x00"
OBJECT_ID_ELEMENT = bytes([_OBJECT_ID]) + _ID_NAME
"""How a document begins, behind its length, where an ObjectId is its ``_id``."""
OBJECT_ID_SIZE = 12
_VALUE = 9  # where the value of a leading _id begins: length, type and name come before it
_END = _VALUE + OBJECT_ID_SIZE


def id_of(raw: bytes) -> Any:
    """The ``_id`` of a document, without decoding the rest where it comes first, as it does in
    all that the server has stored itself.

    Raises:
        TransferError: for a DBPointer, which was given up long ago and which no driver can send.
    """
    if raw[4:_VALUE] == OBJECT_ID_ELEMENT:
        return ObjectId(raw[_VALUE:_END])
    if raw[5:_VALUE] != _ID_NAME:
        return exactly(bson.decode(raw, RAW)["_id"])
    kind = raw[4]
    if kind == _POINTER:
        raise TransferError(
            "a document has an _id of the kind DBPointer, which no driver can send any more; give "
            "it another _id, or leave it out with the filter"
        )
    ends = _VALUE + size_of(kind, raw, _VALUE)
    if kind == _DOCUMENT:
        return _decoded(raw[_VALUE:ends])
    element = raw[4:ends]
    return bson.decode(LENGTH.pack(len(element) + 5) + element + b"\x00", DECODED)["_id"]


def exactly(identifier: Any) -> Any:
    """An id that was read with ``RAW``, in the form that ``id_of`` gives it."""
    if isinstance(identifier, RawBSONDocument):
        return _decoded(bytes(identifier.raw))
    return identifier


def _decoded(document: bytes) -> Any:
    """A document that is an id: as a mapping where that gives the same bytes back, or else as the
    bytes that it is. Symbols, say, or two fields of one name, are lost on the way."""
    try:
        found = bson.decode(document, DECODED)
        same = bson.encode(found, codec_options=DECODED) == document
    except (BSONError, ValueError, TypeError):
        same = False
    return found if same else RawBSONDocument(document, RAW)


def key_of(identifier: Any) -> bytes:
    """An id as something to look up: the same for two ids if the server takes them for equal,
    5 and 5.0 say. Where a collection has a collation, texts may be equal beyond that."""
    if isinstance(identifier, ObjectId):
        return identifier.binary
    kind = type(identifier)
    if kind is str:
        return key_of_text(identifier)
    if kind is int or kind is Int64:
        return key_of_integer(identifier)
    encoded = bson.encode({"": identifier}, codec_options=DECODED)
    return key_of_value(encoded[4], encoded[6:-1])


def key_in(raw: bytes) -> bytes:
    """The key of a document's ``_id``."""
    if raw[4:_VALUE] == OBJECT_ID_ELEMENT:
        return raw[_VALUE:_END]
    if raw[5:_VALUE] != _ID_NAME:
        return key_of(id_of(raw))
    kind = raw[4]
    return key_of_value(kind, raw[_VALUE : _VALUE + size_of(kind, raw, _VALUE)])


def same_id(one: bytes, other: bytes) -> bool:
    """Whether two documents have the same ``_id`` in the same type. With an equal one of another
    type, neither is a copy of the other."""
    return _id_bytes(one) == _id_bytes(other)


def _id_bytes(raw: bytes) -> bytes:
    if raw[5:_VALUE] != _ID_NAME:
        return bson.encode({"_id": id_of(raw)}, codec_options=DECODED)[4:-1]
    return raw[4 : _VALUE + size_of(raw[4], raw, _VALUE)]


def keys_of(ids: Iterable[Any]) -> set[bytes]:
    """Ids as something to look others up in."""
    return set(map(key_of, ids))


def split(batches: Iterable[bytes]) -> Iterator[bytes]:
    """The documents that stand one after the other in ``batches``."""
    for batch in batches:
        at = 0
        while at < len(batch):
            (length,) = LENGTH.unpack_from(batch, at)
            yield batch[at : at + length]
            at += length


def digest_of(documents: Iterable[bytes]) -> str:
    """A digest of documents in the order given; how they are cut into pieces doesn't matter.

    SHA-256, for which processors have instructions: twice as fast as BLAKE2 there.
    """
    digest = hashlib.sha256()
    for document in documents:
        digest.update(document)
    return digest.hexdigest()
