"""Reads a cursor's next batch in a thread while the present one is used. Two of them are in memory
at most, and one connection is at work."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from contextvars import copy_context
from dataclasses import replace
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any

from pymongo import _csot
from pymongo.errors import NetworkTimeout, PyMongoError

from datalayer.concurrency.flow import process_mark
from datalayer.concurrency.threads import signals_held
from datalayer.connections import operation
from datalayer.connections.batch_sizes import Batch, last_batch, note_rate_of_use
from datalayer.context.deadlines import settle
from datalayer.context.session import joins_a_session
from datalayer.errors import ConfigurationError

_LEAVING_SECONDS = 1.0
"""How long the end of an iteration waits for a batch that nobody needs any more."""


def read_ahead(cursor: Any) -> Iterator[Any]:
    """What ``cursor``, one of the driver's, has in its batches, in their order.

    Inside a transaction or a session, which belong to one thread, each batch is read when it is
    needed. What goes wrong with a batch is raised when its first document is asked for.
    """
    if cursor._empty:
        return
    if joins_a_session() or cursor.session is not None:
        while cursor._data or cursor._refresh():
            yield cursor._data.popleft()
        return
    with closing(_Reader(cursor)) as reader:
        batch = _next_batch(cursor)
        while batch:
            reader.begin()
            while batch:
                yield batch.popleft()
            batch = reader.result()


def _next_batch(cursor: Any) -> deque[Any]:
    cursor._refresh()
    batch: deque[Any] = cursor._data
    cursor._data = deque()
    return batch


class _Reader:
    """Reads one batch after the other in a thread, each when it is told to."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._context = copy_context()
        self._process = process_mark()
        self._thread: threading.Thread | None = None
        self._is_reading = False
        self._used: Batch | None = None
        self._told: SimpleQueue[bool] = SimpleQueue()
        self._begun: SimpleQueue[None] = SimpleQueue()
        self._found: SimpleQueue[deque[Any] | BaseException] = SimpleQueue()

    def begin(self) -> None:
        """Let the next batch be read."""
        self._is_reading = not self._cursor._killed
        if not self._is_reading:  # that was the last one
            return
        used = last_batch(self._cursor)
        self._used = used and replace(used, arrived=perf_counter())
        if self._thread is None:
            note_rate_of_use(self._cursor, 0.0)  # nothing was used yet
            thread = threading.Thread(target=self._run, name="datalayer-read-ahead", daemon=True)
            with signals_held():
                thread.start()
            self._thread = thread
        self._told.put(True)
        # Otherwise this thread would keep the interpreter, and use up its batch, before the other
        # one has sent anything.
        self._begun.get()

    def result(self) -> deque[Any]:
        """The batch that was read; raises what reading raised.

        Raises:
            DeadlineExceededError: where the present deadline passes before.
            ConfigurationError: in a process that was forked meanwhile.
        """
        if not self._is_reading:
            return deque()
        if not self._process[0]:
            raise ConfigurationError(
                "an iteration with read_ahead() can't go on in a process that was forked inside: "
                "its thread is in the parent; ask again in the child"
            )
        if self._used is not None:
            note_rate_of_use(self._cursor, self._used.rate_until(perf_counter()))
        settle()
        remaining = _csot.remaining()
        try:
            found = self._found.get(timeout=None if remaining is None else max(remaining, 0))
        except Empty:
            raise _too_late(self._cursor) from None
        if isinstance(found, BaseException):
            try:
                raise found
            finally:
                del found  # which holds this frame
        return found

    def close(self) -> None:
        """End the thread and the cursor."""
        if not self._process[0]:  # both are the parent's
            return
        if self._thread is None:
            self._cursor.close()
            return
        self._told.put(False)
        self._thread.join(_LEAVING_SECONDS)

    def _run(self) -> None:
        while self._told.get():
            self._begun.put(None)
            try:
                self._found.put(self._context.run(_read_next, self._cursor))
            except BaseException as exc:  # noqa: BLE001 - raised by the thread that waits
                self._found.put(exc)
        with suppress(PyMongoError):
            self._cursor.close()


def _read_next(cursor: Any) -> deque[Any]:
    # A deadline counts where the batch is waited for, which may be inside another block than this
    # context's; but one that allows more time than the client does by itself holds here, too.
    usual = cursor._collection.database.client.options.timeout
    remaining = _csot.remaining()
    if remaining is not None and (usual is None or remaining < usual):
        _csot.reset_all()
    return _next_batch(cursor)


def _too_late(cursor: Any) -> Exception:
    late = NetworkTimeout("the deadline passed while the next batch was waited for")
    collection = cursor._collection
    connection = vars(collection).get("_connection")
    if connection is None:
        return late
    before = connection.monitors.commands.traffic()
    return operation.failed(connection, late, "find", collection.name, "none", before) or late
