"""Who may work on something that one process at a time works on: a lease in a document, with a
token that grows, kept alive by a thread for as long as its holder works."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Generic, TypeVar

import pymongo
from pymongo import WriteConcern
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, PyMongoError

from datalayer.errors import DataLayerError, DeadlineExceededError, OutcomeUnknownError

logger = logging.getLogger("datalayer.lease")

_BEATS = 4  # how often the lease is renewed within its time
_EARLIER_SECONDS = 0.25
"""The driver takes the round trip off the time that it gives a server for a command, so what the
end of a lease interrupts comes back a little before that."""
_RELEASE_SECONDS = 2.0
_MAJORITY = WriteConcern("majority")
_RUNNING = {"$expr": {"$gt": ["$until", "$$NOW"]}}


class LeaseDocument:
    """A document that says who holds a lease (``holder``), until when by the server's clock
    (``until``), and the how-manieth holder that is (``token``).

    What a holder writes carries its token; who writes only where no later token stands overwrites
    nothing of a later holder's. ``busy`` and ``lost`` are the errors of whoever uses it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        """What messages call it."""
        self.token = 0
        """Of the last lease that was acquired here; 0 before."""

    @property
    def leased(self) -> Collection[Any]:
        """The collection of the document, asked for with each operation."""
        raise NotImplementedError

    @property
    def id(self) -> Any:
        """The document's ``_id``."""
        return self.name

    def busy(self) -> DataLayerError:
        """What to raise while another holds the lease."""
        raise NotImplementedError

    def lost(self) -> DataLayerError:
        """What to raise when the lease is gone."""
        raise NotImplementedError

    def ensure(self) -> None:
        """Make the document, where there is none yet."""
        free = {"token": 0, "holder": None, "until": None}
        try:
            self._documents.update_one({"_id": self.id}, {"$setOnInsert": free}, upsert=True)
        except DuplicateKeyError:
            return  # another made it at the same time

    def acquire(self, seconds: float) -> None:
        """Become the holder for ``seconds``.

        Raises:
            DataLayerError: ``busy()``, while another is.
        """
        taken = self._documents.find_one_and_update(
            {"_id": self.id, "$expr": {"$lte": ["$until", "$$NOW"]}},
            [
                {
                    "$set": {
                        "token": {"$add": ["$token", 1]},
                        "holder": f"{socket.gethostname()}:{os.getpid()}",
                        "until": _from_now(seconds),
                        "updated_at": "$$NOW",
                    }
                }
            ],
            return_document=True,
        )
        if taken is None:
            raise self.busy()
        self.token = taken["token"]

    def renew(self, seconds: float) -> bool:
        """Prolong the lease; ``False`` when it has run out or another has it."""
        renewed = self._documents.find_one_and_update(
            self.mine(), [{"$set": {"until": _from_now(seconds)}}], projection={"_id": True}
        )
        return renewed is not None

    def release(self) -> None:
        """Let others in at once."""
        self._documents.update_one(
            {"_id": self.id, "token": self.token}, {"$set": {"until": None, "holder": None}}
        )

    def mine(self) -> dict[str, Any]:
        """Selects the document while this lease lasts."""
        return {"_id": self.id, "token": self.token, **_RUNNING}

    def held_by(self) -> tuple[str | None, float]:
        """Who holds it, and for how many seconds unless it is renewed; ``None`` and 0 when it is
        free."""
        # The server's clock tells: that of this machine may be off.
        left = {"$max": [0, {"$subtract": ["$until", "$$NOW"]}]}
        asked = [{"$match": {"_id": self.id}}, {"$project": {"holder": True, "left": left}}]
        found: dict[str, Any] = next(iter(self._documents.aggregate(asked)), {})
        seconds = (found.get("left") or 0) / 1000
        return (found.get("holder"), seconds) if seconds else (None, 0.0)

    @property
    def _documents(self) -> Collection[Any]:
        return self.leased.with_options(write_concern=_MAJORITY)


Document = TypeVar("Document", bound=LeaseDocument)


class Lease(Generic[Document]):
    """A lease that is held, renewed by a thread.

    How long it lasts is counted from before the renewal was sent, so that this side never
    believes in it for longer than the server does.
    """

    def __init__(self, document: Document, seconds: float) -> None:
        self.document = document
        self._seconds = seconds
        self._ended = threading.Event()
        self._until = monotonic() + seconds
        self._thread = threading.Thread(target=self._beat, name="datalayer-lease", daemon=True)

    @property
    def token(self) -> int:
        """What distinguishes this holder from those before (smaller) and after (larger)."""
        return self.document.token

    @contextmanager
    def time(self) -> Iterator[None]:
        """Let the operations of a ``with`` block end before the lease does.

        What is on its way to a server when this process dies or is stopped thus ends before
        another holder begins: the server holds each command to its share of the time.

        Raises:
            DataLayerError: ``lost()``, when the lease has run out, before or meanwhile.
        """
        left = self._until - monotonic()
        if left <= 0:
            raise self.document.lost()
        try:
            with pymongo.timeout(left):
                yield
        except (PyMongoError, DataLayerError) as exc:
            earlier = _EARLIER_SECONDS if _ran_out(exc) else 0.0
            if monotonic() < self._until - earlier:
                raise
            raise self.document.lost() from exc

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
                    if not self.document.renew(self._seconds):
                        self._until = sent
                        return
            except PyMongoError as exc:
                logger.warning(
                    "the lease of %s was not renewed (%s)",
                    self.document.name,
                    type(exc).__name__,
                    extra={"event": "lease_not_renewed"},
                )
            else:
                self._until = sent + self._seconds


Held = TypeVar("Held", bound="Lease[Any]")


@contextmanager
def holding(lease: Held, seconds: float) -> Iterator[Held]:
    """Acquire ``lease``, which was just made with so many ``seconds``, and keep it in a ``with``
    block.

    Raises:
        DataLayerError: ``busy()``, while another holds it.
    """
    lease.document.acquire(seconds)  # which counts from later than this side does
    lease.start()
    try:
        yield lease
    finally:
        lease.stop()
        try:
            with pymongo.timeout(_RELEASE_SECONDS):
                lease.document.release()
        except PyMongoError:
            logger.debug("the lease of %s runs out by itself", lease.document.name)


def _ran_out(exc: PyMongoError | DataLayerError) -> bool:
    if isinstance(exc, PyMongoError):
        return bool(exc.timeout)
    return isinstance(exc, (DeadlineExceededError, OutcomeUnknownError))


def _from_now(seconds: float) -> dict[str, Any]:
    return {"$add": ["$$NOW", round(seconds * 1000)]}
