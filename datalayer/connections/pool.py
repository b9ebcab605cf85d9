"""The driver's connection pool, with a limit on waiting for a connection that also holds where
the operation itself may take longer, without background attempts to log in where the server has
not accepted the credentials, and with sessions over connections to a member that was in
transition when they were opened."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any, NoReturn

from pymongo.errors import OperationFailure, WaitQueueTimeoutError
from pymongo.synchronous.pool import Pool

from datalayer.connections.counting import (
    AllButCheckOuts,
    CommandCounter,
    Counting,
    count_commands,
)
from datalayer.errors import PoolExhaustedError
from datalayer.failures.server_codes import is_refusal
from datalayer.failures.tracebacks import without_locals
from datalayer.monitoring import PoolMonitor


class BoundedPool(Pool):
    """A pool whose callers wait at most ``waitQueueTimeoutMS`` for a free connection.

    With an operation deadline (``timeoutMS``) the driver forgets that limit, and a caller of an
    exhausted pool waits for the whole deadline (Client Side Operations Timeout specification,
    section "Deprecations"). It would also try a read again, and wait as long once more: the
    error raised here is none of the driver's, so it reaches the caller at once.

    The driver fills a pool up to its minimum in the background, once a second. With credentials
    that the server refuses, it would try them for ever: some servers lock the account then. So
    that waits until a connection for an operation has been accepted, and again after one was
    refused.

    A member that is neither primary nor secondary at the moment (it starts, recovers or rolls
    back) has sessions like any other. The driver takes each connection that is opened then for
    one without, until it is closed: sessions would be refused over it, and writes not tried
    again, long after the member has become the primary. The server's own word is taken instead.
    """

    def __init__(
        self, *args: Any, alias: str, counting: Counting | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._alias = alias
        self._check_outs: PoolMonitor | None = None
        self._commands: CommandCounter | None = None
        if counting is not None and not self.is_sdam:
            self._commands = counting.commands(self.opts)
            self._check_outs = counting.check_outs(self.opts)
        if self._check_outs is not None:
            self._telemetry: Any = AllButCheckOuts(self._telemetry)
        self._waiting = threading.local()
        self._accepted = False  # whether the server accepted the last connection
        self.size_cond = _Condition(self.lock, self._waiting)
        self._max_connecting_cond = _Condition(self.lock, self._waiting)

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Like the driver's."""
        try:
            connection = super().connect(*args, **kwargs)
        except BaseException as exc:
            if isinstance(exc, OperationFailure) and is_refusal(exc):
                self._accepted = False
            without_locals(exc)  # here the driver's frames hold the password
            raise
        self._accepted = True
        if self._commands is not None:
            count_commands(connection, self._commands)
        return connection

    def remove_stale_sockets(self, reference_generation: int) -> None:
        """Like the driver's, which calls it once a second."""
        if self._accepted:
            super().remove_stale_sockets(reference_generation)

    def _get_conn(self, checkout_started_time: float, handler: Any = None) -> Any:
        counts, limit = self._check_outs, self.opts.wait_queue_timeout
        if counts is not None:
            counts.ask()
        self._waiting.until = None if limit is None else checkout_started_time + limit
        connection = Pool._get_conn(self, checkout_started_time, handler=handler)
        if not connection.supports_sessions and handler is not None:
            _look_again_for_sessions(connection, handler.client)
        if counts is not None:
            try:
                counts.take(monotonic() - checkout_started_time, self.address, connection.id)
            except BaseException:  # Ctrl-C, say: nobody has the connection yet
                self.checkin(connection)
                raise
        return connection

    def checkin(self, conn: Any) -> None:
        """Like the driver's."""
        super().checkin(conn)
        if self._check_outs is not None:
            self._check_outs.give_back(self.address, conn.id)

    def _raise_wait_queue_timeout(self, checkout_started_time: float) -> NoReturn:
        waiting = self.operation_count - self.active_sockets
        try:
            super()._raise_wait_queue_timeout(checkout_started_time)
        except WaitQueueTimeoutError as exc:
            if self._waiting.last is self._max_connecting_cond:
                raise  # the server accepts no new connections: not a matter of the pool's size
            host, port = self.address
            raise PoolExhaustedError(
                f"no connection of {self._alias!r} to {host}:{port} became free within "
                f"{monotonic() - checkout_started_time:.1f} s: all {self.max_pool_size} are in "
                f"use and {waiting} operations wait; look for operations that hold connections "
                "for long, or raise MAX_POOL_SIZE",
                alias=self._alias,
            ) from exc


def _look_again_for_sessions(connection: Any, client: Any) -> None:
    """Let ``connection`` have sessions, unless its server, as a primary or a secondary, says that
    it has none. One that can't do what is asked answers so, and the driver looks for another."""
    minutes = connection.logical_session_timeout_minutes
    if minutes is None:
        server = client.topology_description.server_descriptions().get(connection.address)
        if server is not None and server.is_readable:
            minutes = server.logical_session_timeout_minutes
            if minutes is None:
                return
    connection.logical_session_timeout_minutes = minutes
    connection.supports_sessions = True


class _Condition(threading.Condition):
    """A condition that ends waiting when the limit of the present thread's caller is over."""

    def __init__(self, lock: Any, waiting: threading.local) -> None:
        super().__init__(lock)
        self._limits = waiting

    def wait(self, timeout: float | None = None) -> bool:
        self._limits.last = self
        until: float | None = getattr(self._limits, "until", None)
        if until is not None:
            remaining = max(until - monotonic(), 0)
            timeout = remaining if timeout is None else min(timeout, remaining)
        return super().wait(timeout)
