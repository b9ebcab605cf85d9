"""Cursors whose documents are read from their BSON bytes: where that can be, and how such a cursor
gives them to those who want dictionaries."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.tz_util import utc
from pymongo.synchronous.cursor import Cursor

from datalayer.connections.batch_sizes import SizedBatches, refreshed, weigh
from datalayer.documents.engine.compile.c_core import core


def codec_for(cursor: Any) -> Any:
    """What decodes values of documents that ``cursor`` gives as bytes from now on; ``None`` for a
    cursor that goes on with dictionaries.

    Those are the cursors of other kinds than the driver's (mongomock's), of clients that decrypt,
    with codec options that change what a document is, and those that have given something.
    """
    kind: Any = type(cursor)
    is_one = getattr(kind, "gives_bytes", False)
    if not is_one:
        if core is None or not (kind is Cursor or getattr(kind, "may_give_bytes", False)):
            return None
        if cursor._id is not None or cursor._data or cursor._collection.database.client._encrypter:
            return None
    codec = _codec_of(cursor._codec_options)
    if codec is not None and not is_one:
        cursor.__class__ = _bytes_cursor(kind)
    return codec


_codecs: dict[int, tuple[CodecOptions[Any], Any]] = {}
"""By the identity of the options, which are held so that no others can have it: the cursors of a
collection share its own."""
_MOST_CODECS = 100


def _codec_of(options: CodecOptions[Any]) -> Any:
    """What decodes values with these options; ``None`` where documents are to be dictionaries."""
    known = _codecs.get(id(options))
    if known is not None:
        return known[1]
    codec = None
    if _are_plain(options):
        decode = partial(bson.decode, codec_options=options)
        codec = core.Codec(decode, utc if options.tz_aware else None)
    if len(_codecs) >= _MOST_CODECS:
        _codecs.clear()
    _codecs[id(options)] = options, codec
    return codec


def _are_plain(options: CodecOptions[Any]) -> bool:
    """Whether values are what the part in C makes of them, or ``bson`` one by one."""
    return (
        options.document_class is dict
        and not options.type_registry._decoder_map
        and options.unicode_decode_error_handler in (None, "", "strict")
        and options.datetime_conversion is DatetimeConversion.DATETIME
        and options.tzinfo in (None, utc)
    )


@cache
def _bytes_cursor(kind: Any) -> Any:
    """The class of cursors that hold the documents of their batch as bytes. Whoever iterates over
    one gets the dictionaries that ``kind`` gives."""

    class BytesCursor(kind):  # derived from it alone: cursors become this
        gives_bytes = True

        def _unpack_response(self, response: Any, *args: Any, **kwargs: Any) -> Any:
            split = core.split_reply(response.payload_document)
            if split is None:  # an error, a plan, or what only bson can read
                return super()._unpack_response(response, *args, **kwargs)
            size_bytes = len(response.payload_document)
            response.payload_document, documents = split
            replies = super()._unpack_response(response, *args, **kwargs)
            cursor = replies[0]["cursor"]
            cursor["firstBatch" if "firstBatch" in cursor else "nextBatch"] = documents
            if cursor["id"]:
                weigh(self, size_bytes, len(documents))
            return replies

        def next(self) -> Any:
            """The next document, as a dictionary."""
            return self._decoded(super().next())

        __next__ = next

        def _next_batch(self, result: list[Any], total: int | None = None) -> bool:
            raw: list[Any] = []
            has_more: bool = super()._next_batch(raw, total)
            result.extend(map(self._decoded, raw))
            return has_more

        def _decoded(self, document: Any) -> Any:
            if type(document) is not bytes:
                return document
            return bson.decode(document, self._codec_options)

    if not issubclass(kind, SizedBatches):

        def _refresh(self: Any) -> int:
            return refreshed(self, partial(kind._refresh, self))

        BytesCursor._refresh = _refresh
    BytesCursor.__name__ = BytesCursor.__qualname__ = kind.__name__
    return BytesCursor
