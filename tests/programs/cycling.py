"""Connects and disconnects again and again; prints what the process holds, as JSON: after the
first hundred cycles, and at the end.

cycling.py CYCLES [bare]

With ``bare``, the same with two clients of the driver's, without datalayer.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from deeds import Deed
from pymongo import MongoClient

from datalayer import db
from datalayer.settings import Settings

DEADLINE = 60.0


def settled() -> dict[str, int]:
    """Threads, open files and sockets, Python's objects, and kilobytes of memory.

    The driver's threads see every half second that they are to end: they are waited for.
    """
    ends = time.monotonic() + DEADLINE
    while threading.active_count() > 1 and time.monotonic() < ends:
        time.sleep(0.05)
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "objects": len(gc.get_objects()),
        "kilobytes": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
    }


def with_datalayer(settings: Settings) -> None:
    db.connect_all(settings)
    Deed(worker=1).save()
    db.disconnect_all()


def with_the_driver_alone() -> None:
    uris = (os.environ["MONGODB_URI"], os.environ["DATABASE1_URI"])
    clients = [MongoClient[dict[str, object]](uri) for uri in uris]
    for client in clients:
        client.admin.command("ping")
    clients[0].get_default_database()["deeds"].insert_one({"worker": 1})
    for client in reversed(clients):
        client.close()


def main(cycles: int, cycle: Callable[[], None]) -> None:
    for _ in range(100):
        cycle()
    before = settled()
    for _ in range(cycles - 100):
        cycle()
    print(json.dumps([before, settled()]))


if __name__ == "__main__":
    bare = sys.argv[2:] == ["bare"]
    main(
        int(sys.argv[1]),
        with_the_driver_alone if bare else partial(with_datalayer, Settings.from_env()),
    )
