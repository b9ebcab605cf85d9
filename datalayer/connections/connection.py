"""One alias's client, with what belongs to it: its settings, its monitors, and the indexes that
were built over it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pymongo
from mongoengine import connection as mongoengine_connection
from pymongo import MongoClient

from datalayer.concurrency.threads import SingleFlight
from datalayer.connections.breaker import CircuitBreaker
from datalayer.connections.built_indexes import BuiltIndexes
from datalayer.connections.client import abandon_client, open_client, trace_operations
from datalayer.context.places import Place
from datalayer.errors import NotConnectedError
from datalayer.monitoring import Monitors
from datalayer.monitoring.observer import CommandTracer
from datalayer.monitoring.topology import Reach, reach_of
from datalayer.settings import DatabaseSettings
from datalayer.settings.uri.secret_uri import SecretUri

if TYPE_CHECKING:
    from pymongo.database import Database

_CLOSE_SECONDS = 0.5
"""Closing ends the server's sessions first, and would wait for a server that is away."""
MOST_DATABASES = 4096
"""Of so many databases of one server it is known which indexes stand; those that were used least
lately are forgotten, and looked at again before their next write."""
_MOST_COLLECTIONS = 1024
"""Of models elsewhere than in their own database; they cost little to make."""


class Connection:
    """One alias's client, with its settings, its monitors and the indexes that were built over it.

    After a fork the child gets a client of its own at the first use. The parent's is left as it
    is: closing it would shut down sockets that the parent still uses.
    """

    def __init__(
        self,
        settings: DatabaseSettings,
        monitors: Monitors,
        uri: str,
        opened: Callable[[Connection], object],
    ) -> None:
        self.alias = settings.alias
        self._place = Place(settings.alias)
        self.settings = settings
        self.monitors = monitors
        self.connected_since: datetime | None = None
        self.server_version: str | None = None
        self.verified_ms: float | None = None
        """How long the command took that verified the connection."""
        self.breaker = None if settings.required else CircuitBreaker(settings.alias)
        """Refuses calls to an optional database that is away."""
        self.closed = False
        """Whether it was disconnected: operations that still hold it end."""
        self.built_indexes = BuiltIndexes()
        """The models, with their collection, whose indexes were built over this connection."""
        self.index_builds: dict[str, SingleFlight[None]] = {}
        """The builds that first writes share, by collection."""
        self._uri = SecretUri(uri)
        self._opened = opened
        self._lock = threading.Lock()  # guards _client and _others
        self._others: OrderedDict[str, Connection] = OrderedDict()
        self._collections: dict[tuple[Any, str | None], Any] = {}
        self._client: MongoClient[Any] | None = None

    @property
    def client(self) -> MongoClient[Any]:
        """The client of this process, opened at the first use.

        Raises:
            NotConnectedError: after ``close``.
        """
        opened = self._client
        return opened if opened is not None else self.client_for_mongoengine()

    def client_for_mongoengine(self, **_options: Any) -> MongoClient[Any]:
        """What MongoEngine calls instead of building a client from its own options."""
        with self._lock:
            if self.closed:  # an operation still holds what was disconnected meanwhile
                raise not_connected(self.alias)
            if self._client is None:
                self._client = open_client(self.settings, self._uri, self.monitors)
                self._opened(self)
            return self._client

    @property
    def database(self) -> Database[Any]:
        """Its database: the alias's, or the one that it was asked for with ``on``."""
        return self.client[self.settings.database]

    @property
    def place(self) -> Place:
        """The alias, and the database where it isn't the alias's own."""
        return self._place

    @property
    def label(self) -> str:
        """How errors name it: the alias, and the database where it isn't the alias's own."""
        database = self.place.database
        return repr(self.alias) if database is None else f"{self.alias!r} (database {database!r})"

    def on(self, database: str) -> Connection:
        """Another database of the server, over this client: with indexes of its own."""
        found = self.find_on(database)
        if found is None:
            with self._lock:
                found = self._others.setdefault(database, OtherDatabase(self, database))
                if len(self._others) > MOST_DATABASES:
                    self._others.popitem(last=False)
        return found

    def find_on(self, database: str) -> Connection | None:
        """What ``on`` gives, where it was asked for lately."""
        try:
            self._others.move_to_end(database)
            return self._others[database]
        except KeyError:  # by another thread just now, perhaps
            return None

    def collection(self, model: Any, make: Callable[[Any, Connection], Any]) -> Any:
        """The collection of ``model`` here: what ``make`` gives, which is kept for a while."""
        return self._collection(model, self, make)

    def _collection(
        self, model: Any, there: Connection, make: Callable[[Any, Connection], Any]
    ) -> Any:
        key, client = (model, there.place.database), self.client
        found = self._collections.get(key)
        if found is None or found.database.client is not client or found._home is not there:
            if len(self._collections) >= _MOST_COLLECTIONS:
                self._collections.clear()
            found = self._collections[key] = make(model, there)
        return found

    def forget_others(self) -> None:
        """Have names of databases be checked again; what was built in them is looked at again."""
        with self._lock:
            self._others.clear()

    def others(self) -> list[Connection]:
        """Those that ``on`` has given and that are remembered."""
        with self._lock:
            return list(self._others.values())

    @property
    def is_unused(self) -> bool:
        """Whether this process has no client yet, as after a fork: the next operation opens it."""
        return self._client is None and not self.closed

    def reach(self) -> Reach:
        """Whether operations can be expected to work now, without asking a server."""
        if self.settings.kind == "mongomock":
            return "connected"
        return reach_of(self.monitors.topology.description)

    def trace(self, tracer: CommandTracer | None) -> None:
        """Have ``tracer`` make a span of each command from now on; ``None`` for nobody."""
        with self._lock:
            self.monitors.trace(tracer)
            if self._client is not None:
                trace_operations(self._client, tracer)

    def close(self) -> None:
        """Close the client of this process. Nothing happens when there is none."""
        with self._lock:
            self.closed = True
            opened, self._client = self._client, None
        self.monitors.stop()
        if opened is not None:
            with pymongo.timeout(_CLOSE_SECONDS):
                opened.close()

    def after_fork(self) -> MongoClient[Any] | None:
        """Let go of the parent's client, in a child; returns it where it must not be freed."""
        self._lock = threading.Lock()
        self.index_builds = {}
        self.built_indexes.after_fork()
        for other in self._others.values():
            other.index_builds = {}
            other.built_indexes.after_fork()
        self.monitors.reset()
        if self.breaker is not None:
            self.breaker.reset()
        inherited, self._client = self._client, None
        if inherited is not None and self.settings.kind != "mongomock":
            abandon_client(inherited)
        return inherited


