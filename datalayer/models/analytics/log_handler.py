"""A handler for stdlib logging that stores records as ``LogEntry``, without making anyone wait."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from pymongo.errors import BulkWriteError

from datalayer.documents import redact, traceback_without_contents
from datalayer.documents.storable import check_document
from datalayer.models.analytics.log_entry import LogEntry

__all__ = ["MongoLogHandler"]

_OWN_LOGGERS = ("datalayer", "pymongo", "mongoengine")
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LONGEST_MESSAGE = 16_384
_LONGEST_TRACEBACK = 65_536
_LONGEST_VALUE = 1024
_MOST_VALUES = 50
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_DUPLICATE_KEY = 11000


class MongoLogHandler(logging.Handler):
    """Stores log records in ``database1``, in batches and from a thread of its own.

        logging.getLogger().addHandler(MongoLogHandler())

    Logging through it costs no network wait and never raises. At most ``capacity`` records wait;
    further ones are dropped and counted in ``dropped``. While the database is away they wait,
    and they are stored once even where a reply was lost. Records of datalayer, PyMongo and
    MongoEngine are left out, since storing would make new ones. Credentials in MongoDB URIs are
    redacted; other secrets must not be logged in the first place.

    Close it (or call ``logging.shutdown``) before ``db.disconnect_all``. A child process starts
    with nothing waiting: its parent stores what it logged itself.
    """

    def __init__(
        self,
        level: int | str = logging.NOTSET,
        *,
        model: type[LogEntry] = LogEntry,
        capacity: int = 10_000,
        batch_size: int = 500,
        interval_seconds: float = 1.0,
    ) -> None:
        self._closed = False
        super().__init__(level)
        self.model = model
        self.capacity = capacity
        self.batch_size = batch_size
        self.interval_seconds = interval_seconds
        self._start_afresh()

    @property
    def dropped(self) -> int:
        """How many records were lost: no room, or not stored when the handler was closed."""
        return self._dropped

    @property
    def written(self) -> int:
        """How many records were stored."""
        return self._written

    def handle(self, record: logging.LogRecord) -> bool:
        """Leave out what storing itself makes.

        Here rather than in ``emit``, which holds the handler's lock: ``logging.shutdown`` holds
        it too, while it waits for the thread that stores.
        """
        if record.name.partition(".")[0] in _OWN_LOGGERS:
            return False
        if threading.current_thread() is self._thread:
            return False
        return super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Put ``record`` in the queue, or count it as dropped. Never waits, never raises."""
        try:
            if os.getpid() != self._pid:
                self._start_afresh()
            entry = _entry_of(record)
            with self._changed:
                if self._closed or len(self._waiting) >= self.capacity:
                    self._dropped += 1
                    return
                self._waiting.append(entry)
                self._start_thread()
                if len(self._waiting) >= self.batch_size:
                    self._changed.notify_all()
        except Exception:  # noqa: BLE001 - a log line must not break what it tells of
            self._dropped += 1

    def flush(  # type: ignore[override] # says more than the base class's
        self, timeout: float = 5.0
    ) -> bool:
        """Wait at most ``timeout`` seconds until all is stored; says whether it is."""
        if os.getpid() != self._pid:
            return True
        ends = monotonic() + timeout
        with self._changed:
            self._hurry = True
            self._failing = False
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: not (self._waiting or self._in_hand) or self._failing,
                max(ends - monotonic(), 0),
            )
            return not (self._waiting or self._in_hand)

    def close(self, timeout: float = 2.0) -> None:
        """Store what waits, for at most ``timeout`` seconds; the rest counts as dropped."""
        if os.getpid() == self._pid and not self._closed:
            self.flush(timeout)
            with self._changed:
                self._closed = True
                self._dropped += len(self._waiting) + self._in_hand
                self._waiting.clear()
                self._changed.notify_all()
        super().close()

    def _start_afresh(self) -> None:
        # Guards what follows. The thread waits on it; a child never touches its parent's.
        self._changed = threading.Condition()
        self._pid = os.getpid()
        self._waiting: deque[dict[str, Any]] = deque()
        self._in_hand = 0
        self._dropped = 0
        self._written = 0
        self._hurry = False
        self._failing = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def _start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._store_batches, name="datalayer-log", daemon=True
            )
            self._thread.start()

    def _store_batches(self) -> None:
        while (batch := self._next_batch()) is not None:
            documents = self._documents(batch)
            pause = _PAUSE_SECONDS
            while documents and not self._store(documents):
                if not self._wait_after_failure(pause):
                    return
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            with self._changed:
                self._written += len(documents)
                self._in_hand = 0
                self._changed.notify_all()

    def _wait_after_failure(self, pause: float) -> bool:
        """Whether to try again, after ``pause`` seconds or when someone flushes."""
        with self._changed:
            self._failing = True
            self._hurry = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._hurry or self._closed, pause)
            return not self._closed

    def _next_batch(self) -> list[dict[str, Any]] | None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._hurry or len(self._waiting) >= self.batch_size,
                self.interval_seconds,
            )
            while not self._waiting:
                self._hurry = False
                if self._closed:
                    return None
                self._changed.wait_for(lambda: self._closed or bool(self._waiting), 60)
            count = min(len(self._waiting), self.batch_size)
            batch = [self._waiting.popleft() for _ in range(count)]
            self._in_hand = count
            return batch

    def _documents(self, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        documents = []
        for entry in batch:
            try:
                document = self.model(**entry).to_mongo()
                check_document(document, self.model._get_collection_name())
                documents.append(document)
            except Exception:  # noqa: BLE001 - one bad record must not stop the others
                self._dropped += 1
        return documents

    def _store(self, documents: list[dict[str, Any]]) -> bool:
        """Whether the documents are stored.

        PyMongo gives them their ids at the first attempt, so that another one can tell what was
        stored already.
        """
        try:
            self.model._get_collection().insert_many(documents, ordered=False)
        except BulkWriteError as exc:
            codes = {error["code"] for error in exc.details["writeErrors"]}
            return codes == {_DUPLICATE_KEY} and not exc.details["writeConcernErrors"]
        except Exception:  # noqa: BLE001 - whatever it is, it is tried again
            return False
        return True


def _entry_of(record: logging.LogRecord) -> dict[str, Any]:
    facts = {
        _key(name): _simple(value)
        for name, value in vars(record).items()
        if name not in _STANDARD_FIELDS and not name.startswith("$") and value is not None
    }
    alias = facts.pop("alias", None)
    traceback = None
    if record.exc_info and record.exc_info[1]:
        traceback = _text(traceback_without_contents(record.exc_info[1]))
    return {
        "logged_at": datetime.fromtimestamp(record.created, UTC),
        "level": record.levelname[:20],
        "logger": _text(record.name)[:200],
        "message": _text(record.getMessage())[:_LONGEST_MESSAGE] or "-",
        "alias": None if alias is None else _text(alias)[:100],
        "context": dict(list(facts.items())[:_MOST_VALUES]),
        "traceback": traceback and traceback[-_LONGEST_TRACEBACK:],
    }


def _simple(value: Any) -> Any:
    if isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return _text(value)[:_LONGEST_VALUE]


def _text(value: object) -> str:
    """``value`` as text that can be stored: a surrogate without its pair stands as its escape."""
    return redact(str(value)).encode(errors="backslashreplace").decode()


def _key(name: str) -> str:
    return _text(name).replace(".", "_").replace("\0", "_")  # neither can be stored in a key
