"""The coordinator's side of a worker: start it, ask it, end it."""

from __future__ import annotations

import json
import os
import select
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Worker", "WorkerError"]

_ROOT = Path(__file__).resolve().parents[2]
_END_SECONDS = 20.0
_VARIABLES = {"datalayer-pure": {"DATALAYER_PURE_PYTHON": "1"}}
# The checkout comes last: the datalayer measured is the one installed, as users install it.
_START = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module('benchmarks.odm.worker', run_name='__main__', alter_sys=True)"
)


class WorkerError(RuntimeError):
    """A worker ended, went silent, or did its task wrong."""


class Worker:
    """The process of one library.

    Arguments:
        library: its name.
        python: the interpreter of its environment.
        uri: the server, with a database of the library's own.
        timeout: the most seconds that an answer may take.
    """

    def __init__(self, library: str, python: Path | str, uri: str, timeout: float = 300.0) -> None:
        self.library = library
        self._timeout = timeout
        self._process = subprocess.Popen(
            [str(python), "-P", "-c", _START, str(_ROOT), library, uri],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": "0", **_VARIABLES.get(library, {})},
        )
        try:
            self.description = self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            WorkerError: when there is none in time, or what was done was wrong.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as exc:
            raise WorkerError(f"the worker of {self.library} has ended") from exc
        answer = self._answer()
        if "wrong" in answer:
            raise WorkerError(f"{self.library}: {answer['wrong']} ({arguments})")
        return answer

    def close(self) -> None:
        """Let the process end, or end it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(_END_SECONDS)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        # One answer stands in the pipe at most: nothing is left in the buffer above it.
        if not select.select([self._process.stdout], [], [], self._timeout)[0]:
            raise WorkerError(f"{self.library} gave no answer within {self._timeout:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"the worker of {self.library} has ended; see above for why")
        answer: dict[str, Any] = json.loads(line)
        return answer
