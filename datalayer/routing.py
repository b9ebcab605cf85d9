"""Where a model's operations go in the present context: to which alias and which database of its
server, and for reads to which members of its replica set."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, TypeVar

from pymongo.read_preferences import (
    Nearest,
    Primary,
    PrimaryPreferred,
    Secondary,
    SecondaryPreferred,
)

from datalayer import indexes
from datalayer.connections import operation
from datalayer.connections.connection import Connection
from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.connections.replica_lag import lagging_less_than, some_secondary_lags_less_than
from datalayer.context.decorators import with_block
from datalayer.context.places import ORIGIN, Place, place_from, places
from datalayer.context.stack import ContextStack
from datalayer.context.tenant_databases import TenantDatabases
from datalayer.errors import ConfigurationError, TenantError

__all__ = [
    "alias_for",
    "connection_for",
    "connection_of",
    "databases",
    "followed",
    "is_direct",
    "place_for",
    "read_from",
    "read_preference_for",
    "router",
    "tenants",
    "using",
]

Router = Callable[[Any], str | tuple[str, str] | None]
Routing = TypeVar("Routing", bound=Router | None)
Preference = Primary | PrimaryPreferred | Secondary | SecondaryPreferred | Nearest

_MODES: Mapping[str, Any] = MappingProxyType(
    {
        "primary": Primary,
        "primaryPreferred": PrimaryPreferred,
        "secondary": Secondary,
        "secondaryPreferred": SecondaryPreferred,
        "nearest": Nearest,
    }
)
_EVERY_ALIAS = "*"
_UNSAID: Any = object()


@dataclass(frozen=True)
class _Reading:
    """From which members to read."""

    preference: Preference
    most_lag_seconds: float | None = None


_readings: ContextStack[Mapping[str, _Reading]] = ContextStack(
    "datalayer_read_from", copies_keep=True
)


@with_block
def using(
    mapping: Mapping[str, str | tuple[str, str]] | None = None,
    /,
    *,
    database: str = _UNSAID,
    **aliases: str | tuple[str, str],
) -> Iterator[None]:
    """Send the operations of some aliases to others, or to other databases of the same server,
    inside the block.

        with db.using(default="archive"):
            Order.objects.count()  # in the archive
        with db.using(database="tenant_42"):
            Order.objects.count()  # in another database of the server of `default`
        with db.using(database1=("database1", "events_42")):
            AnalyticsEvent.objects.count()  # the same for another alias

    ``database`` is that of ``default``, or of the alias that stands for it. It is reached over
    the alias's own client, so that a thousand of them take no more connections than one, and
    gets the models' collections and indexes before its first write. What ``db.tenants`` says of
    the names that are allowed holds.

    It holds for the present context (thread) only, and unlike MongoEngine's ``switch_db``
    changes no model. A block inside another adds to it; an alias alone means its own database. A
    document that was read inside and is saved after the block goes to its own alias; one that
    was read from another database of the alias is refused there.

    Raises:
        NotConnectedError: for a target that is not connected, before the block runs.
        TenantError: for a database that operations may not be sent to, before the block runs.
        ConfigurationError: for ``database`` where an alias has that name: give a mapping,
            ``db.using({"database": "archive"})``; and where ``default`` says a database too.
    """
    wanted = {alias: place_from(told) for alias, told in {**(mapping or {}), **aliases}.items()}
    if database is not _UNSAID:
        wanted[DEFAULT_ALIAS] = _on_database(database, wanted.get(DEFAULT_ALIAS))
    for place in wanted.values():
        registry.check_place(place)
    block = places.enter(wanted)
    try:
        yield
    finally:
        places.leave(block)


def _on_database(database: str, told: Place | None) -> Place:
    if "database" in registry.aliases():
        raise ConfigurationError(
            "there is an alias 'database', so that database= may mean two things: for the alias "
            'write db.using({"database": "..."}), and for a database of default\'s server '
            'db.using(default=("default", "..."))'
        )
    if told is not None and told.database is not None:
        raise ConfigurationError("db.using() was told two databases for 'default'; name one")
    place: Place | None = told or places.find(DEFAULT_ALIAS)
    return place_from((DEFAULT_ALIAS if place is None else place.alias, database))


def tenants(
    pattern: str | re.Pattern[str] | None = None,
    *,
    known: Callable[[str], object] | Collection[str] | None = None,
    alias: str = DEFAULT_ALIAS,
) -> None:
    """Say to which other databases of its server the operations of ``alias`` may be sent.

        db.tenants("tenant_[a-z0-9]+", known=lambda name: Tenant.objects(name=name).first())

    The whole name has to match the regular expression ``pattern``, and to be one of ``known``: a
    collection, or a function that says whether there is such a database. It is asked with each
    ``db.using``, outside of any block; for what a router gives when a database is first used by
    the process. Call it once at start-up; a later call takes the place of the earlier, and one
    without arguments takes it away.

    Without it any name is taken that a database can have. The server's own databases and those
    of the configured aliases are refused always.
    """
    said = TenantDatabases(None if pattern is None else re.compile(pattern), known)
    with_it = {**registry.tenants, alias: said}
    if pattern is None and known is None:
        del with_it[alias]
    registry.tenants = with_it
    connection = registry.find(alias)
    if connection is not None:
        connection.forget_others()


@with_block
def read_from(
    mode: str,
    *aliases: str,
    tags: Sequence[Mapping[str, str]] | None = None,
    max_staleness: int = -1,
    max_lag: float | None = None,
) -> Iterator[None]:
    """Read from other members of the replica set than the primary, inside the block.

        with db.read_from("secondaryPreferred", "database1", max_lag=5):
            AnalyticsEvent.objects.count()

    ``mode`` is one of ``primary``, ``primaryPreferred``, ``secondary``, ``secondaryPreferred``
    and ``nearest``, for the ``aliases`` named, or for all. ``tags`` names sets of members, tried
    in their order. ``max_staleness`` in seconds is the driver's limit, at least 90. ``max_lag``
    is a finer one, in seconds as of the last heartbeat, which may be ten seconds old: members
    that lag more are left out, and where all do, the primary is read. A read that follows a
    write of one's own belongs into ``db.session()``. In a transaction the primary is read.

    Raises:
        ConfigurationError: for an unknown mode, or limits that don't fit it.
    """
    reading = _Reading(_preference(mode, tags, max_staleness), max_lag)
    lagging = nullcontext() if max_lag is None else lagging_less_than(max_lag)
    with _readings.entered(dict.fromkeys(aliases or (_EVERY_ALIAS,), reading)), lagging:
        yield


def databases(pattern: str = "*", *, alias: str = DEFAULT_ALIAS) -> list[str]:
    """The names of the databases on the server of ``alias`` to which its operations may be sent,
    and which match ``pattern`` as the shell would (``tenant_*``), in order.

        for name in db.databases("tenant_*"):
            with db.using(database=name):
                Order.objects(paid=False).update(overdue=True)

    Raises:
        NotConnectedError: before ``connect``.
        UnavailableError: where the server is away.
    """
    own = registry.own_connection(alias)
    with operation.asking(own, "listing the databases"):
        names = own.client.list_database_names()
    return [name for name in sorted(names) if fnmatchcase(name, pattern) and _may_go(alias, name)]


def _may_go(alias: str, name: str) -> bool:
    try:
        registry.check_place(Place(alias, name))
    except TenantError:
        return False
    return True


def router(function: Routing) -> Routing:
    """Have ``function(model)`` say where each operation goes: an alias, or an alias and a
    database of its server; ``None`` means the model's own.

    For one database per tenant, say::

        @db.router
        def by_tenant(model):
            return ("default", f"tenant_{current_tenant()}") if model in TENANT_MODELS else None

    Set it once at start-up; it is called for each operation,
    in the thread of the operation, and so must be quick. ``db.using`` goes before it.
    ``db.router(None)`` takes it away.
    """
    registry.router = function
    return function


def alias_for(model: Any) -> str:
    """The alias that operations of ``model`` go to now."""
    return place_for(model).alias


def connection_for(model: Any) -> Connection:
    """The connection that operations of ``model`` go over now, to its database there.

    Raises:
        NotConnectedError: where the alias isn't connected.
        TenantError: for a database that its operations may not be sent to.
    """
    return registry.connection_to(place_for(model))


def place_for(model: Any) -> Place:
    """Where operations of ``model`` go now; asks for no connection, and checks no name."""
    declared = indexes.alias_of(model)
    place: Place | None = places.find(declared)
    route: Router | None = registry.router
    if place is None:
        routed = route(model) if route is not None else None
        place = place_from(routed or declared)
    origin: Place | None = places.find(ORIGIN)
    if origin is None or origin.alias != place.alias:
        return place
    # A router knows which models have their documents in the alias's own database.
    return place if place.database is None and route is not None else origin


def connection_of(alias: str) -> Connection:
    """The connection that operations of ``alias`` go over now, inside ``using``.

    Raises what ``connection_for`` raises.
    """
    place: Place | None = places.find(alias)
    return registry.connection_to(place or Place(alias))


def followed(place: Place) -> AbstractContextManager[None]:
    """Inside the block, what belongs to a document that lies in ``place`` is looked for there:
    what it refers to, and what refers to it."""
    return places.entered({ORIGIN: place})


def is_direct(model: Any) -> bool:
    """Whether operations of ``model`` go to its own alias now, and its reads the client's own
    way, so that nobody need be asked."""
    return (
        places.variable.get() is None
        and _readings.variable.get() is None
        and registry.router is None
        and "read_from" not in model._meta
    )


def read_preference_for(model: Any, connection: Connection) -> Preference | None:
    """From which members the model's reads are answered now; ``None`` for the client's own way.

    The present context decides, then the model's ``meta["read_from"]``.
    """
    reading: _Reading | None = _readings.find(connection.alias, _EVERY_ALIAS)
    if reading is None:
        declared = model._meta.get("read_from")
        return None if declared is None else _preference(declared, None, -1)
    limit = reading.most_lag_seconds
    if limit is not None and not some_secondary_lags_less_than(
        limit, connection.monitors.topology.description
    ):
        return Primary()
    return reading.preference


def _preference(
    mode: str, tags: Sequence[Mapping[str, str]] | None, max_staleness: int
) -> Preference:
    if mode not in _MODES:
        raise ConfigurationError(
            f"there is no read preference {mode!r}; there are {', '.join(_MODES)}"
        )
    if mode == "primary":
        if tags or max_staleness != -1:
            raise ConfigurationError("reading from the primary takes no tags and no max_staleness")
        return Primary()
    if max_staleness != -1 and max_staleness < 90:
        raise ConfigurationError(
            "max_staleness must be at least 90 seconds (the driver's rule); use max_lag for less"
        )
    preference: Preference = _MODES[mode](tag_sets=tags, max_staleness=max_staleness)
    return preference
