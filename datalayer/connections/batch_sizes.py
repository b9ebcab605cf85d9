"""How many documents is the next batch of a cursor asked for, where its caller doesn't say?

The server would send 16 MB at a time: fresh memory for each batch, which leaves the processor's
caches before it is used. A megabyte is read up to twice as fast as that
(``benchmarks/batches.py``), unless the server is so far away that most of the time were spent on
waiting for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from pymongo import CursorType

BYTES = 2**20
"""What a batch weighs where nothing asks for more. With half or twice of it dictionaries take as
long; bytes take longer in smaller ones, of which each costs 0.2 ms."""
MOST_BYTES = 16 * 2**20
"""What the server sends at once, whatever it is asked for."""
_TIMES_THE_WAITING = 10
"""So much longer than waiting for a batch its use should take."""
_NEAR_SECONDS = 0.001
"""A server that is no farther away takes no longer than asking and answering do anyway."""
_UNWEIGHED = 1000
"""So many documents are asked for where none was weighed: an aggregation's first batch comes
decoded."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is known of one that came."""

    size_bytes: int
    count: int
    arrived: float
    """When its use began, by ``perf_counter``."""

    def rate_until(self, now: float) -> float:
        """How many bytes of it were used a second."""
        return self.size_bytes / max(now - self.arrived, 1e-6)


def bytes_to_ask_for(rate: float, round_trip_seconds: float) -> int:
    """What the next batch should weigh where ``rate`` bytes of the last one were used a second."""
    if round_trip_seconds < _NEAR_SECONDS:
        return BYTES
    enough = _TIMES_THE_WAITING * round_trip_seconds * rate
    return int(min(max(BYTES, enough), MOST_BYTES))


def documents_to_ask_for(last: Batch | None, rate: float, round_trip_seconds: float) -> int:
    """How many documents that weigh as those of the ``last`` batch make the next one; 0 for as
    many as the server sends."""
    if last is None:
        return _UNWEIGHED if round_trip_seconds < _NEAR_SECONDS else 0
    return max(bytes_to_ask_for(rate, round_trip_seconds) * last.count // last.size_bytes, 1)


class SizedBatches:
    """For a class before one of the driver's cursors, those that give bytes too.

    Left alone are cursors with a ``batch_size`` of their own, and those without an end: tailable
    ones and change streams. A first batch has the server's size, 101 documents.
    """

    def _unpack_response(self, response: Any, *args: Any, **kwargs: Any) -> Any:
        arrived = perf_counter()  # decoding is a part of the use
        reply = super()._unpack_response(response, *args, **kwargs)  # type: ignore[misc]
        cursor = reply[0].get("cursor")
        if cursor and cursor["id"]:
            batch = cursor.get("nextBatch") or cursor.get("firstBatch") or ()
            weigh(self, len(response.payload_document), _documents_in(batch), arrived)
        return reply

    def _refresh(self) -> int:
        return refreshed(self, super()._refresh)  # type: ignore[misc]


def refreshed(cursor: Any, refresh: Callable[[], int]) -> int:
    """What ``refresh`` returns, the ``cursor``'s own, which asks for a batch of the right size."""
    cursor._asked_at = now = perf_counter()
    if not cursor._id or cursor._data or not _may_be_sized(cursor):
        return refresh()
    last = last_batch(cursor)
    rate = vars(cursor).get("_rate_of_use")
    if rate is None:
        rate = 0.0 if last is None else last.rate_until(now)
    cursor._batch_size = documents_to_ask_for(last, rate, _round_trip_seconds(cursor))
    try:
        return refresh()
    finally:
        cursor._batch_size = 0


def last_batch(cursor: Any) -> Batch | None:
    """The last batch of ``cursor`` that was weighed."""
    batch: Batch | None = vars(cursor).get("_last_batch")
    return batch


def note_rate_of_use(cursor: Any, rate: float) -> None:
    """Take note of how many bytes a second are used of batches that are read ahead, which says
    more than when the last one came."""
    cursor._rate_of_use = rate


def weigh(cursor: Any, size_bytes: int, count: int, arrived: float | None = None) -> None:
    """Take note of a batch of ``cursor``, with so many documents, which came just now or at
    ``arrived``."""
    arrived = arrived or perf_counter()
    note_wait(cursor, arrived - cursor._asked_at)
    if count:
        cursor._last_batch = Batch(size_bytes, count, arrived)


def note_wait(cursor: Any, seconds: float) -> None:
    """Take note of how long an answer to ``cursor`` was waited for."""
    shortest = vars(cursor).get("_shortest_wait_seconds", seconds)
    cursor._shortest_wait_seconds = min(shortest, seconds)


def _may_be_sized(cursor: Any) -> bool:
    state = vars(cursor)
    return not (
        cursor._batch_size
        or state.get("_query_flags", 0) & CursorType.TAILABLE
        or state.get("_exhaust")
        or state.get("_postbatchresumetoken")
    )


def _round_trip_seconds(cursor: Any) -> float:
    """To the server that has the cursor, as the driver knows it from now and then; but no more
    than it took the cursor itself, as every pause of a busy process lengthens the driver's."""
    servers = cursor._collection.database.client.topology_description.server_descriptions()
    server = servers.get(cursor.address)
    known: float = 0.0 if server is None else server.round_trip_time or 0.0
    shortest: float = vars(cursor).get("_shortest_wait_seconds", known)
    return min(known, shortest)


def _documents_in(batch: Sequence[Any]) -> int:
    """How many documents ``batch`` has: the list of them, or a list of one stream of bytes, which
    has as many as its first hundred let expect."""
    if not batch or not isinstance(batch[0], bytes):
        return len(batch)
    stream = batch[0]
    count = at = 0
    while at < len(stream) and count < 100:
        at += int.from_bytes(stream[at : at + 4], "little")
        count += 1
    return count * len(stream) // at
