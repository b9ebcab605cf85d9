"""Follows what the driver knows about the servers of one alias."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal

from pymongo.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
    TopologyClosedEvent,
    TopologyDescriptionChangedEvent,
    TopologyListener,
    TopologyOpenedEvent,
)
from pymongo.read_preferences import ReadPreference
from pymongo.topology_description import TopologyDescription

from datalayer.monitoring.emit import Emit

__all__ = ["Reach", "TopologyMonitor", "reach_of"]

Reach = Literal["connected", "degraded", "unavailable"]
Describe = Callable[[], TopologyDescription]


class TopologyMonitor(ServerHeartbeatListener, TopologyListener):
    """Knows the servers of one client, and tells when they go away or come back.

    ``unavailable`` is emitted when no server can take an operation any more, ``recovered`` when
    one can again. Both come from the driver's monitoring, so they need no traffic. The driver
    delivers its events up to a second late, so they only say that it is time to look: what is
    looked at is the client's present description.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.reset()

    def reset(self) -> None:
        """Forget everything: the process was forked, and the child has a monitor of its own."""
        self._lock = threading.RLock()  # guards the fields below
        self._describe: Describe | None = None
        self._watching = False
        self._was_usable = False
        self._heartbeats = self._heartbeats_failed = 0
        self._last_error: Exception | None = None

    @property
    def description(self) -> TopologyDescription | None:
        """What the driver knows now, or ``None`` where there is no client yet."""
        return None if self._describe is None else self._describe()

    def follow(self, describe: Describe) -> None:
        """Look at the client whose description ``describe`` gives."""
        self._describe = describe

    @property
    def last_error(self) -> Exception | None:
        """The error of the last heartbeat that failed, ``None`` when the last one succeeded."""
        return self._last_error

    def watch(self, *, usable: bool) -> None:
        """Tell about changes from now on, seen from a database that is ``usable`` or isn't."""
        with self._lock:
            self._was_usable = usable
            self._watching = True

    def stop_watching(self) -> None:
        """Be silent from now on: a client that is being closed loses its servers on purpose."""
        with self._lock:
            self._watching = False

    def snapshot(self) -> dict[str, Any]:
        """The topology's type and its members, JSON-ready; round-trip times in milliseconds."""
        description = self.description
        if description is None:
            return {"topology": None, "members": [], "heartbeats": 0, "heartbeats_failed": 0}
        members = [
            {
                "address": f"{host}:{port}" if port is not None else host,
                "type": server.server_type_name,
                "round_trip_ms": _milliseconds(server.round_trip_time),
            }
            for (host, port), server in sorted(
                description.server_descriptions().items(), key=lambda item: str(item[0])
            )
        ]
        with self._lock:
            return {
                "topology": description.topology_type_name,
                "members": members,
                "heartbeats": self._heartbeats,
                "heartbeats_failed": self._heartbeats_failed,
            }

    def opened(self, event: TopologyOpenedEvent) -> None:
        """Nothing is known yet."""

    def description_changed(self, event: TopologyDescriptionChangedEvent) -> None:
        """The driver's view of the servers changed."""
        self._compare()

    def closed(self, event: TopologyClosedEvent) -> None:
        """The client was closed."""

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        """A heartbeat is counted when it has ended."""

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        """A server answered its heartbeat."""
        with self._lock:
            self._heartbeats += 1
            self._last_error = None

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        """A server did not answer its heartbeat."""
        with self._lock:
            self._heartbeats += 1
            self._heartbeats_failed += 1
            self._last_error = event.reply

    def _compare(self) -> None:
        usable = reach_of(self.description) != "unavailable"
        with self._lock:
            changed = self._watching and usable != self._was_usable
            if changed:
                self._was_usable = usable
        if changed:
            self._emit("recovered" if usable else "unavailable", {})


def reach_of(description: TopologyDescription | None) -> Reach:
    """Whether a topology takes everything, takes some of it, or takes nothing.

    ``degraded`` means that something is missing but work goes on: a member can't be reached,
    or there is no primary and only reads from secondaries are answered.
    """
    if description is None:
        return "unavailable"
    if description.has_writable_server():
        known = all(s.is_server_type_known for s in description.server_descriptions().values())
        return "connected" if known else "degraded"
    if description.has_readable_server(ReadPreference.SECONDARY_PREFERRED):
        return "degraded"
    return "unavailable"


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
