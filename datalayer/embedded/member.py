"""One server of a private replica set: its port, its files, its process."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

from datalayer.embedded.binary import explain, port_was_taken
from datalayer.embedded.platforms import pausing_is_possible, probing_option
from datalayer.embedded.processes import Processes
from datalayer.embedded.wire import LOOPBACK, command
from datalayer.errors import EmbeddedError

# Below 32768, where Linux begins to take the ports of outgoing connections from.
_PORTS = range(20_000, 32_000)
_PORT_ATTEMPTS = 5
_HELLO_SECONDS = 0.5
_POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], bool], deadline: float) -> bool:
    """Wait for a condition until the ``monotonic()`` time ``deadline``; says whether it holds."""
    while not condition():
        if monotonic() >= deadline:
            return False
        sleep(_POLL_SECONDS)
    return True


class Member:
    """One ``mongod``, started with ``options``; ``number`` is its place in the set."""

    def __init__(self, number: int, processes: Processes, options: list[str]) -> None:
        self.number = number
        self.port = _free_port()
        self.paused = False
        self._processes = processes
        self._options = options
        self._home = processes.directory / str(number)
        self._log = self._home / "log"

    @property
    def host(self) -> str:
        """The address, ``host:port``."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the server that was started last."""
        return self._processes.pid(self.number)

    def run(self) -> None:
        """Start the server if it doesn't run, and let it go on if it is paused."""
        if self._log.exists() and self._processes.exit_code(self.number) is None:
            self.resume()
            return
        data = self._home / "data"
        data.mkdir(parents=True, exist_ok=True)
        command = [*self._options, "--port", str(self.port), "--dbpath", str(data)]
        self._processes.start(self.number, command, self._log)
        self.paused = False

    def kill(self) -> None:
        """End the server as a crash would; nothing happens if it has ended."""
        self._processes.signal(self.number, "kill")
        self.paused = False

    def pause(self) -> None:
        """Let the server hang; nothing happens if it does already, or has ended.

        Raises:
            EmbeddedError: on Windows, which can't.
        """
        if not pausing_is_possible():
            raise EmbeddedError(
                "Windows can't pause a process: kill the member instead, or test this on Linux or "
                "macOS"
            )
        if not self.paused:
            self._processes.signal(self.number, "pause")
            self.paused = True

    def resume(self) -> None:
        """Let a paused server go on; nothing happens to one that runs, or has ended."""
        if pausing_is_possible():
            self._processes.signal(self.number, "resume")
        self.paused = False

    def wait_until_listening(self, deadline: float, *, may_move: bool = False) -> None:
        """Wait until the server takes connections.

        ``may_move`` lets it choose another port where its own was taken in the meantime.
        """
        for _ in range(_PORT_ATTEMPTS):
            if not wait_until(self._listens_or_has_ended, deadline):
                raise self.failure("does not listen yet")
            code = self._processes.exit_code(self.number)
            if code is None:
                return
            if not (may_move and port_was_taken(code, self._log)):
                break
            self.port = _free_port()
            self.run()
        raise self.failure("did not start")

    def hello(self) -> dict[str, Any]:
        """What the server says of its state; empty when it doesn't answer at once."""
        if self.paused:
            return {}
        try:
            return command(self.port, {"hello": 1}, _HELLO_SECONDS)
        except OSError:
            return {}

    def failure(self, what: str) -> EmbeddedError:
        """An error that tells what happened, what the server's log says and what to do."""
        reason = explain(self._processes.exit_code(self.number), self._log)
        return EmbeddedError(f"the embedded mongod at {self.host} {what}: {reason}")

    def _listens_or_has_ended(self) -> bool:
        # Its own word, because on a port that was taken somebody else would answer.
        listens = b"aiting for connections" in self._log.read_bytes()
        return listens or self._processes.exit_code(self.number) is not None


def _free_port() -> int:
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, probing_option(), 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise EmbeddedError(f"no port is free between {_PORTS.start} and {_PORTS.stop}")
