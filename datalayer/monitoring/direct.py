"""Has the driver tell the monitors of commands and check-outs without an event object for each,
which would cost an operation more than the counting does.

All that is known of the driver's inside stands here. Where the installed PyMongo is made in
another way, or others listen too, its public events are used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pymongo import MongoClient

from datalayer.monitoring.commands import CommandMonitor
from datalayer.monitoring.monitors import Monitors
from datalayer.monitoring.pool import PoolMonitor

__all__ = ["tell_directly"]

logger = logging.getLogger("datalayer.monitoring")

Calls = Mapping[str, Callable[..., None]]

_EXPECTED = {
    "publish_command_start": ("command", "database_name", "request_id"),
    "publish_command_success": ("duration", "reply", "command_name", "request_id"),
    "publish_command_failure": ("duration", "failure", "command_name", "request_id"),
    "publish_connection_check_out_started": ("address",),
    "publish_connection_checked_out": ("address", "connection_id", "duration"),
    "publish_connection_checked_in": ("address", "connection_id"),
}
"""The driver's methods that make an event and call the listeners, with their first arguments."""


def tell_directly(client: MongoClient[Any], monitors: Monitors) -> None:
    """Have ``client``, which was opened with the listeners of ``monitors``, call them directly.

    Each kind of event for itself, and only where no other listener waits for it.
    """
    listeners: object = getattr(client, "_event_listeners", None)
    if _hears_alone(listeners, "command", monitors.commands):
        _replace(listeners, _calls_of_commands(monitors.commands))
    if _hears_alone(listeners, "cmap", monitors.pool):
        _replace(listeners, _calls_of_pool(monitors.pool))


def _hears_alone(listeners: object, kind: str, monitor: object) -> bool:
    heard_by: object = getattr(listeners, f"_EventListeners__{kind}_listeners", None)
    return heard_by == [monitor]


def _replace(listeners: object, calls: Calls) -> None:
    """Put ``calls`` before the methods of the same names, if those are as expected."""
    if all(_takes(getattr(type(listeners), name, None), _EXPECTED[name]) for name in calls):
        vars(listeners).update(calls)


def _takes(method: object, arguments: tuple[str, ...]) -> bool:
    """Whether ``method`` takes ``arguments`` first, after itself."""
    code = getattr(method, "__code__", None)
    return code is not None and code.co_varnames[1 : len(arguments) + 1] == arguments


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
            _tell(exc)

    def failed(
        duration: object,
        failure: Mapping[str, Any],
        command_name: str,
        request_id: int,
        *_: Any,
        **__: Any,
    ) -> None:
        try:
            fail(command_name, failure, request_id)
        except Exception as exc:  # noqa: BLE001 - as above
            _tell(exc)

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


def _tell(exc: Exception) -> None:
    logger.error("a command was not counted (%s)", type(exc).__name__)
