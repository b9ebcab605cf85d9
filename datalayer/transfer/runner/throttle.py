"""Slows a transfer down: to so many documents a second, and to what the target's secondaries can
follow."""

from __future__ import annotations

import time
from time import monotonic

from pymongo.server_type import SERVER_TYPE

from datalayer.connections.replica_lag import lag_seconds
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
        while self._lag() > most:
            if monotonic() > ends:
                raise TransferError(
                    f"a secondary of {self._endpoint.alias!r} has been more than {most:g} s "
                    "behind for ten minutes; resume when it has caught up",
                    alias=self._endpoint.alias,
                )
            time.sleep(_ASK_SECONDS)

    def _lag(self) -> float:
        """That of the secondary furthest behind, as of the driver's last heartbeats."""
        servers = self._endpoint.client.topology_description.server_descriptions().values()
        primary = next((s for s in servers if s.server_type == SERVER_TYPE.RSPrimary), None)
        if primary is None:
            return 0.0
        lags = (
            lag_seconds(server, primary)
            for server in servers
            if server.server_type == SERVER_TYPE.RSSecondary
        )
        return max((lag for lag in lags if lag is not None), default=0.0)
