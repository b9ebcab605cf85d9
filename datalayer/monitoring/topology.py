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
)
from pymongo.read_preferences import ReadPreference
from pymongo.topology_description import TopologyDescription

from datalayer.monitoring.failures import FailureLog, address_of
from datalayer.monitoring.observer import Emit

Reach = Literal["connected", "degraded", "unavailable"]
Address = tuple[str, int | None]
Describe = Callable[[], TopologyDescription | None]


class TopologyMonitor(ServerHeartbeatListener):
    """Knows the servers of one client, and tells when they go away or come back.

    ``unavailable`` is emitted when the last usable server stops answering its heartbeats,
    ``recovered`` when one answers again. Both come from the driver's own monitoring, so they
    need no traffic.

    Heartbeats, rather than the driver's topology events: for those it keeps another thread for
    each client, which tells them up to a second late and makes closing take half a second. The
    topology itself is read from the client, where it is always the present one.
    """

    def __init__(self, emit: Emit, failures: FailureLog | None = None) -> None:
        self._emit = emit
        self._failures = failures or FailureLog("")
        self._watching = False
        self._was_usable = False
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: the process was forked, and the child's client looks anew.

        The child tells about changes if its parent did.
        """
        self._lock = threading.RLock()  # guards the fields below
        self._describe: Describe | None = None
        self._answering: dict[Address, bool] = {}
        self._found = False  # whether a usable server was seen; a new client knows none
        self._heartbeats = self._heartbeats_failed = 0
        self._last_error: Exception | None = None

    @property
    def description(self) -> TopologyDescription | None:
        """What the driver knows now, or ``None`` where there is no client, or none any more."""
        return None if self._describe is None else self._describe()

    def follow(self, describe: Describe) -> None:
        """Look at the client whose description ``describe`` gives."""
        self._describe = describe
        self._compare()  # a heartbeat may have come before

    @property
    def last_error(self) -> Exception | None:
        """The error of the last heartbeat that failed, ``None`` when the last one succeeded."""
        return self._last_error

    def watch(self, *, usable: bool) -> None:
        """Tell about changes from now on, seen from a database that is ``usable`` or isn't."""
        with self._lock:
            self._was_usable = self._found = usable
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

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        """A heartbeat is counted when it has ended."""

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        """A server answered its heartbeat."""
        with self._lock:
            self._heartbeats += 1
            self._last_error = None
            self._answering[event.connection_id] = event.reply.is_readable
        self._compare()

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        """A server did not answer its heartbeat.

        One that the driver itself broke off says nothing about the server: it does so to check
        anew after a network error, and when the process ends.
        """
        if type(event.reply).__name__ == "_OperationCancelled":
            return
        with self._lock:
            self._heartbeats += 1
            self._heartbeats_failed += 1
            self._last_error = event.reply
            self._answering[event.connection_id] = False
        kind = type(event.reply).__name__
        self._failures.note(kind, "heartbeat", address_of(event.connection_id))
        self._compare()

    def _compare(self) -> None:
        description = self.description
        members = description.server_descriptions() if description is not None else {}
        with self._lock:
            usable = any(self._answering.get(address, False) for address in members)
            self._found = self._found or usable
            changed = self._watching and self._found and usable != self._was_usable
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
