"""The service of one database: its life cycle, its events, and the questions it answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any

from pymongo import MongoClient

from datalayer.concurrency.threads import SingleFlight
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.errors import ConfigurationError, ConnectError, DataLayerError, MigrationError
from datalayer.failures.tracebacks import TrimmedTraceback, takes_secrets
from datalayer.service.connecting import can_wait, check_again, connect, prepare
from datalayer.service.events import Callback, Event, EventBus
from datalayer.service.status import disconnected_status, status_of
from datalayer.service.verification import ask_version, ping_or_explain
from datalayer.settings import DatabaseSettings, Settings
from datalayer.settings.variables import prefix_of

logger = logging.getLogger("datalayer.service")

_RECOVERY_SECONDS = 2.0


class DatabaseService:
    """One database of the application, known by its MongoEngine alias.

    Connecting and disconnecting may be called from any thread, any number of times. The
    services live independently: closing one leaves the others as they are.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._events = EventBus()
        self._connecting: SingleFlight[bool] = SingleFlight()
        self._cancelled = threading.Event()  # set by disconnect, ends the retries
        self._last_error: str | None = None
        self._events.on("unavailable", self._note_unavailable)
        self._events.on("recovered", self._note_recovered)

    def __repr__(self) -> str:
        return f"<DatabaseService {self.alias!r} {self.state}>"

    # Life cycle

    def connect(self, settings: DatabaseSettings | Settings | None = None) -> DatabaseService:
        """Open, verify, warm and prepare the database; nothing happens if it is connected.

        Without ``settings`` they are read from the environment. A server that is away is tried
        again until ``retry_attempts`` or ``retry_max_seconds`` is reached; an optional database
        is then left to join by itself when its server comes back.

        Raises:
            ConfigurationError: for bad settings, and for other settings than those connected.
            AuthenticationError: at once, also for an optional database.
            ConnectError: when a required database stays unreachable.
            IndexBuildError: when a required database's collections or indexes can't be built.
        """
        with TrimmedTraceback():
            self.open(self._resolve(settings))
        return self

    @takes_secrets
    def open(
        self, settings: DatabaseSettings, before_building: Callable[[], None] | None = None
    ) -> bool:
        """``connect`` for given settings; says whether this call was the one that opened it.

        ``before_building`` is called once the server has answered, before collections and indexes
        are built. What it raises ends the connection.
        """
        present = registry.find(self.alias)
        if present is not None and not registry.is_published(present):
            registry.remove(self.alias)  # by mongoengine.disconnect(), without our knowing
            present = None
        if present is not None and present.settings == settings:
            return False
        if present is not None:
            raise ConfigurationError(
                f"{self.alias!r} is already connected with other settings; "
                "disconnect it before connecting it anew",
                alias=self.alias,
            )
        return self._connecting.run(partial(self._open, settings, before_building))

    def disconnect(self) -> None:
        """Close the database's client and detach its documents. Idempotent.

        A connect that is under way is told to stop and is waited for.
        """
        self._cancelled.set()
        self._connecting.wait()
        connection = registry.find(self.alias)
        if connection is None:
            return
        registry.remove(self.alias)
        logger.info(
            "disconnected %s", self.alias, extra={"alias": self.alias, "event": "disconnected"}
        )
        self._events.publish(Event("disconnected", self.alias))
        self._events.finish()

    close = disconnect

    # Questions

    @property
    def client(self) -> MongoClient[Any]:
        """The PyMongo client; raises ``NotConnectedError`` where there is none."""
        return registry.connection(self.alias).client

    @property
    def name(self) -> str:
        """The database's name on the server; raises ``NotConnectedError`` before connecting."""
        return registry.connection(self.alias).settings.database

    @property
    def state(self) -> str:
        """``disconnected``, ``connecting``, ``connected``, ``degraded`` or ``unavailable``.

        Read from what the driver's monitoring last saw: costs nothing and asks no server.
        """
        return self._state_of(registry.find(self.alias))

    @property
    def is_connected(self) -> bool:
        """Whether operations can be expected to work now; asks no server."""
        return self.state in ("connected", "degraded")

    def ping(self, timeout: float = 2.0) -> float:
        """Ask the primary for a sign of life; returns the milliseconds that it took.

        Raises:
            NotConnectedError: before ``connect``.
            UnavailableError: when no answer comes within ``timeout`` seconds.
            AuthenticationError: when the server no longer accepts the credentials.
        """
        return ping_or_explain(registry.connection(self.alias), timeout)

    def status(self, timeout: float = 2.0) -> dict[str, Any]:
        """How the database is doing, JSON-ready. Never raises, never connects.

        Pings the server, for at most ``timeout`` seconds.
        """
        connection = registry.find(self.alias)
        if connection is None:
            return self.status_unasked(None)
        try:
            latency_ms = ping_or_explain(connection, timeout)
            ask_version(connection, timeout)
        except DataLayerError as exc:
            return self.status_unasked(exc.message)
        return self.status_unasked(None, latency_ms)

    def status_verified(self) -> dict[str, Any]:
        """``status()`` from what verified the connection, right after connecting."""
        connection = registry.find(self.alias)
        return self.status_unasked(None, connection.verified_ms if connection else None)

    def status_unasked(self, error: str | None, latency_ms: float | None = None) -> dict[str, Any]:
        """``status()`` from a ping whose outcome is known already."""
        connection = registry.find(self.alias)
        state, last_error = self._state_of(connection), error or self._last_error
        if connection is None:
            return disconnected_status(self.alias, state, last_error)
        return status_of(connection, state, latency_ms, last_error)

    # Events

    def on(self, event: str, callback: Callback) -> None:
        """Call ``callback`` with an ``Event`` each time ``event`` happens.

        ``connecting``, ``connected`` and ``disconnected`` are told in the thread that connects;
        ``unavailable``, ``recovered``, ``pool_exhausted`` and ``slow_command`` in a thread of
        the service. Raises ``ValueError`` for an unknown name.
        """
        self._events.on(event, callback)

    def off(self, event: str, callback: Callback) -> None:
        """Stop calling ``callback`` for ``event``."""
        self._events.off(event, callback)

    # Inside

    def _state_of(self, connection: Connection | None) -> str:
        if self._connecting.under_way:
            return "connecting"
        return "disconnected" if connection is None else connection.reach()

    def _resolve(self, settings: DatabaseSettings | Settings | None) -> DatabaseSettings:
        if isinstance(settings, DatabaseSettings):
            return settings
        if settings is None:
            present = registry.find(self.alias)
            if present is not None:
                return present.settings
            settings = registry.read_settings(only=self.alias)
        if self.alias not in settings:
            raise ConfigurationError(
                f"there are no settings for the alias {self.alias!r}; "
                f"name it in DATALAYER_ALIASES and set {prefix_of(self.alias)}URI",
                alias=self.alias,
            )
        return settings[self.alias]

    def _open(
        self, settings: DatabaseSettings, before_building: Callable[[], None] | None
    ) -> bool:
        self._cancelled.clear()
        started = monotonic()
        self._events.publish(Event("connecting", self.alias))
        connection = registry.new_connection(settings, self._on_driver_event)
        try:
            self._last_error = connect(connection, self._cancelled, before_building)
        except (ConnectError, ConfigurationError, MigrationError) as exc:
            self._last_error = exc.message
            if not can_wait(connection, exc):
                raise
            joins = not connection.closed
            logger.error(
                "%s; it joins %s",
                exc,
                "by itself when it comes back" if joins else "when you call connect again",
                extra={"alias": self.alias, "event": "unavailable"},
            )
            return joins
        elapsed = monotonic() - started
        logger.info(
            "connected %s to %s in %.3f s",
            self.alias,
            settings.redacted_uri,
            elapsed,
            extra={"alias": self.alias, "event": "connected", "elapsed": round(elapsed, 3)},
        )
        self._events.publish(Event("connected", self.alias))
        return True

    def _on_driver_event(self, name: str, facts: Mapping[str, Any]) -> None:
        connection = registry.find(self.alias)
        if connection is not None and connection.breaker is not None:
            if name == "unavailable":
                connection.breaker.open()
            elif name == "recovered":
                connection.breaker.reset()
        self._events.post(Event(name, self.alias, facts))

    def _note_unavailable(self, event: Event) -> None:
        connection = registry.find(self.alias)
        if connection is not None:
            logger.warning(
                "%s is unavailable: no server can be used",
                self.alias,
                extra={"alias": self.alias, "event": event.name},
            )

    def _note_recovered(self, event: Event) -> None:
        connection = registry.find(self.alias)
        if connection is None:
            return
        late = connection.connected_since is None
        try:
            check_again(
                connection,
                _RECOVERY_SECONDS,
                self._cancelled,
                attempts=connection.settings.retry_attempts if late else 1,
            )
        except ConnectError as exc:
            self._note_refused(exc, late=late)
            return
        if registry.find(self.alias) is not connection:
            return  # disconnected meanwhile
        logger.info(
            "%s is available again", self.alias, extra={"alias": self.alias, "event": event.name}
        )
        connection.server_version = None  # it may have come back upgraded
        self._last_error = prepare(connection) if late else None
        if late:
            self._events.post(Event("connected", self.alias))

    def _note_refused(self, exc: ConnectError, *, late: bool) -> None:
        """A database that was away at start says no: like at start, it is not tried again."""
        self._last_error = exc.message
        logger.error("%s", exc, extra={"alias": self.alias, "event": "refused"})
        if late:
            registry.remove(self.alias)
            self._events.post(Event("disconnected", self.alias))

    def after_fork(self) -> None:
        """Replace locks and threads, in a child."""
        self._connecting = SingleFlight()
        self._cancelled = threading.Event()
        self._events.after_fork()


def service_for(alias: str) -> DatabaseService:
    """The service of ``alias``, which is made where there is none yet."""
    service: DatabaseService | None = registry.services.get(alias)
    if service is None:  # another thread may make one too: the first one stays
        service = registry.services.setdefault(alias, DatabaseService(alias))
    return service
