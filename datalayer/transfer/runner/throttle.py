"""Slows a transfer down: to so many documents a second, and to what the target's secondaries can
follow."""

from __future__ import annotations

import time
from time import monotonic

from datalayer.connections.replica_lag import largest_lag_seconds
from datalayer.errors import TransferError
from datalayer.transfer.endpoint import Endpoint

_LAG_PATIENCE_SECONDS = 600.0
_ASK_SECONDS = 0.25


class Throttle:
    """Waits before each range as long as it takes to keep the limits."""

    def __init__(
        self, rate: float | None, max_lag_seconds: float | None, endpoint: Endpoint
    ) -> None:
        self._rate = rate
        self._max_lag = max_lag_seconds
        self._endpoint = endpoint
        self._next = monotonic()

    def wait(self, documents: int) -> None:
        """Call before ``documents`` are written.

        Raises:
            TransferError: when a secondary stays behind for ten minutes.
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
        while (largest_lag_seconds(self._endpoint.client.topology_description) or 0.0) > most:
            if monotonic() > ends:
                raise TransferError(
                    f"a secondary of {self._endpoint.alias!r} has been more than {most:g} s "
                    "behind for ten minutes; resume when it has caught up",
                    alias=self._endpoint.alias,
                )
            time.sleep(_ASK_SECONDS)
