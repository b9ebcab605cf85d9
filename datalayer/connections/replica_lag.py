"""How far the secondaries of a replica set are behind its primary, as of the last heartbeats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from pymongo.server_description import ServerDescription
from pymongo.server_type import SERVER_TYPE
from pymongo.topology_description import TopologyDescription

from datalayer.context.stack import ContextStack

_limits: ContextStack[float] = ContextStack("datalayer_lag_limit", copies_keep=True)


def lagging_less_than(seconds: float) -> AbstractContextManager[None]:
    """Leave out secondaries that lag more, in the present context."""
    return _limits.entered(seconds)


def selector(
    describe: Callable[[], TopologyDescription | None],
) -> Callable[[list[ServerDescription]], list[ServerDescription]]:
    """The driver's ``server_selector`` that follows ``lagging_less_than``."""

    def select(servers: list[ServerDescription]) -> list[ServerDescription]:
        block = _limits.innermost()
        if block is None:
            return servers
        limit = block.value
        description = describe()
        if description is None:
            return servers
        primary = _primary_of(description)
        near = [server for server in servers if _is_near(server, primary, limit)]
        # None are left where one has fallen behind this moment: late data beat no data.
        return near or servers

    return select


def some_secondary_lags_less_than(seconds: float, description: TopologyDescription | None) -> bool:
    """Whether there is a secondary that is no further behind."""
    if description is None:
        return False
    primary = _primary_of(description)
    return any(_is_near(server, primary, seconds) for server in _secondaries_of(description))


def lag_seconds(server: ServerDescription, primary: ServerDescription) -> float | None:
    """How far ``server`` is behind ``primary``; ``None`` where a heartbeat is still missing.

    Each was asked at its own time, so the differences between asking and the last write are
    compared (Max Staleness specification, without the heartbeat's own interval).
    """
    if server.last_write_date is None or primary.last_write_date is None:
        return None
    behind = server.last_update_time - server.last_write_date
    return max(behind - (primary.last_update_time - primary.last_write_date), 0.0)


def largest_lag_seconds(description: TopologyDescription) -> float | None:
    """How far the last of the secondaries is behind; ``None`` without a primary or secondaries."""
    primary = _primary_of(description)
    if primary is None:
        return None
    lags = (lag_seconds(server, primary) for server in _secondaries_of(description))
    return max((lag for lag in lags if lag is not None), default=None)


def _is_near(server: ServerDescription, primary: ServerDescription | None, limit: float) -> bool:
    if primary is None or server.server_type != SERVER_TYPE.RSSecondary:
        return True
    lag = lag_seconds(server, primary)
    return lag is not None and lag <= limit


def _primary_of(description: TopologyDescription) -> ServerDescription | None:
    return next(_of_type(description, SERVER_TYPE.RSPrimary), None)


def _secondaries_of(description: TopologyDescription) -> Iterable[ServerDescription]:
    return _of_type(description, SERVER_TYPE.RSSecondary)


def _of_type(description: TopologyDescription, server_type: int) -> Iterator[ServerDescription]:
    servers = description.server_descriptions().values()
    return (server for server in servers if server.server_type == server_type)
