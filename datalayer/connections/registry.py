"""The one owner of MongoEngine's connection registry: every client is opened, published,
replaced after a fork and closed here, and nothing else calls MongoEngine's ``connect`` or
``disconnect``."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import mongoengine
from bson import ObjectId
from mongoengine import connection as mongoengine_connection
from mongoengine.base.common import _get_documents_by_db
from pymongo import MongoClient

from datalayer.concurrency.forks import fork_mark
from datalayer.concurrency.threads import SingleFlight
from datalayer.connections.connection import Connection, not_connected
from datalayer.context.places import Place, place_from, places
from datalayer.context.tenant_databases import TenantDatabases, check_database
from datalayer.errors import ConfigurationError, NotConnectedError
from datalayer.monitoring import Emit, Monitors
from datalayer.monitoring.observer import CommandTracer, Observer
from datalayer.settings import DatabaseSettings, Settings
from datalayer.settings.variables import prefix_of
from datalayer.shutdown import flush

if TYPE_CHECKING:
    from pymongo.database import Database

    from datalayer.embedded import EmbeddedMongo

logger = logging.getLogger("datalayer.core")

DEFAULT_ALIAS = "default"


class Registry:
    """Which aliases are connected, in this process; MongoEngine's own registry follows it."""

    def __init__(self) -> None:
        self.services: dict[str, Any] = {}
        self.settings: Settings | None = None
        """What the facade connected last; ``None`` when it has disconnected."""
        self.read_settings: Callable[..., Settings] = Settings.from_env
        """Reads settings where none are given, called like ``Settings.from_env``: a framework
        that holds the application's settings puts its own function here."""
        self.observers: Callable[[DatabaseSettings], Observer] | None = None
        """Makes who is told of each command of a database, for each that is connected."""
        self.tracers: Callable[[DatabaseSettings], CommandTracer] | None = None
        """Makes what makes a span of each command of a database, for each that is connected."""
        self.inherited: list[MongoClient[Any]] = []
        """Clients of this process's parents, kept until it ends: sockets that the parent also
        holds would be closed with them, and the driver would warn of each."""
        self.on_open: list[Callable[[Connection], object]] = []
        """Called with each connection whose client this process opens; must return at once."""
        self.on_close: list[Callable[[Connection], object]] = []
        """Called with each connection that was closed, as long as its figures can be read."""
        self.router: Callable[[Any], str | tuple[str, str] | None] | None = None
        """Says the alias of an operation on a model, or the alias and the database; set through
        ``db.router``."""
        self.tenants: dict[str, TenantDatabases] = {}
        """Which databases operations may be sent to, by alias; set through ``db.tenants``."""
        self.relays: dict[str, Any] = {}
        """The threads that deliver from outboxes, by alias."""
        self.pending_migrations: int | None = None
        """How many migrations of the settings' package were not applied when somebody looked last;
        ``None`` where there is no package, or nobody has looked."""
        self.connecting: SingleFlight[dict[str, Any]] = SingleFlight()
        self._connections: dict[str, Connection] = {}
        self._embedded: EmbeddedMongo | None = None
        self._mark = fork_mark()
        self._noticing_fork = threading.Lock()  # one thread of a child replaces its registry
        # Guards the fields above and MongoEngine's registry. Re-entrant: publishing may need
        # the client, and an index build started under it may open another alias.
        self._lock = threading.RLock()

    def connection(self, alias: str = DEFAULT_ALIAS) -> Connection:
        """The connection of ``alias``: on the database that the present context has chosen for
        it, or its own.

        Raises:
            NotConnectedError: before ``connect`` and after ``disconnect``.
        """
        own = self.own_connection(alias)
        if places.variable.get() is None:
            return own
        place: Place | None = places.find(alias)
        return own if place is None or place.alias != alias else self.connection_to(place)

    def own_connection(self, alias: str) -> Connection:
        """The connection of ``alias`` on its own database, whatever the context says.

        Raises:
            NotConnectedError: before ``connect`` and after ``disconnect``.
        """
        if not self._mark[0]:
            self.check_process()
        try:
            return self._connections[alias]
        except KeyError:
            raise self._unknown(alias) from None

    def connection_to(self, place: Place) -> Connection:
        """The connection to a place, whatever the context says.

        Raises:
            NotConnectedError: before ``connect`` and after ``disconnect``.
            TenantError: for a database that the alias's operations may not be sent to.
        """
        own = self.own_connection(place.alias)
        if place.database is None:
            return own
        found = own.find_on(place.database)
        if found is None:
            self.check_place(place)
            found = own.on(place.database)
        return found

    def connection_named(self, told: str | tuple[str, str]) -> Connection:
        """The connection of an alias, or to a database as ``(alias, database)``.

        Raises what ``connection_to`` raises.
        """
        if isinstance(told, str):
            return self.connection(told)
        return self.connection_to(place_from(told))

    def check_place(self, place: Place) -> None:
        """Refuse a place that operations may not be sent to.

        Raises what ``connection_to`` raises.
        """
        own, allowed = self.own_connection(place.alias), self.tenants.get(place.alias)
        if place.database is None:
            return
        asks_somebody = allowed is not None and allowed.known is not None
        if not asks_somebody and own.find_on(place.database) is not None:
            return  # it was checked before
        names = {
            each.alias: each.settings.database
            for each in list(self._connections.values())
            if each.settings.hosts == own.settings.hosts
        }
        check_database(place.database, place.alias, names, allowed)

    def find(self, alias: str) -> Connection | None:
        """The connection of ``alias``, or ``None``."""
        self.check_process()
        return self._connections.get(alias)

    def aliases(self) -> list[str]:
        """The aliases that are connected, in the order of connecting."""
        self.check_process()
        return list(self._connections)

    def connections(self) -> list[Connection]:
        """What is connected, in the order of connecting."""
        self.check_process()
        return list(self._connections.values())

    def observe(self, observers: Callable[[DatabaseSettings], Observer] | None) -> None:
        """Have the databases observed from now on, those connected later too; or no longer."""
        with self._lock:
            self.observers = observers
            for connection in self._connections.values():
                made = None if observers is None else observers(connection.settings)
                connection.monitors.observe(made)

    def trace(self, tracers: Callable[[DatabaseSettings], CommandTracer] | None) -> None:
        """Have spans made of the databases' commands from now on, of those connected later too;
        or no longer."""
        with self._lock:
            self.tracers = tracers
            for connection in self._connections.values():
                connection.trace(None if tracers is None else tracers(connection.settings))

    def publish(self, connection: Connection) -> None:
        """Make ``connection`` the one that documents of its alias use; close it if it can't be.

        Raises:
            ConfigurationError: when other code has connected MongoEngine to that alias.
        """
        settings = connection.settings
        with self._lock:
            if connection.alias not in self._connections:
                try:
                    mongoengine.connect(
                        db=settings.database,
                        alias=connection.alias,
                        uuidRepresentation="standard",
                        mongo_client_class=connection.client_for_mongoengine,
                    )
                except mongoengine_connection.ConnectionFailure as exc:
                    self.discard(connection)
                    raise ConfigurationError(
                        f"the alias {connection.alias!r} was already connected by a direct call "
                        "of mongoengine.connect(); leave connecting to datalayer, or use another "
                        "alias there",
                        alias=connection.alias,
                    ) from exc
                self._connections[connection.alias] = connection
                connection.monitors.commands.on_drop = self._forget_dropped
                # Each time anew, so that it comes before the end of a private server.
                atexit.unregister(self._close_at_exit)
                atexit.register(self._close_at_exit)

    def is_published(self, connection: Connection) -> bool:
        """Whether MongoEngine still has ``connection``: older code may have called its
        ``disconnect()``, which closes the client."""
        known = mongoengine_connection._connection_settings.get(connection.alias, {})
        if known.get("mongo_client_class") == connection.client_for_mongoengine:
            return True
        opened = mongoengine_connection._connections.get(connection.alias)
        return opened is not None and opened is connection._client

    def remove(self, alias: str) -> None:
        """Close the connection of ``alias`` and take it out. Nothing happens if there is none."""
        with self._lock:
            connection = self._connections.pop(alias, None)
            if connection is None:
                return
            if alias == DEFAULT_ALIAS:
                self.pending_migrations = None
            is_published = self.is_published(connection)
            connection.close()
            for call in tuple(self.on_close):
                call(connection)
            if is_published:  # or the alias is other code's by now
                _forget_client(alias)
                mongoengine.disconnect(alias)
            self._release_embedded()

    def _forget_dropped(self, database: str | None, collection: str | None) -> None:
        """Have what one of our clients dropped built again before the next write.

        Whose client it was doesn't matter: two aliases may be on one server.
        """
        for connection in list(self._connections.values()):
            for each in (connection, *connection.others()):
                if database in (None, each.settings.database):
                    each.built_indexes.forget(collection)

    def _unknown(self, alias: str) -> NotConnectedError:
        configured = self.settings
        if configured is None or alias in configured:
            return not_connected(alias)
        return NotConnectedError(
            f"no database has the alias {alias!r}: {how_to_configure(alias, configured)}",
            alias=alias,
        )

    def _close_at_exit(self) -> None:
        flush()
        for alias in reversed(self.aliases()):
            with contextlib.suppress(Exception):  # nobody is left to tell
                self.remove(alias)

    def uri_for(self, settings: DatabaseSettings) -> str:
        """The URI to open: the configured one, or that of the private server, started if need be.

        All ``embedded://`` aliases of a process share one server.
        """
        if settings.kind == "mongomock":
            return f"mongodb://localhost/{settings.database}"
        if settings.kind == "mongodb":
            return settings.secret_uri()
        from datalayer.embedded import EmbeddedMongo

        with self._lock:
            if self._embedded is None:
                self._embedded = EmbeddedMongo(journal=False)  # it never outlives the process
            return self._embedded.uri_for(settings.database)

    def new_connection(self, settings: DatabaseSettings, emit: Emit) -> Connection:
        """A connection without a client yet, which nobody finds before ``publish``; what happens
        to its database is told to ``emit``."""
        monitors = Monitors(settings.alias, settings.slow_ms, emit, settings.leak_warning_ms)
        monitors.commands.own_database = settings.database
        if self.observers is not None:
            monitors.observe(self.observers(settings))
        if self.tracers is not None:
            monitors.trace(self.tracers(settings))
        return Connection(settings, monitors, self.uri_for(settings), self.opened)

    def discard(self, connection: Connection) -> None:
        """Close a connection that could not be published, and the private server with it when no
        other uses that."""
        connection.close()
        with self._lock:
            self._release_embedded()

    def _release_embedded(self) -> None:
        in_use = any(c.settings.kind == "embedded" for c in self._connections.values())
        if self._embedded is not None and not in_use:
            server, self._embedded = self._embedded, None
            server.stop()

    def opened(self, connection: Connection) -> None:
        """Tell those who asked that this process has opened the client of ``connection``."""
        for call in tuple(self.on_open):
            call(connection)

    def check_process(self) -> None:
        """Notice a fork that ran no handlers, as uWSGI's does."""
        if not self._mark[0]:
            with self._noticing_fork:
                if not self._mark[0]:
                    self.after_fork()

    def after_fork(self) -> None:
        """Give the child a registry whose connections open clients of their own."""
        self._lock = threading.RLock()
        self.relays = {}
        self.connecting = SingleFlight()
        for connection in self._connections.values():
            client = connection.after_fork()
            if client is not None:
                self.inherited.append(client)
            _forget_client(connection.alias)
        for service in self.services.values():
            service.after_fork()
        # The driver draws a child's random part of ids at its first id; threads that make one at
        # that moment get the parent's part, and ids that the parent gives as well. Draw it now.
        ObjectId()
        self._mark = fork_mark()  # last: another thread of the child waits for all of it


def how_to_configure(alias: str, configured: Iterable[str]) -> str:
    """Which databases there are, and which variables would add ``alias``."""
    return (
        f"there are {', '.join(configured)}; add {alias!r} to DATALAYER_ALIASES and set "
        f"{prefix_of(alias)}URI, or name one of those"
    )


def _forget_client(alias: str) -> None:
    """Make MongoEngine ask for the client of ``alias`` again, without closing the present one,
    and let go of the documents' collections, which hold it.

    Its settings stay registered, with our function in the place of the client's class.
    """
    mongoengine_connection._connections.pop(alias, None)
    mongoengine_connection._dbs.pop(alias, None)
    for document in _get_documents_by_db(alias, DEFAULT_ALIAS):
        if issubclass(document, mongoengine.Document):
            document._collection = None


registry = Registry()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=registry.after_fork)


def client(alias: str = DEFAULT_ALIAS) -> MongoClient[Any]:
    """The client of ``alias``; raises ``NotConnectedError`` where there is none."""
    return registry.connection(alias).client


def database(alias: str = DEFAULT_ALIAS) -> Database[Any]:
    """The database of ``alias``; raises ``NotConnectedError`` where there is none."""
    return registry.connection(alias).database
