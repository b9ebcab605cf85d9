"""Programs that run from their beginning to their end, by the interpreter that runs the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paths import PROGRAMS


def installed(name: str) -> Path:
    """A command of the environment that the tests run in."""
    return Path(sys.executable).with_name(name)


def python(
    *words: str | Path,
    environment: Mapping[str, str] | None = None,
    check: bool = False,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """A run of the interpreter, whose output is kept. ``environment`` adds to this process's; of
    the ``options`` of ``subprocess.run``, ``timeout`` is 280 seconds, a little less than a test
    has."""
    if environment is not None:
        options["env"] = {**os.environ, **environment}
    usual = {"capture_output": True, "text": True, "timeout": 280}
    return subprocess.run([sys.executable, *words], check=check, **{**usual, **options})


def report_of(program: str, environment: Mapping[str, str], *words: str) -> Any:
    """What a program prints. It has to end well, without a warning."""
    done = python(program, *words, cwd=PROGRAMS, environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)
