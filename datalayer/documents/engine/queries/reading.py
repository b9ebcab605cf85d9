"""What iterating over a queryset gives: the documents of its cursor, from their bytes where it can
give those, or what else was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from mongoengine.queryset.base import BaseQuerySet
from pymongo.cursor import Cursor

from datalayer.connections.read_ahead import read_ahead
from datalayer.documents.engine.mixins import reading_program
from datalayer.documents.engine.program import Program
from datalayer.documents.engine.queries.bytes_cursor import codec_for

plain_next: set[Any] = {BaseQuerySet.__next__}
"""The functions ``__next__`` that give what ``documents`` gives."""


def is_plain(queryset: Any) -> bool:
    """Whether iterating over ``queryset`` gives what ``documents`` gives."""
    return type(queryset).__next__ in plain_next


def shown(queryset: Any) -> Iterator[Any]:
    """What iterating over ``queryset`` gives, without keeping it."""
    if is_plain(queryset):
        return documents(queryset)
    return _by_next(queryset)


def _by_next(queryset: Any) -> Iterator[Any]:
    while True:
        try:
            document = next(queryset)
        except StopIteration:
            return
        yield document


def documents(queryset: Any) -> Iterator[Any]:
    """What the cursor of ``queryset`` gives from where it stands, as it was asked for."""
    if queryset._none or queryset._empty:
        return iter(())
    if queryset._as_pymongo:
        return _dictionaries(queryset)
    model = queryset._document
    dereferences = queryset._auto_dereference
    program = reading_program(model)
    if program is None:
        read = partial(model._from_son, _auto_dereference=dereferences)
        found: Iterator[Any] = map(read, _dictionaries(queryset))
    else:
        found = _read(program if dereferences else program.without_dereferencing, queryset)
    settle = queryset._settling()
    return found if settle is None and not queryset._scalar else _made(found, queryset, settle)


def _dictionaries(queryset: Any) -> Iterator[Any]:
    # Not "yield from": that closes the cursor with this generator, which the caching queryset does
    # after each hundred.
    for raw in _raw(queryset):  # noqa: UP028
        yield raw


def _made(
    found: Iterator[Any], queryset: Any, settle: Callable[[Any], Any] | None
) -> Iterator[Any]:
    for document in found:
        if settle is not None:
            settle(document)
        yield queryset._get_scalar(document) if queryset._scalar else document


def _raw(queryset: Any) -> Any:
    """What gives the documents as the server sent them."""
    cursor = queryset._cursor
    reads_ahead = getattr(queryset, "_reads_ahead", False) and isinstance(cursor, Cursor)
    return read_ahead(cursor) if reads_ahead else cursor


def _read(program: Program, queryset: Any) -> Iterator[Any]:
    """The documents of ``queryset``: from their bytes, where its cursor can give those."""
    cursor = queryset._cursor
    codec = None if program.load is None else codec_for(cursor)
    raws = _raw(queryset)
    if codec is None or cursor._empty or raws is not cursor:
        for raw in raws:
            if type(raw) is bytes:
                yield program.load(raw, codec)  # type: ignore[misc] # it is there
            else:
                yield program.read(raw, False)
        return
    # The batch of the cursor itself, so that whoever else asks it goes on from the same place.
    while cursor._data or cursor._refresh():
        raw = cursor._data.popleft()
        if type(raw) is bytes:
            yield program.load(raw, codec)  # type: ignore[misc] # it is there
        else:
            yield program.read(raw, False)
