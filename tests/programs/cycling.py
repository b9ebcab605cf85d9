"""Connects and disconnects again and again; prints what the process holds, as JSON: after the
first hundred cycles, and at the end.

cycling.py CYCLES
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from pathlib import Path

from deeds import Deed

from datalayer import db
from datalayer.settings import Settings

DEADLINE = 20.0


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


def cycle(times: int, settings: Settings) -> None:
    for _ in range(times):
        db.connect_all(settings)
        Deed(worker=1).save()
        db.disconnect_all()


def main(cycles: int) -> None:
    settings = Settings.from_env()
    cycle(100, settings)
    before = settled()
    cycle(cycles - 100, settings)
    print(json.dumps([before, settled()]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
