"""Forks a child after connecting, which waits for an event; prints what the child has seen.

telling.py EVENT
"""

from __future__ import annotations

import os
import sys
import threading

from deeds import work

from datalayer import db

EVENT_SECONDS = 100.0


def main(event: str) -> None:
    db.connect_all()
    if os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    seen = threading.Event()
    db.database.on(event, lambda _: seen.set())
    work()
    print("ready", flush=True)
    print(event if seen.wait(EVENT_SECONDS) else "nothing", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
