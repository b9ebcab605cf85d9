"""Notes the commands that a request sends, in whichever thread carries its context.

The log of a request begins before anything else of it, so that what opens its session counts, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from bson.errors import BSONError

from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.contrib.flask.debug_panel.callers import Caller, caller
from datalayer.contrib.flask.debug_panel.explaining import READS, SESSION_KEYS, explainable
from datalayer.contrib.flask.debug_panel.shapes import shape_of
from datalayer.monitoring.command_facts import collection_of, command_in, documents_in
from datalayer.monitoring.observer import EndedCommand

logger = logging.getLogger("datalayer.contrib.flask")

MOST = 500
"""So many commands of a request are noted; the others are counted."""
_MOST_BYTES = 64 * 1024
"""What is longer is not kept to be explained."""
_WITH_STATEMENTS = ("update", "delete")
_ANY_UUID: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)

WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass(frozen=True)
class Query:
    """A command, without any value that it has sent or was answered."""

    alias: str
    database: str | None
    collection: str | None
    operation: str
    shape: str
    """See ``shape_of``."""
    milliseconds: float
    documents: int | None
    error: str | None
    """The server's code or the error's type."""
    caller: Caller
    fingerprint: int | None
    """Equal for reads that ask for the same, values included. ``None`` for writes: one that comes
    twice has had its reason."""
    explained_by: Mapping[str, Any] | None
    """The command that tells how it is done; with its values."""


class Log:
    """The commands of one request."""

    def __init__(self) -> None:
        self.queries: list[Query] = []
        self.unnoted = 0
        self.is_open = True


_log: ContextVar[Log | None] = ContextVar("datalayer_debug_log", default=None)


def present_log() -> Log | None:
    """That of the present request."""
    return _log.get()


class Recorded:
    """A WSGI application with a log for each request, which ends when it has answered: what a
    streamed body sends later is not in it."""

    def __init__(self, application: WSGI) -> None:
        self._application = application
        watch_databases()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        log = Log()
        token = _log.set(log)
        try:
            return self._application(environ, start_response)
        finally:
            log.is_open = False
            _log.reset(token)


_OUTERMOST = Recorded.__call__.__code__
"""What called this is the server."""


def watch_databases() -> None:
    """Be shown the commands to the databases that are connected, and to those connected later."""
    if _watch not in registry.on_open:
        registry.on_open.append(_watch)
        for connection in registry.connections():
            _watch(connection)


def _watch(connection: Connection) -> None:
    connection.monitors.watch(partial(_note, connection.alias))


def _note(alias: str, ended: EndedCommand) -> None:
    log = _log.get()
    if log is None or not log.is_open:
        return
    if len(log.queries) >= MOST:
        log.unnoted += 1
        return
    try:
        log.queries.append(_query(alias, ended))
    except Exception as exc:  # noqa: BLE001 - the operation must not fail by being shown
        logger.error("a command is not in the debug panel (%s)", type(exc).__name__)


def _query(alias: str, ended: EndedCommand) -> Query:
    name, sent = ended.name, ended.sent
    if isinstance(sent, bytes):
        sent = command_in(sent, with_documents=name in _WITH_STATEMENTS)
    command = sent or {}
    is_short = not isinstance(ended.sent, bytes) or len(ended.sent) <= _MOST_BYTES
    explained_by = explainable(name, command) if is_short else None
    return Query(
        alias=alias,
        database=command.get("$db"),
        collection=collection_of(name, command),
        operation=name,
        shape=shape_of(name, command),
        milliseconds=ended.microseconds / 1000,
        documents=documents_in(name, command, ended.reply),
        error=ended.error,
        caller=caller(_OUTERMOST),
        fingerprint=_fingerprint(command) if name in READS and explained_by else None,
        explained_by=explained_by,
    )


def _fingerprint(command: Mapping[str, Any]) -> int | None:
    said = {key: value for key, value in command.items() if key not in SESSION_KEYS}
    try:
        return hash(bson.encode(said, codec_options=_ANY_UUID))
    except (BSONError, TypeError, ValueError):  # of types that only the client's codec knows
        return None
