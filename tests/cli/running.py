"""What a run of the command leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
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
