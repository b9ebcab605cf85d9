"""Commands of a page, run in children of the process that follows it: forks, in which the program
of a command is called as its script would call it."""

from __future__ import annotations

import atexit
import importlib.metadata
import os
import re
import runpy
import shlex
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEADLINE_SECONDS = 100


class Unfollowable(Exception):
    """What the page says doesn't work."""


def start(work: Callable[[], None], log: Path) -> int:
    """Do ``work`` in a child, with what it says in ``log``."""
    log.touch()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        in_child(work)
    return pid


def run(command: str) -> None:
    words = shlex.split(command, comments=True)
    while re.match(r"[A-Z_0-9]+=", words[0]):
        name, _, value = words.pop(0).partition("=")
        os.environ[name] = value
    program, sys.argv = words[0], words
    if re.search(r"[|<>;&$`*]", re.sub(r"'[^']*'", "", command)):
        os.execvp("sh", ["sh", "-ec", command])
    if program == "python":
        run_python(words)
    scripts = importlib.metadata.entry_points(group="console_scripts", name=program)
    if not scripts or program in ("gunicorn", "celery"):  # these may patch before all imports
        os.execvp(program, words)
    sys.path.insert(0, os.path.dirname(sys.executable))  # a script's directory, as always
    sys.exit(next(iter(scripts)).load()())


def run_python(words: list[str]) -> None:
    if words[1] == "-m":
        sys.path.insert(0, os.getcwd())
        sys.argv = words[2:]
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    elif words[1] == "-c":
        sys.path.insert(0, "")
        exec(words[2], {"__name__": "__main__"})
    else:
        sys.argv = words[1:]
        sys.path.insert(0, os.path.abspath(os.path.dirname(words[1])))
        runpy.run_path(words[1], run_name="__main__")
    sys.exit(0)


def in_child(work: Callable[[], None]) -> None:
    """Do ``work``, then end as an interpreter does."""
    code: Any = 0
    try:
        work()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


_ENDED: dict[int, int] = {}


def has_ended(pid: int) -> bool:
    if pid not in _ENDED:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            _ENDED[pid] = os.waitstatus_to_exitcode(status)
    return pid in _ENDED


def end_of(pid: int, command: str, log: Path | None) -> int:
    """Its exit code; it is killed at the deadline."""
    try:
        wait_for(lambda: has_ended(pid), command)
    except Unfollowable as exc:
        kill(pid)
        said = log.read_text(encoding="utf-8", errors="replace") if log else ""
        raise Unfollowable(f"{exc}\n{said}") from None
    return _ENDED[pid]


def kill(pid: int) -> None:
    """What was started in a session of its own is killed with its children."""
    if not has_ended(pid):
        alone = os.getpgid(pid) == os.getpgid(0)
        (os.kill if alone else os.killpg)(pid, signal.SIGKILL)


def wait_for(happened: Callable[[], object], command: str) -> None:
    ends = time.monotonic() + DEADLINE_SECONDS
    while not happened():
        if time.monotonic() > ends:
            raise Unfollowable(f"`{command}` takes more than {DEADLINE_SECONDS} s")
        time.sleep(0.01)
