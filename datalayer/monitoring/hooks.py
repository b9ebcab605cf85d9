"""Has the driver tell the monitors of commands and check-outs without an event object for each,
which would cost an operation more than the counting does.

All that is known of how the driver tells of events stands here. Where the installed PyMongo is
made in another way, or others listen too, its public events are used. Where
``connections.counting`` counts, the driver tells nothing at all.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from typing import Any

from pymongo import MongoClient

from datalayer.monitoring.commands import CommandMonitor
from datalayer.monitoring.monitors import Monitors
from datalayer.monitoring.pool import PoolMonitor

logger = logging.getLogger("datalayer.monitoring")

Calls = Mapping[str, Callable[..., None]]


def tell_directly(client: MongoClient[Any], monitors: Monitors) -> None:
    """Have ``client``, which was opened with the listeners of ``monitors``, call them directly.

    Each kind of event for itself, and only where no other listener waits for it.
    """
    listeners: object = getattr(client, "_event_listeners", None)
    if hears_alone(listeners, "command", monitors.commands):
        _replace(listeners, _calls_of_commands(monitors.commands))
    if hears_alone(listeners, "cmap", monitors.pool):
        _replace(listeners, _calls_of_pool(monitors.pool))


def hears_alone(listeners: object, kind: str, monitor: object) -> bool:
    """Whether nobody but ``monitor`` hears of the events of ``kind``."""
    heard_by: object = getattr(listeners, f"_EventListeners__{kind}_listeners", None)
    return heard_by == [monitor]


def without_commands(listeners: Any) -> Any:
    """The driver's ``listeners``, of whom none waits for commands."""
    other = copy.copy(listeners)
    other._EventListeners__enabled_for_commands = False
    return other


def _replace(listeners: object, calls: Calls) -> None:
    """Put ``calls`` before the driver's methods of the same names, which make an event and call
    the listeners, where those take the same arguments."""
    theirs = {name: _arguments_of(getattr(type(listeners), name, None)) for name in calls}
    if theirs == {name: ("self", *_arguments_of(call)) for name, call in calls.items()}:
        vars(listeners).update(calls)


def _arguments_of(function: object) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    return () if code is None else code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _calls_of_commands(monitor: CommandMonitor) -> Calls:
    begin, succeed, fail = monitor.begin, monitor.succeed, monitor.fail

    def started(
        command: Mapping[str, Any],
        database_name: object,
        request_id: int,
        connection_id: object,
        server_connection_id: object,
        op_id: object = None,
        service_id: object = None,
    ) -> None:
        begin(next(iter(command)), command, request_id)

    def succeeded(
        duration: object,
        reply: Any,
        command_name: str,
        request_id: int,
        connection_id: object,
        server_connection_id: object,
        op_id: object = None,
        service_id: object = None,
        speculative_hello: object = False,
        database_name: object = "",
    ) -> None:
        try:
            succeed(command_name, reply, request_id)
        except Exception as exc:  # noqa: BLE001 - the operation must not fail by being counted
            tell_of_uncounted(exc)

    def failed(
        duration: object,
        failure: Mapping[str, Any],
        command_name: str,
        request_id: int,
        connection_id: object,
        server_connection_id: object,
        op_id: object = None,
        service_id: object = None,
        database_name: object = "",
    ) -> None:
        try:
            fail(command_name, failure, request_id, connection_id)
        except Exception as exc:  # noqa: BLE001 - as above
            tell_of_uncounted(exc)

    return {
        "publish_command_start": started,
        "publish_command_success": succeeded,
        "publish_command_failure": failed,
    }


def _calls_of_pool(monitor: PoolMonitor) -> Calls:
    ask, take, give_back = monitor.ask, monitor.take, monitor.give_back

    def asked(address: object) -> None:
        ask()

    def taken(address: object, connection_id: int, duration: float) -> None:
        take(duration, address, connection_id)

    def given_back(address: object, connection_id: int) -> None:
        give_back(address, connection_id)

    return {
        "publish_connection_check_out_started": asked,
        "publish_connection_checked_out": taken,
        "publish_connection_checked_in": given_back,
    }


def tell_of_uncounted(exc: Exception) -> None:
    """Log that ``exc`` came of counting a command."""
    logger.error("a command was not counted (%s)", type(exc).__name__)
