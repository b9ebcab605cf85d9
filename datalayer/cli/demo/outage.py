"""What a business request notices when the analytics server goes down, and how analytics comes
back."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from statistics import median
from time import monotonic, perf_counter
from typing import Any

from mongoengine.errors import MongoEngineException
from pymongo.errors import PyMongoError

from datalayer import db
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError
from datalayer.models import AnalyticsEvent, Transaction, User
from datalayer.service.events import Event

REQUESTS = 100
ANALYTICS_SECONDS = 0.05
"""What a request gives analytics. Waiting for a server that is away, PyMongo looks at the time
only every half second: that is why a request asks first whether analytics is there."""

_REJOIN_SECONDS = 30.0


@dataclass(frozen=True)
class Requests:
    """How a series of payments went; ``events`` counts what became of their events."""

    count: int
    failed: int
    p50_ms: float
    max_ms: float
    events: dict[str, int]


@dataclass(frozen=True)
class Outage:
    """What the demo saw before, during and after the outage; times in the units of the names."""

    healthy: Requests
    down: Requests
    back: Requests
    write_error: str
    write_ms: float
    rejoined_seconds: float | None
    status_down: dict[str, Any]


def pay(user: User, key: str) -> str:
    """A business request: charge a user, and tell analytics about it if analytics has time.

    Returns ``written``, ``skipped`` (known to be away) or ``dropped`` (tried in vain).
    """
    Transaction.charge(user, "9.90", "EUR", idempotency_key=key)
    if not db.database1.is_connected:  # asks no server
        return "skipped"
    try:
        with db.deadline(ANALYTICS_SECONDS):
            AnalyticsEvent(name="payment.charged", user_id=user.pk).save(force_insert=True)
    except (PyMongoError, MongoEngineException, DataLayerError):
        return "dropped"
    return "written"


def run_outage(server: EmbeddedMongo, user: User) -> Outage:
    """Pay, kill the analytics server, pay, start it again, pay once it has joined."""
    recovered = threading.Event()

    def note(_event: Event) -> None:
        recovered.set()

    db.database1.on("recovered", note)
    try:
        healthy = _pay_often(user, "healthy")
        server.kill(0)
        down = _pay_often(user, "down")
        write_error, write_ms = _write_anyway()
        status_down = db.status(timeout=0.5)
        started = monotonic()
        server.start(0)
        rejoined_seconds = monotonic() - started if _joins(recovered) else None
        back = _pay_often(user, "back")
    finally:
        db.database1.off("recovered", note)
    return Outage(
        healthy=healthy,
        down=down,
        back=back,
        write_error=write_error,
        write_ms=write_ms,
        rejoined_seconds=rejoined_seconds,
        status_down=status_down,
    )


def _pay_often(user: User, label: str) -> Requests:
    outcomes: Counter[str] = Counter()
    times: list[float] = []
    failed = 0
    for number in range(REQUESTS):
        started = perf_counter()
        try:
            outcomes[pay(user, f"{label}-{number}")] += 1
        except (PyMongoError, MongoEngineException, DataLayerError):
            failed += 1
        times.append((perf_counter() - started) * 1000)
    return Requests(
        count=REQUESTS,
        failed=failed,
        p50_ms=round(median(times), 2),
        max_ms=round(max(times), 2),
        events={name: outcomes[name] for name in ("written", "dropped", "skipped")},
    )


def _write_anyway() -> tuple[str, float]:
    """What a write that does not look first gets: the error's name and the milliseconds."""
    started = perf_counter()
    try:
        with db.deadline(ANALYTICS_SECONDS):
            AnalyticsEvent(name="payment.charged").save(force_insert=True)
    except (PyMongoError, MongoEngineException, DataLayerError) as exc:
        return type(exc).__name__, round((perf_counter() - started) * 1000, 2)
    return "none", round((perf_counter() - started) * 1000, 2)


def _joins(recovered: threading.Event) -> bool:
    """Whether analytics came back; asking for the status makes the driver look at once."""
    ends = monotonic() + _REJOIN_SECONDS
    while monotonic() < ends:
        if recovered.wait(0.1) and db.status(timeout=0.5)["database1"]["connected"]:
            return True
        db.status(timeout=0.5)
    return False
