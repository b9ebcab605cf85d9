"""Real application servers in processes of their own, asked over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

PROGRAMS = Path(__file__).with_name("programs")
ANSWER_SECONDS = 20.0
START_SECONDS = 30.0
STOP_SECONDS = 15.0


def wait_until(holds: Callable[[], object], seconds: float, what: str) -> None:
    """Ask again and again until it holds; fail after ``seconds`` with ``what``."""
    ends = monotonic() + seconds
    while not holds():
        assert monotonic() < ends, f"{what} within {seconds:g} seconds"
        sleep(0.02)


def installed(name: str) -> Path:
    """A command of the environment that the tests run in."""
    return Path(sys.executable).with_name(name)


@dataclass
class Running:
    """A process that serves, and what it has said."""

    process: subprocess.Popen[bytes]
    said_in: Path
    port: int

    @property
    def said(self) -> str:
        """What it wrote to standard output and standard error."""
        return self.said_in.read_text(errors="replace")

    def ask(self, path: str) -> Any:
        """What it answers, which is JSON."""
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
            return json.loads(answer.read())

    def answers(self) -> bool:
        """Whether it has started; fails where it has ended instead."""
        assert self.process.poll() is None, self.said
        try:
            self.ask("/work")
        except OSError:
            return False
        return True

    def stop(self) -> float:
        """End it by SIGTERM and tell the seconds that it took; fails where it hangs."""
        started = monotonic()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it hangs in its end; it said:\n{self.said}") from None
        return monotonic() - started


@contextmanager
def running(
    words: Callable[[int], list[str]], environment: Mapping[str, str], directory: Path
) -> Iterator[Running]:
    """A process, started with the command line that ``words`` makes for a free port."""
    port = free_port()
    said_in = directory / "said"
    with said_in.open("wb") as said:
        process = subprocess.Popen(
            words(port),
            cwd=PROGRAMS,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        yield Running(process, said_in, port)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port below the range of outgoing connections."""
    for port in range(15_000 + os.getpid() % 4000, 20_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
