"""A handler for stdlib logging that stores records as ``LogEntry``, without making anyone wait."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from datalayer.documents import log_fields, redact, traceback_without_contents
from datalayer.models.analytics.log_entry import LogEntry
from datalayer.recorder import Recorder, RecorderSettings

_OWN_LOGGERS = ("datalayer", "pymongo", "mongoengine")
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LONGEST_MESSAGE = 16_384
_LONGEST_TRACEBACK = 65_536
_LONGEST_VALUE = 1024
_MOST_VALUES = 50


class MongoLogHandler(logging.Handler):
    """Stores log records in ``database1``, in batches and from threads of its own.

        logging.getLogger().addHandler(MongoLogHandler())

    It writes through a recorder (``datalayer.recorder``) of its own, so that a flood of log
    lines takes no room from the application's events. Logging costs no network wait and never
    raises. At most ``capacity`` records wait; further ones are dropped and counted in
    ``dropped``. While the database is away they wait, and they are stored once even where a
    reply was lost. Records of datalayer, PyMongo and MongoEngine are left out, since storing
    would make new ones. Credentials in MongoDB URIs are redacted; other secrets must not be
    logged in the first place.

    ``settings`` replace the four arguments after ``model``, for a spool say.

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
        settings: RecorderSettings | None = None,
    ) -> None:
        super().__init__(level)
        self.model = model
        self._unfit = 0
        settings = settings or RecorderSettings(
            policy="drop_newest",
            capacity=capacity,
            batch_size=batch_size,
            interval_ms=interval_seconds * 1000,
            connections=1,
        )
        self.capacity = settings.capacity
        self.batch_size = settings.batch_size
        self.interval_seconds = settings.interval_ms / 1000
        self._recorder = Recorder(settings, name="datalayer-log", prepare=_document_of)

    @property
    def dropped(self) -> int:
        """How many records were lost: no room, or not stored when the handler was closed."""
        dropped: int = self._recorder.stats()["dropped"]
        return dropped + self._unfit

    @property
    def written(self) -> int:
        """How many records were stored."""
        written: int = self._recorder.stats()["written"]
        return written

    def handle(self, record: logging.LogRecord) -> bool:
        """Leave out what storing itself makes.

        Here rather than in ``emit``, which holds the handler's lock: ``logging.shutdown`` holds
        it too, while it waits for the threads that store.
        """
        if record.name.partition(".")[0] in _OWN_LOGGERS or self._recorder.owns_current_thread():
            return False
        return super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Give ``record`` to the recorder, or count it as dropped. Never waits, never raises."""
        try:
            self._recorder.record(_entry_of(record), self.model)
        except Exception:  # noqa: BLE001 - a log line must not break what it tells of
            self._unfit += 1

    def flush(  # type: ignore[override] # says more than the base class's
        self, timeout: float = 5.0
    ) -> bool:
        """Wait at most ``timeout`` seconds until all is stored; says whether it is."""
        return self._recorder.flush(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Store what waits, for at most ``timeout`` seconds; the rest counts as dropped."""
        self._recorder.close(timeout)
        super().close()


def _document_of(entry: Any, model: Any) -> Mapping[str, Any]:
    """The stored form of an entry, made in the recorder's thread."""
    document: Mapping[str, Any] = model(**entry).to_mongo()
    return document


def _entry_of(record: logging.LogRecord) -> dict[str, Any]:
    facts: dict[str, Any] = {**log_fields()}
    facts |= {
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
