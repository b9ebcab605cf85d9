"""Writes every few seconds, in a thread, what this worker tells, and reads what others tell."""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from datalayer.concurrency.threads import signals_held
from datalayer.connections.connection import Connection
from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.recorder.spool.directory import open_directory
from datalayer.settings import DatabaseSettings
from datalayer.settings.sources import gather
from datalayer.web.workers.aggregation import Ended, Workers
from datalayer.web.workers.cleanup import (
    KEY_LENGTH,
    begin_or_join,
    leave,
    put_together,
    sweep,
    tidy_up,
)
from datalayer.web.workers.files import SUPPORTED, WorkerFiles
from datalayer.web.workers.report import Numbers, counted_by, report

logger = logging.getLogger("datalayer.web")

VARIABLE = "DATALAYER_WORKERS_DIRECTORY"
INTERVAL_SECONDS = 2.0
_OFF = "off"
_FORK_SECONDS = 1.0


class Publisher:
    """This process among the workers of its application.

    Nothing is written before a database is used, so that the parent of forked workers and
    helper processes don't count. A child has a file and a thread of its own when it uses one.
    """

    def __init__(self) -> None:
        self._cwd = ""
        self._base: Path | None = None
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()  # guards what follows, but the thread
        self._since = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._settings: dict[str, DatabaseSettings] = {}
        self._gone: dict[str, Numbers] = {}
        self._files: WorkerFiles | None = None
        self._path: Path | None = None
        self._trouble: str | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def offer(self) -> None:
        """Have this process, and those forked from it, tell of themselves from now on.

        Idempotent. Asks no server.
        """
        if not SUPPORTED or self._opened in registry.on_open:
            return
        with suppress(OSError):  # the directory is gone
            self._cwd = os.getcwd()
        self._base = _base()
        registry.on_open.append(self._opened)
        registry.on_close.append(self._closed)
        atexit.register(self.end)
        for connection in registry.connections():
            if not connection.is_unused:
                self._opened(connection)

    def publish(self) -> None:
        """Write now. A failure is logged once, and said on the page."""
        with self._lock:
            try:
                self._write()
            except OSError as exc:
                self._fail(exc.strerror or str(exc))
            except Exception as exc:  # noqa: BLE001 - the thread goes on, without any text of others
                self._fail(type(exc).__name__)
            else:
                self._trouble = None

    def workers(self) -> Workers:
        """This process as it is now, and the others as they were some seconds ago."""
        self._notice_fork()
        own = report(self._since, self._gone)
        with self._lock:
            if self._files is None:
                return Workers((own,), trouble=self._trouble)
            try:
                found, ended = self._files.others(), Ended.decoded(self._files.read_ended())
            except OSError as exc:
                return Workers((own,), trouble=exc.strerror or str(exc))
        return put_together(own, found, ended)

    def end(self) -> None:
        """Write a last time, or leave nothing where no other worker is there."""
        if self._pid != os.getpid():
            return
        self._stopped.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(INTERVAL_SECONDS)
        with suppress(ValueError):
            registry.on_open.remove(self._opened)
            registry.on_close.remove(self._closed)
        with self._lock, suppress(OSError):
            files, self._files = self._files, None
            if files is not None:
                leave(files, report(self._since, self._gone).encoded())
        self._begin()

    def before_fork(self) -> None:
        """Have no file half replaced: a child would hold its lock, and could not know it."""
        self._lock.acquire(timeout=_FORK_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        with suppress(RuntimeError):  # it could not be had in time
            self._lock.release()

    def after_fork(self) -> None:
        """Let go of the parent's file in a child, so that its lock ends with the parent."""
        if self._files is not None:
            with suppress(OSError):
                self._files.close()
        self._begin()

    # Inside

    def _notice_fork(self) -> None:
        if self._pid != os.getpid():  # one that ran no handlers, as uWSGI's
            self.after_fork()

    def _opened(self, connection: Connection) -> None:
        self._notice_fork()
        with self._lock:
            self._settings[connection.alias] = connection.settings
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, args=(self._stopped,), name="datalayer-workers", daemon=True
                )
                with signals_held():  # uWSGI's handlers shall not run in it
                    self._thread.start()

    def _closed(self, connection: Connection) -> None:
        if self._pid == os.getpid() and connection.alias in self._settings:
            before = self._gone.get(connection.alias, {})
            self._gone = {**self._gone, connection.alias: counted_by(connection, before)}

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(INTERVAL_SECONDS):
            self.publish()

    def _write(self) -> None:
        path = self._directory()
        if self._files is not None and (path != self._path or not self._files.is_in_place()):
            files, self._files = self._files, None
            with suppress(OSError):
                leave(files, report(self._since, self._gone).encoded())
        if path is None:
            return
        data = report(self._since, self._gone).encoded()
        if self._files is not None:
            self._files.write(data)
            tidy_up(self._files)
            return
        files = WorkerFiles(path)
        try:
            is_written = begin_or_join(files, data)
        except BaseException:
            files.close()
            raise
        if is_written:
            self._files, self._path = files, path
            sweep(path.parent, path)
        else:  # somebody else tidies up; the next time
            files.close()

    def _directory(self) -> Path | None:
        """Where the files of the application are; ``None`` where there shall be none."""
        if self._base is None or not self._settings:
            return None
        # It is checked too: who may change it could put another directory below it.
        os.close(open_directory(self._base))
        return self._base / application_key(self._cwd, self._settings)

    def _fail(self, why: str) -> None:
        if self._trouble is None:
            logger.info(
                "the other workers are not shown on the status page: %s",
                why,
                extra={"event": "workers_unknown"},
            )
        self._trouble = why


def application_key(cwd: str, settings: Mapping[str, DatabaseSettings]) -> str:
    """What the workers of one application have in common, and those of others have not: made of
    its directory and its first database."""
    first = settings.get(DEFAULT_ALIAS) or settings[min(settings)]
    told = "\n".join((cwd, first.redacted_uri, first.database))
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:KEY_LENGTH]


def _base() -> Path | None:
    """Where the directories of all applications are; ``None`` where there shall be none."""
    given = gather(None, {}).get(VARIABLE)
    text = "" if given is None else given.text.strip()
    if text:
        return None if text.lower() == _OFF else Path(text).absolute()
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "datalayer"
    return Path(tempfile.gettempdir()) / f"datalayer-{os.geteuid()}"


publisher = Publisher()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=publisher.before_fork,
        after_in_parent=publisher.after_fork_in_parent,
        after_in_child=publisher.after_fork,
    )
