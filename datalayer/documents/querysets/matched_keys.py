"""Reads the keys of the documents that a queryset shows, and splits what an operation concerns
into filters that the server takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from mongoengine.errors import OperationError
from mongoengine.queryset.field_list import QueryFieldList
from pymongo.read_preferences import ReadPreference

from datalayer.documents.querysets.scope import Scope, compares_exactly

_STANDARD: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
KEYS_OF_ONE_WRITE = 1_000
BYTES_OF_ONE_FILTER = 12 * 1024 * 1024  # a command takes 16 MiB

Filter = tuple[dict[str, Any], dict[str, Any]]


def keys_of(queryset: Any, *, to_write: bool = False, first: bool = False) -> list[Any]:
    """The ``_id`` of each document that iterating ``queryset`` shows, in its order; with ``first``
    of the first alone.

    With ``to_write`` the primary is asked, whatever the queryset would read from.
    """
    if queryset._none or queryset._empty:
        return []
    reader = queryset.clone()
    reader._loaded_fields = QueryFieldList(["_id"], value=QueryFieldList.ONLY)
    preference = reader._read_preference or reader._collection.read_preference
    if to_write and preference != ReadPreference.PRIMARY:
        reader._read_preference = ReadPreference.PRIMARY
    if first:
        reader._limit = -1  # one batch, and the server keeps no cursor
    return [raw["_id"] for raw in reader._cursor]


def filters_of(queryset: Any, scope: Scope) -> list[Filter]:
    """Filters for writing operations, each with its options, that hold together exactly the
    documents which iterating ``queryset`` shows, each once."""
    if scope.is_empty:
        return []
    if scope.is_a_filter:
        return [(scope.filter, scope.options)]
    return filters_for(keys_of(queryset, to_write=True), scope)


def filters_for(keys: Sequence[Any], scope: Scope) -> list[Filter]:
    """Filters, each with its options, for the documents with these ``keys``."""
    if len(keys) > KEYS_OF_ONE_WRITE:
        # A cursor gives a document twice whose place in an index changes meanwhile.
        keys = list({encoded(key): key for key in keys}.values())
    return [scope.among(some) for some in pieces(keys)]


def keys_in_one(queryset: Any, call: str) -> list[Any]:
    """``keys_of`` for one filter.

    Raises:
        OperationError: names the call where they are more than one command takes, or where the
            queryset's collation makes other documents' keys equal to them.
    """
    keys = keys_of(queryset)
    if queryset._collation is not None and not compares_exactly(keys):
        raise OperationError(
            f"{call} can't concern just what this queryset shows, since its collation takes "
            "keys that are strings for equal to others"
        )
    if sum(len(encoded(key)) for key in keys) > BYTES_OF_ONE_FILTER:
        raise OperationError(
            f"{call} of a queryset like this one takes the keys of its documents along: "
            f"{len(keys)} are more than one command holds"
        )
    return keys


def pieces(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """``keys``, so many at a time as one operation takes."""
    for start in range(0, len(keys), KEYS_OF_ONE_WRITE):
        yield keys[start : start + KEYS_OF_ONE_WRITE]


def encoded(key: Any) -> bytes:
    """Something that is equal for equal keys."""
    return bson.encode({"_": key}, codec_options=_STANDARD)
