"""The owner's side of the guardian: starts, signals and watches a private server's processes."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from datalayer.embedded.platforms import keeper_options, memory_directory, python_programs
from datalayer.errors import EmbeddedError

_GUARDIAN = Path(__file__).with_name("guardian.py")
_ANSWER_SECONDS = 15.0  # more than the guardian itself waits for a killed member
_MEMORY_NEEDED = 512 << 20  # containers often have 64 MB there


class Processes:
    """The processes of one private server and their directory, kept by a guardian.

    They belong to the Python process that made this object. A forked child can neither use
    them nor end them.
    """

    def __init__(self, *, in_memory: bool = False) -> None:
        self.directory = _place(in_memory) / f"datalayer-{secrets.token_hex(8)}"
        self._owner = os.getpid()
        self._lock = threading.Lock()  # guards the conversation: one question, one answer
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(_ANSWER_SECONDS)
        with theirs:
            self._guardian = _start_guardian(theirs, self.directory, self._owner)
        try:
            self._listen()
        except BaseException:
            self.close()
            raise

    def start(self, member: int, command: list[str], log: Path) -> None:
        """Start a member; what it prints goes to the file ``log``."""
        self._ask("start", member, command=command, log=str(log))

    def signal(self, member: int, verb: Literal["kill", "pause", "resume"]) -> None:
        """Returns when a killed member is gone, when a paused one stands still."""
        self._ask(verb, member)

    def exit_code(self, member: int) -> int | None:
        """How the member ended (negative: by that signal), or ``None`` while it runs."""
        code: int | None = self._ask("look", member)["exit_code"]
        return code

    def pid(self, member: int) -> int:
        """The process id of a member."""
        pid: int = self._ask("look", member)["pid"]
        return pid

    def close(self) -> None:
        """Kill everything and remove the directory. Idempotent; does nothing in a fork's child."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            with suppress(OSError):  # the second time, and where the guardian has gone
                # Unlike close(), this reaches the guardian although a forked child holds a copy.
                self._channel.shutdown(socket.SHUT_RDWR)
            self._channel.close()
            try:
                self._guardian.wait(_ANSWER_SECONDS)
            except subprocess.TimeoutExpired:
                self._guardian.kill()
                self._guardian.wait()
            # Does something only where the guardian was killed and could not do it.
            shutil.rmtree(self.directory, ignore_errors=True)

    def _ask(self, verb: str, member: int, **details: Any) -> dict[str, Any]:
        if os.getpid() != self._owner:
            raise EmbeddedError(
                "the embedded server belongs to the process that started it; "
                "a forked child can connect to it but not manage it"
            )
        question = json.dumps({"verb": verb, "member": member, **details})
        with self._lock:
            try:
                self._channel.sendall(question.encode() + b"\n")
            except OSError as exc:
                raise _gone() from exc
            answer = self._listen()
        if "error" in answer:
            raise EmbeddedError(f"{details['command'][0]} can't be run: {answer['error']}")
        return answer

    def _listen(self) -> dict[str, Any]:
        said = b""
        try:
            while not said.endswith(b"\n"):
                data = self._channel.recv(65536)
                if not data:
                    raise _gone()
                said += data
        except OSError as exc:
            raise _gone() from exc
        answer: dict[str, Any] = json.loads(said)
        return answer


def _gone() -> EmbeddedError:
    return EmbeddedError(
        "the embedded server was stopped, or the process that keeps it ended: "
        "make a new EmbeddedMongo"
    )


def _start_guardian(
    channel: socket.socket, directory: Path, owner: int
) -> subprocess.Popen[bytes]:
    # -I and -S: the user's site-packages and variables have no part in it.
    line = [find_python(), "-I", "-S", str(_GUARDIAN), str(directory), str(owner)]
    guardian = subprocess.Popen(  # noqa: S603 - our own script, no shell
        line,
        stdin=subprocess.PIPE if sys.platform == "win32" else channel.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=directory.anchor,
        **keeper_options(),
    )
    if sys.platform == "win32" and guardian.stdin is not None:
        # There a socket can't be standard input, but be duplicated for one other process.
        with suppress(OSError), guardian.stdin as given:  # where it ended, listening tells
            given.write(channel.share(guardian.pid))
    return guardian


def find_python() -> str:
    """The Python of this process, as a program.

    In a server that embeds Python (uWSGI, mod_wsgi), ``sys.executable`` names that server.
    """
    running = (sys.executable, getattr(sys, "_base_executable", None) or sys.executable)
    candidates = python_programs(*running, (sys.exec_prefix, sys.base_exec_prefix))
    for candidate in candidates:
        if candidate.name.startswith(("python", "pypy")) and os.access(candidate, os.X_OK):
            return str(candidate)
    raise EmbeddedError(
        f"no Python program was found in {sys.exec_prefix} for the embedded server's keeper; "
        f"put one there as {candidates[-1]}"
    )


def _place(in_memory: bool) -> Path:
    memory = memory_directory() if in_memory else None
    if memory and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= _MEMORY_NEEDED:
        return memory
    return Path(tempfile.gettempdir()).resolve()
