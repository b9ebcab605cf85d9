"""Counts the commands and the check-outs of a client where they pass through its connections and
pools, which costs an operation less than what the driver does to tell of them.

What is known of the driver's inside for that stands here and in ``monitoring.hooks``. Where the
installed PyMongo is made in another way, where others listen too, and where messages are
compressed, the driver tells as it always does.
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from pymongo.synchronous import mongo_client
from pymongo.synchronous.pool import Connection, Pool

from datalayer.monitoring import Monitors, PoolMonitor
from datalayer.monitoring.command_facts import failure_in
from datalayer.monitoring.commands import CommandMonitor
from datalayer.monitoring.hooks import hears_alone, tell_of_uncounted

_NAME_AT = 26  # the first key of the command in a message (OP_MSG) that is not compressed
_FLAGS_AT = 16
_NO_REPLY = 2  # the flag ``moreToCome``
_SEVERAL_REPLIES = 1  # the flag ``exhaustAllowed``, two bytes on
_DONE: Mapping[str, Any] = {"ok": 1}


@cache
def _driver_is_known() -> bool:
    try:
        from pymongo._telemetry import _CmapTelemetry
        from pymongo.synchronous.command_runner import _run_command
        from pymongo.synchronous.pool import _PoolCheckout
    except ImportError:  # an older release
        return False
    sends = {"send_message", "receive_message", "_process_response", "enabled_for_commands"}
    return (
        sends <= set(_run_command.__code__.co_names)
        and "_should_publish" in _PoolCheckout.__enter__.__code__.co_names
        and "_should_publish" in Pool.checkin.__code__.co_names
        and {"_should_publish", "_log"} <= set(_CmapTelemetry.__slots__)
        and _takes(Connection.send_message, "message", "max_doc_size")
        and _takes(Connection.receive_message, "request_id")
        and _takes(mongo_client.MongoClient._process_response, "reply", "session")
    )


def _takes(function: Any, *names: str) -> bool:
    return tuple(inspect.signature(function).parameters) == ("self", *names)


@lru_cache(maxsize=256)
def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "replace")


class _Arrived(threading.local):
    """The connection over which the last reply to the present thread came, if it was not read."""

    over: CountedConnection | None = None


class CommandCounter:
    """Tells a monitor of the commands of one client: connections say what they send and receive,
    the client what it has read."""

    def __init__(self, monitor: CommandMonitor) -> None:
        self.begin = monitor.begin
        self.arrived = _Arrived()
        self._monitor = monitor

    def unanswered(self, name: str, address: object, error: str) -> None:
        """No reply came to a command."""
        try:
            self._monitor.fail(name, {"errtype": error}, 0, address)
        except Exception as exc:  # noqa: BLE001 - the operation must not fail by being counted
            tell_of_uncounted(exc)

    def unread(self, connection: CountedConnection) -> None:
        """A reply came to a command, and the driver could make nothing of it."""
        self.arrived.over = None
        self.unanswered(connection.sent, connection.address, "InvalidBSON")

    def read(self, reply: Mapping[str, Any]) -> None:
        """The reply that has come was read."""
        arrived = self.arrived
        over, arrived.over = arrived.over, None
        if over is None:  # it came before the counting began
            return
        try:
            is_done = reply.get("ok") and "writeConcernError" not in reply
            failure = None if is_done else failure_in(over.sent, reply)
            if failure is None:
                self._monitor.succeed(over.sent, reply, 0)
            else:
                self._monitor.fail(over.sent, failure, 0, over.address)
        except Exception as exc:  # noqa: BLE001 - the operation must not fail by being counted
            tell_of_uncounted(exc)


class CountedConnection(Connection):
    """The driver's connection, whose messages are counted."""

    counter: CommandCounter
    sent: str
    """The name of the last command."""
    asking: bytes = b""
    """The last message to which several replies may come."""

    def send_message(self, message: bytes, max_doc_size: int) -> None:
        """Like the driver's."""
        counter = self.counter
        over = counter.arrived.over
        if over is not None:
            counter.unread(over)
        self.sent = name = _decoded(message[_NAME_AT : message.index(0, _NAME_AT)])
        counter.begin(name, message, 0)
        try:
            Connection.send_message(self, message, max_doc_size)
        except BaseException as exc:
            counter.unanswered(name, self.address, type(exc).__name__)
            raise
        if message[_FLAGS_AT + 2] & _SEVERAL_REPLIES:
            self.asking = message
        if message[_FLAGS_AT] & _NO_REPLY:
            counter.arrived.over = self
            counter.read(_DONE)

    def receive_message(self, request_id: int | None) -> Any:
        """Like the driver's."""
        counter = self.counter
        if request_id is None:  # one more reply to a message that was sent before
            self.sent = "getMore"
            counter.begin(self.sent, self.asking, 0)
        try:
            reply = Connection.receive_message(self, request_id)
        except BaseException as exc:
            counter.unanswered(self.sent, self.address, type(exc).__name__)
            raise
        counter.arrived.over = self
        if not self.ready:  # it logs in again, of which the client doesn't hear
            counter.read(reply.unpack_response()[0])
        return reply


def count_commands(connection: Connection, counter: CommandCounter) -> None:
    """Count what is sent over ``connection``, which was just set up, from now on."""
    connection.listeners = None
    connection.__class__ = CountedConnection
    connection.counter = counter  # type: ignore[attr-defined]


class AllButCheckOuts:
    """The driver's teller of what happens to a pool, silent about check-outs and check-ins: these
    are only logged, where the driver's own log is switched on."""

    _should_publish = False

    def __init__(self, telling: Any) -> None:
        silent = copy.copy(telling)
        silent._should_publish = False
        self._telling = telling
        self._log = telling._log
        self.checkout_started = silent.checkout_started
        self.checkout_succeeded = silent.checkout_succeeded
        self.checked_in = silent.checked_in

    def __getattr__(self, name: str) -> Any:
        return getattr(self._telling, name)


class Counting:
    """What counts for one client, and for its pools: whatever their options leave to it."""

    def __init__(self, monitors: Monitors) -> None:
        self._monitors = monitors
        self._commands = CommandCounter(monitors.commands)

    def commands(self, options: Any) -> CommandCounter | None:
        """What counts the commands; ``None`` where the driver tells of them."""
        is_here = (
            _driver_is_known()
            and not options._compression_settings.compressors
            and hears_alone(options._event_listeners, "command", self._monitors.commands)
        )
        return self._commands if is_here else None

    def check_outs(self, options: Any) -> PoolMonitor | None:
        """What counts the check-outs; ``None`` where the driver tells of them."""
        monitor = self._monitors.pool
        is_here = _driver_is_known() and hears_alone(options._event_listeners, "cmap", monitor)
        return monitor if is_here else None
