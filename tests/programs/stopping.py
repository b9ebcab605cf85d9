"""Starts workers, one after the other, and tells each to end at a random moment; prints what
became of them as JSON.

stopping.py RUNS SEED
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import random
import secrets
import select
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from time import monotonic, sleep
from typing import Any

from deeds import Deed

from datalayer import db
from datalayer.errors import NotConnectedError
from datalayer.models import MongoLogHandler

LATEST_SECONDS = 0.3  # of the random moments; connecting takes the first tenth of a second
GRACE_SECONDS = 600.0
HANG_SECONDS = 100.0


@dataclass
class Worker:
    """What a worker tells at its end."""

    name: int = field(default_factory=lambda: secrets.randbits(48))
    """Unlike a process id, it doesn't come again while others are at work."""
    saved: list[str] = field(default_factory=list)
    """The ids of the documents whose saving returned."""
    logged: int = 0
    dropped: int = 0
    errors: list[str] = field(default_factory=list)
    ended_by: str = "itself"


def work_until_told(worker: Worker, grace_seconds: float, ready: Callable[[], object]) -> None:
    """What a user's program does: a loop, a thread that works for it, and a log that is stored."""
    handler = MongoLogHandler()
    log = logging.getLogger(f"worker.{worker.name}")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    helper: threading.Thread | None = None
    try:
        with db.graceful_shutdown(grace_seconds) as stopping:
            ready()
            with db.connected():
                helper = threading.Thread(target=help_along, args=(worker, stopping), daemon=True)
                helper.start()
                while not (grace_seconds and stopping.is_set()):  # else it is interrupted
                    worker.saved.append(str(Deed(worker=worker.name).save().pk))
                    log.info("saved one")
                    worker.logged += 1
                    stopping.wait(0.005)
                helper.join(HANG_SECONDS)
    except (KeyboardInterrupt, SystemExit) as end:
        worker.ended_by = repr(end)
    if helper is not None and helper.ident:
        helper.join(HANG_SECONDS)
    worker.dropped = handler.dropped


def help_along(worker: Worker, stopping: threading.Event) -> None:
    """Work on: until told to stop, or until the database is closed."""
    while not stopping.is_set():
        try:
            worker.saved.append(str(Deed(worker=worker.name).save().pk))
        except NotConnectedError:
            return
        except Exception as exc:
            worker.errors.append(repr(exc))


def run(number: int, delay: float, grace_seconds: float) -> dict[str, Any]:
    """What became of a worker that got signal ``number`` after ``delay`` seconds."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        faulthandler.dump_traceback_later(HANG_SECONDS - 5)
        os.close(reading)
        worker = Worker()
        work_until_told(worker, grace_seconds, lambda: os.write(writing, b"\n"))
        os.write(writing, json.dumps(asdict(worker)).encode())
        sys.exit()
    os.close(writing)
    try:
        os.read(reading, 1)
        sleep(delay)
        sent = monotonic()
        os.kill(pid, number)
        facts = {"pid": pid, "signal": number, "grace": grace_seconds, "delay": delay}
        return {**facts, **ended(pid, reading), "seconds": monotonic() - sent}
    finally:
        os.close(reading)


def ended(pid: int, reading: int) -> dict[str, Any]:
    """The report of a worker and its exit code; ``hangs`` where it doesn't end."""
    end = select.poll()
    end.register(reading)
    said = b""
    while end.poll(HANG_SECONDS * 1000):
        data = os.read(reading, 65536)
        if not data:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            return {**json.loads(said or "{}"), "code": code, "hangs": False}
        said += data
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return {"hangs": True}


def main(runs: int, seed: int) -> None:
    chance = random.Random(seed)
    reports = [
        run(
            chance.choice((signal.SIGTERM, signal.SIGINT)),
            chance.uniform(0, LATEST_SECONDS),
            chance.choice((GRACE_SECONDS, 0)),
        )
        for _ in range(runs)
    ]
    print(json.dumps(reports))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
