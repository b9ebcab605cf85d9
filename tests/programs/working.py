"""One worker of an application: it does what it is told on standard input, line by line."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

from datalayer import Settings, db
from datalayer.connections.registry import registry
from datalayer.web.workers import publishing
from datalayer.web.workers.publishing import publisher

publishing.INTERVAL_SECONDS = 3600.0  # it writes when it is told to


def count(times: int) -> None:
    for _ in range(times):
        registry.connection("default").database.command("ping")


def fork(*, handlers: bool) -> int:
    """A child that is a worker too, until it is killed; uWSGI's fork runs no handlers."""
    there, here = os.pipe()
    child = os.fork() if handlers else ctypes.PyDLL(None).fork()
    if not child:
        count(1)
        publisher.publish()
        os.write(here, b"x")
        signal.pause()
    os.read(there, 1)
    return child


def do(deed: str) -> object:
    word, *rest = deed.split()
    if word == "count":
        return count(int(rest[0]))
    if word == "publish":
        return publisher.publish()
    return fork(handlers=not rest)


db.connect_all(Settings(databases=json.loads(sys.argv[1])))
publisher.offer()
print("ready", flush=True)
for line in sys.stdin:
    print(do(line), flush=True)
db.disconnect_all()
