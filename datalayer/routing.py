"""Where a model's operations go in the present context: to which alias, and for reads to which
members of its replica set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pymongo.read_preferences import (
    Nearest,
    Primary,
    PrimaryPreferred,
    Secondary,
    SecondaryPreferred,
)

from datalayer import indexes
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.connections.replica_lag import lagging_less_than, some_secondary_lags_less_than
from datalayer.context.decorators import with_block
from datalayer.context.stack import ContextStack
from datalayer.errors import ConfigurationError

__all__ = ["alias_for", "read_from", "read_preference_for", "redirected", "router", "using"]

Router = Callable[[Any], str | None]
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


@dataclass(frozen=True)
class _Reading:
    """From which members to read."""

    preference: Preference
    most_lag_seconds: float | None = None


_aliases: ContextStack[Mapping[str, str]] = ContextStack("datalayer_using", copies_keep=True)
_readings: ContextStack[Mapping[str, _Reading]] = ContextStack(
    "datalayer_read_from", copies_keep=True
)


@with_block
def using(**aliases: str) -> Iterator[None]:
    """Send the operations of some aliases to others, inside the block.

        with db.using(default="archive"):
            Order.objects.count()  # in the archive

    It holds for the present context (thread) only, and unlike MongoEngine's ``switch_db``
    changes no model. A block inside another adds to it. A document that was read inside and is
    saved after the block goes to its own alias.

    Raises:
        NotConnectedError: for a target that is not connected, before the block runs.
    """
    for target in aliases.values():
        registry.connection(target)
    with _aliases.entered(aliases):
        yield


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


def router(function: Router | None) -> Router | None:
    """Have ``function(model)`` say the alias of each operation; ``None`` means the model's own.

    For one database per tenant, say::

        @db.router
        def by_tenant(model):
            return f"tenant_{current_tenant()}" if model in TENANT_MODELS else None

    Set it once at start-up; it is called for each operation,
    in the thread of the operation, and so must be quick. ``db.using`` goes before it.
    ``db.router(None)`` takes it away.
    """
    registry.router = function
    return function


def alias_for(model: Any) -> str:
    """The alias that operations of ``model`` go to now."""
    declared = indexes.alias_of(model)
    used: str | None = _aliases.find(declared)
    if used is not None:
        return used
    route: Router | None = registry.router
    return (route(model) if route is not None else None) or declared


def is_direct(model: Any) -> bool:
    """Whether operations of ``model`` go to its own alias now, and its reads the client's own
    way, so that nobody need be asked."""
    return (
        _aliases.variable.get() is None
        and _readings.variable.get() is None
        and registry.router is None
        and "read_from" not in model._meta
    )


def redirected(alias: str) -> str:
    """The alias that operations of ``alias`` go to now, inside ``using``."""
    return _aliases.find(alias) or alias


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
