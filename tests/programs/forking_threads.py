"""Forks children in which several threads begin to work at the same moment; prints their reports
as JSON.

forking_threads.py with_handlers|without_handlers
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
from typing import Any

from deeds import work

from datalayer import db

FORKS = 10
THREADS = 4
CHILD_SECONDS = 100.0

FORK = {
    "with_handlers": os.fork,
    # As a server does that embeds Python, such as uWSGI. PyDLL keeps Python's own lock.
    "without_handlers": ctypes.PyDLL(None).fork,
}


def at_once() -> list[dict[str, Any]]:
    """What threads report that start to work at the same moment."""
    reports: list[dict[str, Any]] = []
    start = threading.Barrier(THREADS)

    def run() -> None:
        start.wait(CHILD_SECONDS)
        reports.append(work(1))

    threads = [threading.Thread(target=run, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(CHILD_SECONDS)
    return reports


def in_a_child(way: str) -> list[dict[str, Any]]:
    reading, writing = os.pipe()
    if FORK[way]() == 0:
        reports = at_once()
        os.write(writing, json.dumps(reports).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        reports = json.load(said)
    assert len(reports) == THREADS
    return reports


def main(way: str) -> None:
    db.connect_all()
    before = work()
    children = [report for _ in range(FORKS) for report in in_a_child(way)]
    print(json.dumps({"parent": [before, work()], "children": children}))
    db.disconnect_all()


if __name__ == "__main__":
    main(sys.argv[1])
