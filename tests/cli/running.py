"""What a run of the command leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Outcome:
    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """Standard output, which has to be one JSON document."""
        return json.loads(self.stdout)


class Run(Protocol):
    def __call__(self, *words: str) -> Outcome: ...


def installed(*words: str, **options: Any) -> subprocess.Popen[str]:
    """The command as it was installed, in a process of its own."""
    program = Path(sys.executable).with_name("datalayer")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([program, *words], text=True, **{**pipes, **options})


def wait_until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Ask again and again until it holds; fail after ``seconds``."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, f"did not happen within {seconds:g} seconds"
        time.sleep(0.02)
