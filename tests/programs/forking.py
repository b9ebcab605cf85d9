"""Forks children that work, while threads of the parent work too; prints a report as JSON.

forking.py FORKS
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import sys
import threading
from typing import Any

from deeds import work

from datalayer import db

CHILD_SECONDS = 100.0
THREADS = 4
AT_ONCE = 4


class Busy:
    """Threads that work until they are told to stop."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(THREADS)]

    def __enter__(self) -> Busy:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(CHILD_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.reports.append(work(1))
            except Exception as exc:
                self.errors.append(repr(exc))


def forked(*, ends_quickly: bool) -> tuple[int, int]:
    """A child that reports to a pipe: its process id, and the pipe's end to read from.

    It ends as the children of ``multiprocessing`` do, or the usual way.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(CHILD_SECONDS / 2)
        os.write(writing, json.dumps(work()).encode())
        if ends_quickly:
            os._exit(0)
        sys.exit()
    os.close(writing)
    return child, reading


def report_of(child: int, reading: int) -> dict[str, Any] | None:
    """What a child says; ``None`` for one that hangs."""
    ends = select.poll()
    ends.register(reading)
    said = b""
    try:
        while ends.poll(CHILD_SECONDS * 1000):
            data = os.read(reading, 65536)
            if not data:
                code = os.waitpid(child, 0)[1]
                return json.loads(said) if code == 0 else {"failed": code}
            said += data
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return None
    finally:
        os.close(reading)


def main(forks: int) -> None:
    db.connect_all()
    with Busy() as busy:
        children = []
        for first in range(0, forks, AT_ONCE):
            batch = [forked(ends_quickly=(first + each) % 10 != 0) for each in range(AT_ONCE)]
            children += [report_of(*child) for child in batch]
    status = db.status()
    print(
        json.dumps(
            {
                "children": children,
                "parent": busy.reports,
                "errors": busy.errors,
                "closed": [entry["pool"]["closed"] for entry in status.values()],
                "failed": [entry["commands"]["failed"] for entry in status.values()],
                "connected": [entry["connected"] for entry in status.values()],
            }
        )
    )
    db.disconnect_all()


if __name__ == "__main__":
    main(int(sys.argv[1]))
