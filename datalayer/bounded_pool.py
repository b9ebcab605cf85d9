"""The driver's connection pool, with a limit on waiting for a connection that also holds where
the operation itself may take longer, and without background attempts to log in where the server
has not accepted the credentials."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any, NoReturn

from pymongo.errors import OperationFailure, WaitQueueTimeoutError
from pymongo.synchronous.pool import Pool

from datalayer.errors import PoolExhaustedError
from datalayer.server_codes import is_refusal
from datalayer.traceback_locals import without_locals

__all__ = ["BoundedPool"]


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
    """

    def __init__(self, *args: Any, alias: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._alias = alias
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
        return connection

    def remove_stale_sockets(self, reference_generation: int) -> None:
        """Like the driver's, which calls it once a second."""
        if self._accepted:
            super().remove_stale_sockets(reference_generation)

    def _get_conn(self, *args: Any, **kwargs: Any) -> Any:
        limit = self.opts.wait_queue_timeout
        self._waiting.until = None if limit is None else monotonic() + limit
        return super()._get_conn(*args, **kwargs)

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
