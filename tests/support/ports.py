"""Ports of this machine: free ones, one that refuses connections, and one that accepts them and
never answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

_PORTS_EACH = 1000
# From anywhere on: another run of the tests may be going on beside this one.
_tried = count(os.getpid())


def free_port() -> int:
    """A port below the range of outgoing connections, from a range of this test process's own: a
    port that two find free at the same time would serve the tests of both."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 12_000 + number % 8 * _PORTS_EACH
    for _ in range(_PORTS_EACH):
        port = first + next(_tried) % _PORTS_EACH
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


@contextmanager
def closed() -> Iterator[int]:
    """A port that is taken but not listened on, so that nobody else can answer there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


class SilentServer:
    """Accepts connections, and never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0)
        self.port: int = self._socket.getsockname()[1]
        self.uri = f"mongodb://127.0.0.1:{self.port}/app"

    def __enter__(self) -> SilentServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def connections(self) -> int:
        """How many have come since this was asked last; closes them."""
        number = 0
        while True:
            try:
                self._socket.accept()[0].close()
            except BlockingIOError:
                return number
            number += 1
