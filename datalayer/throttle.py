"""Slows a long piece of writing down: to so many documents a second, and to what the secondaries
of the database can follow."""

from __future__ import annotations

import time
from collections.abc import Callable
from time import monotonic

from datalayer.connections.connection import Connection
from datalayer.connections.replica_lag import largest_lag_seconds
from datalayer.errors import DataLayerError

_LAG_PATIENCE_SECONDS = 600.0
_ASK_SECONDS = 0.25


class Throttle:
    """Waits before each piece as long as it takes to keep the limits.

    ``rate`` is in documents a second, ``None`` for any; ``max_lag_seconds`` is how far behind the
    slowest secondary of ``connection`` may be. ``error`` makes what is raised of its message.
    """

    def __init__(
        self,
        rate: float | None,
        max_lag_seconds: float | None,
        connection: Connection,
        error: Callable[[str], DataLayerError],
    ) -> None:
        self._rate = rate
        self._max_lag = max_lag_seconds
        self._connection = connection
        self._error = error
        self._next = monotonic()

    def wait(self, documents: int) -> None:
        """Call before ``documents`` are written.

        Raises:
            DataLayerError: when a secondary stays behind for ten minutes.
        """
        if self._rate is not None:
            now = monotonic()
            time.sleep(max(self._next - now, 0))
            self._next = max(self._next, now) + documents / self._rate
        if self._max_lag is not None:
            self._wait_for_secondaries(self._max_lag)

    def _wait_for_secondaries(self, most: float) -> None:
        ends = monotonic() + _LAG_PATIENCE_SECONDS
        # As of the driver's last heartbeats.
        while (largest_lag_seconds(self._connection.client.topology_description) or 0.0) > most:
            if monotonic() > ends:
                raise self._error(
                    f"a secondary of {self._connection.alias!r} has been more than {most:g} s "
                    "behind for ten minutes; resume when it has caught up"
                )
            time.sleep(_ASK_SECONDS)
