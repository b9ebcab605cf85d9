"""Keeps a runner's lease alive while it works, and says when it has lost it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from datalayer.transfer.journal.journal import Journal

logger = logging.getLogger("datalayer.transfer")

_BEATS = 4  # how often the lease is renewed within its time
_EARLIER_SECONDS = 0.25
"""The driver takes the round trip off the time that it gives a server for a command, so what the
end of a lease interrupts comes back a little before that."""


class Lease:
    """The right to work on a transfer, renewed by a thread.

    How long it lasts is counted from before the renewal was sent, so that this side never
    believes in it for longer than the server does.
    """

    def __init__(self, journal: Journal, seconds: float) -> None:
        self.journal = journal
        self._seconds = seconds
        self._ended = threading.Event()
        self._until = monotonic() + seconds
        self._thread = threading.Thread(target=self._beat, name="datalayer-lease", daemon=True)

    @contextmanager
    def time(self) -> Iterator[None]:
        """Let the operations of a ``with`` block end before the lease does.

        What is on its way to a server when this process dies or is stopped thus ends before
        another runner begins: the server holds each command to its share of the time.

        Raises:
            TransferError: when the lease has run out, before or meanwhile.
        """
        left = self._until - monotonic()
        if left <= 0:
            raise self.journal.lost()
        try:
            with pymongo.timeout(left):
                yield
        except PyMongoError as exc:
            earlier = _EARLIER_SECONDS if exc.timeout else 0.0
            if monotonic() < self._until - earlier:
                raise
            raise self.journal.lost() from exc

    def note(self, state: str | None = None, progress: Mapping[str, Any] | None = None) -> None:
        """Note in the journal how the transfer stands, by the right of this lease."""
        with self.time():
            self.journal.write(state=state, progress=progress)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """End renewing."""
        self._ended.set()
        self._thread.join(self._seconds)

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds / _BEATS):
            sent = monotonic()
            left = self._until - sent
            if left <= 0:
                return
            try:
                with pymongo.timeout(left):
                    if not self.journal.renew(self._seconds):
                        self._until = sent
                        return
            except PyMongoError as exc:
                logger.warning(
                    "the lease of %s was not renewed (%s)",
                    self.journal.name,
                    type(exc).__name__,
                    extra={"event": "lease_not_renewed"},
                )
            else:
                self._until = sent + self._seconds


@contextmanager
def held(journal: Journal, seconds: float) -> Iterator[Lease]:
    """Hold the lease of ``journal`` in a ``with`` block.

    Raises:
        TransferError: while another runner holds it.
    """
    lease = Lease(journal, seconds)  # counts from before the server does
    journal.acquire(seconds)
    lease.start()
    try:
        yield lease
    finally:
        lease.stop()
        try:
            with pymongo.timeout(2):
                journal.release()
        except PyMongoError:
            logger.debug("the lease of %s runs out by itself", journal.name)
