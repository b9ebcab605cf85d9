"""How many documents make a batch? As many as are done in half a second."""

from __future__ import annotations

import threading

from pymongo.errors import OperationFailure

from datalayer import transactions
from datalayer.failures.server_codes import ServerCode, code_of
from datalayer.migrations.steps.targets import Target

_SECONDS = 0.5
_GROWTH = 4.0
_MOST_DOCUMENTS = 50_000
_MOST_BYTES = 4 * 2**20
"""What a batch may hold whose documents come to this process."""
_MOST_UNMEASURED = 100
_FIRST_UNKNOWN = 100


class Pace:
    """The size of the next batch, after how long the last ones took."""

    def __init__(self, first: int, most: int, rate: float | None) -> None:
        if rate is not None:  # else it would stand still for long after each batch
            most = min(most, max(round(rate * _SECONDS), 1))
        self._most = most
        self._size = min(first, most)
        self._lock = threading.Lock()  # guards _size

    @property
    def size(self) -> int:
        """How many documents the next batch has."""
        return self._size

    def took(self, documents: int, seconds: float) -> None:
        """Learn from a batch that was done."""
        factor = _SECONDS / max(seconds, _SECONDS / _GROWTH)
        wanted = max(round(documents * factor), 1)
        with self._lock:
            # A batch that began with an earlier size says nothing against the present one.
            grows = factor >= 1
            self._size = min(max(wanted, self._size) if grows else wanted, self._most)

    def shrink(self, documents: int) -> None:
        """Learn that so many were too many."""
        with self._lock:
            self._size = max(documents // round(_GROWTH), 1)


def growing(first: int, rate: float | None) -> Pace:
    """For batches that the server does by itself."""
    return Pace(first, _MOST_DOCUMENTS, rate)


def limited(most: int, rate: float | None) -> Pace:
    """For batches of at most so many documents, which take nobody knows how long."""
    return Pace(min(most, _FIRST_UNKNOWN), most, rate)


def held_at_once(target: Target, most: int) -> int:
    """How many documents this process may hold at once: of large ones, fewer."""
    if transactions.current() is not None:  # which takes no such question
        return min(most, _MOST_UNMEASURED)
    try:
        statistics = list(target.collection.aggregate([{"$collStats": {"storageStats": {}}}]))
    except OperationFailure as exc:
        if code_of(exc) != ServerCode.NamespaceNotFound:
            raise
        return most  # there is nothing to be held
    sizes = [each["storageStats"].get("avgObjSize", 0) for each in statistics]
    return max(min(most, int(_MOST_BYTES // max(*sizes, 1))), 1)
