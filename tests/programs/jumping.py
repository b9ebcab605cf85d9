"""Lets the wall clock jump in the middle of what takes time; prints as JSON what it came to.

Arguments: the seconds to jump each time, the URI of a server, and that of one that is away.
"""

from __future__ import annotations

import ctypes
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mongoengine import StringField

from datalayer import DataLayerError, Settings, UnavailableError, db
from datalayer.connections.breaker import FAILURES_TO_OPEN
from datalayer.connections.registry import registry
from datalayer.documents import Document

# What it retries on purpose is no news here.
logging.getLogger("datalayer").addHandler(logging.NullHandler())

SECONDS, URI, AWAY = int(sys.argv[1]), sys.argv[2], sys.argv[3]
LIBRARY = ctypes.CDLL(None)


class Note(Document):
    text = StringField()


def jump() -> None:
    before = time.time()
    LIBRARY.jump(ctypes.c_long(SECONDS))
    assert abs(time.time() - before - SECONDS) < 60, "the clock did not jump"


@contextmanager
def jumping_meanwhile() -> Iterator[None]:
    timer = threading.Timer(0.1, jump)
    timer.start()
    yield
    timer.join()


def outcome(call: Callable[[], object]) -> dict[str, Any]:
    """What a call came to, while the clock jumps."""
    started = time.monotonic()
    error = None
    with jumping_meanwhile():
        try:
            call()
        except DataLayerError as exc:
            error = exc
    return {
        "error": type(error).__name__,
        "seconds": time.monotonic() - started,
        "elapsed": getattr(error, "elapsed", None),
    }


def sleep_on_the_server(milliseconds: int) -> None:
    Note.objects(__raw__={"$where": f"sleep({milliseconds}) || true"}).first()


def connecting() -> dict[str, Any]:
    attempts: list[int] = []

    class Attempts(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            attempts.append(vars(record).get("attempt", 0))

    logging.getLogger("datalayer.opening").addHandler(Attempts())
    patient = {"retry_attempts": 1000, "retry_max_seconds": 1.5}
    away = {"uri": AWAY, "server_selection_timeout_ms": 200, **patient}
    settings = Settings(databases={"default": away, "database1": "mongomock://numbers"})
    return {**outcome(lambda: db.connect_all(settings)), "attempts": len(attempts)}


def deadline() -> dict[str, Any]:
    def work() -> None:
        with db.deadline(0.6):
            sleep_on_the_server(5000)

    return outcome(work)


def retrying() -> dict[str, Any]:
    calls: list[float] = []

    def work() -> None:
        calls.append(time.monotonic())
        raise UnavailableError("away")

    return {**outcome(db.retry(attempts=1000, max_seconds=1.0)(work)), "calls": len(calls)}


def commands() -> dict[str, Any]:
    events: list[object] = []
    db.database.on("slow_command", events.append)
    outcome(lambda: sleep_on_the_server(300))
    db.database.off("slow_command", events.append)
    status = db.status()["default"]
    return {**status["commands"], **status["pool"], "slow_events": len(events)}


def breaker() -> list[str]:
    found = registry.connection("database1").breaker
    assert found is not None
    for _ in range(FAILURES_TO_OPEN):
        found.failed()
    states = [found.state]
    jump()
    error = outcome(found.check)["error"]
    states += [found.state, error]
    found.reset()
    return states


def main() -> None:
    report: dict[str, Any] = {"connecting": connecting()}
    databases = {"default": {"uri": URI, "slow_ms": 600_000}, "database1": f"{URI}&appname=other"}
    with db.connected(Settings(databases=databases)):
        Note(text="a").save()
        # First: the others' commands may be slow.
        report["commands"] = commands()
        report["deadline"] = deadline()
        report["retrying"] = retrying()
        report["breaker"] = breaker()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
