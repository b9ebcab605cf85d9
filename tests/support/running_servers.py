"""Real application servers in processes of their own, asked over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paths import PROGRAMS
from ports import free_port

ANSWER_SECONDS = 60.0
START_SECONDS = 120.0
STOP_SECONDS = 50.0  # a server kills what hangs after a minute


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

    def answers(self, path: str = "/work") -> bool:
        """Whether it has started; fails where it has ended instead."""
        assert self.process.poll() is None, self.said
        try:
            self.ask(path)
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End it by SIGTERM; fails where it hangs."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it hangs in its end; it said:\n{self.said}") from None


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
            # Gunicorn kills what hangs after half a minute, which would look like an end.
            env={**os.environ, "GUNICORN_CMD_ARGS": "--graceful-timeout 600", **environment},
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
