"""What is known to stand on one connection: which models' collections and indexes were built, and
which collection it was."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any

from bson import Timestamp

Pair = tuple[Any, str]

LOOK_SECONDS = 10.0
"""How long what was built is taken to stand before somebody looks again: as often as the driver
looks at each server. Only drops by others take that long to be noticed."""


class BuiltIndexes:
    """The models, each with the name of a collection, whose indexes were built.

    What a writer knows holds as long as ``generation`` is the same: it goes up each time
    something is forgotten. A build that was overtaken by a drop notes nothing.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.look_again_at = monotonic() + LOOK_SECONDS
        self.stands_since: Timestamp | None = None
        """The server's time at which all that was built stood; ``None`` where it isn't known."""
        self._pairs: set[Pair] = set()
        self._identities: dict[str, Any] = {}
        # Guards the fields above. Re-entrant: a signal handler may drop a collection.
        self._lock = threading.RLock()

    def __contains__(self, pair: object) -> bool:
        return pair in self._pairs

    def __iter__(self) -> Iterator[Pair]:
        with self._lock:
            return iter(list(self._pairs))

    def add(self, models: Iterable[Any], collection: str, generation: int) -> None:
        """Note that the indexes of ``models`` were built, unless something was forgotten since
        ``generation``."""
        with self._lock:
            self.stands_since = None
            if generation == self.generation:
                self._pairs.update((model, collection) for model in models)

    def identify(self, collection: str, identity: Any) -> None:
        """Note which collection it is; ``None`` where that isn't known."""
        self._identities[collection] = identity

    def identities(self) -> dict[str, Any]:
        """By name of a collection that was prepared, which one it was."""
        with self._lock:
            return {name: self._identities.get(name) for _, name in self._pairs}

    def forget(self, collection: str | None = None) -> list[Pair]:
        """Forget what was built in one collection, or in all; returns it."""
        with self._lock:
            self.generation += 1
            gone = [pair for pair in self._pairs if collection in (None, pair[1])]
            self._pairs.difference_update(gone)
            for _, name in gone:
                self._identities.pop(name, None)
            return gone

    def clear(self) -> None:
        """Forget all."""
        self.forget()
        self.look_again_at = monotonic() + LOOK_SECONDS

    def claim_look(self) -> bool:
        """Whether it is time to look again; true for one caller each time."""
        now = monotonic()
        with self._lock:
            due = now >= self.look_again_at
            if due:
                self.look_again_at = now + LOOK_SECONDS
            return due

    def after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may have held."""
        self._lock = threading.RLock()