class OtherDatabase(Connection):
    """Another database of a connection's server. All but the name, and what was built there, is
    the connection's own."""

    is_in_use: ClassVar[bool] = False
    """Whether there was one in this process."""

    def __init__(self, own: Connection, database: str) -> None:
        OtherDatabase.is_in_use = True
        self._own = own
        self.alias = own.alias
        self.settings = own.settings.on(database)
        self.monitors = own.monitors
        self.breaker = own.breaker
        self._place = Place(own.alias, database)
        self.built_indexes = BuiltIndexes()
        self.index_builds = {}

    def __getattr__(self, name: str) -> Any:  # what changes: whether it was closed, say
        return getattr(self._own, name)

    @property
    def client(self) -> MongoClient[Any]:
        """The client of the connection."""
        return self._own.client

    def collection(self, model: Any, make: Callable[[Any, Connection], Any]) -> Any:
        """The collection of ``model`` here."""
        return self._own._collection(model, self, make)

    def on(self, database: str) -> Connection:
        """Another database of the same server."""
        return self._own if database == self._own.settings.database else self._own.on(database)


def not_connected(alias: str) -> NotConnectedError:
    """The error for an alias that is configured and has no connection."""
    # In tests of older code, say: documents of datalayer's don't use what it has opened.
    by_others = alias in mongoengine_connection._connection_settings
    instead = ", in the place of mongoengine.connect()," if by_others else ""
    return NotConnectedError(
        f"the database {alias!r} is not connected; call db.connect_all() at start-up{instead} "
        "and db.disconnect_all() only at the end",
        alias=alias,
    )
