"""The business runs on while the analytics database is down, hangs or is slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from statistics import quantiles

import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import model_registry
from mongoengine import IntField

from datalayer import db
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError
from datalayer.health import verdict
from datalayer.settings import Settings

WORK_SECONDS = 3.0
SLOW_SECONDS = 0.5
"""What a write to the slow analytics database takes; to one that is away it takes longer."""


class Order(Document):
    number = IntField()


class Click(Document):
    number = IntField()
    meta = {"db_alias": "database1"}


@pytest.fixture
def analytics(mongod: EmbeddedMongo, database_name: str) -> Iterator[FaultyProxy]:
    """The proxy before the analytics database."""
    with FaultyProxy(mongod.hosts[0]) as proxy:
        uris = {
            "default": mongod.uri_for(database_name),
            "database1": proxy.uri_for(f"{database_name}_1") + "&heartbeatFrequencyMS=500",
        }
        with model_registry(Order, Click), db.connected(Settings(databases=uris)):
            Order(number=0).save()
            Click(number=0).save()
            yield proxy
            proxy.restore()


def at_work(seconds: float) -> list[float]:
    """Milliseconds of each business call of two threads; two others write clicks meanwhile."""
    taken: list[float] = []
    ends = time.monotonic() + seconds

    def business() -> None:
        while time.monotonic() < ends:
            started = time.perf_counter()
            Order(number=1).save()
            taken.append((time.perf_counter() - started) * 1000)

    def clicks() -> None:
        while time.monotonic() < ends:
            try:
                with db.deadline(max(ends - time.monotonic(), 0.01)):
                    Click(number=1).save()
            except DataLayerError:
                time.sleep(0.005)  # as an application that counts the failure and goes on

    threads = [threading.Thread(target=work) for work in (business, business, clicks, clicks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return taken


FAULTS: dict[str, Callable[[FaultyProxy], None]] = {
    "down": lambda proxy: proxy.refuse(),
    "hanging": lambda proxy: proxy.hang(),
    "slow": lambda proxy: proxy.delay(SLOW_SECONDS),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_business_does_not_wait_for_analytics(analytics: FaultyProxy, fault: str) -> None:
    """`benchmarks/isolation.py` compares how fast it is; this one sees a business that waits."""
    FAULTS[fault](analytics)
    taken = at_work(WORK_SECONDS)
    assert len(taken) > 100
    assert p99(taken) < SLOW_SECONDS * 1000 / 2


@pytest.mark.parametrize("fault", ["down", "hanging"])
def test_status_answers_in_time_and_the_application_stays_ready(
    analytics: FaultyProxy, fault: str
) -> None:
    FAULTS[fault](analytics)
    started = time.monotonic()
    status = db.status(timeout=1.0)
    assert time.monotonic() - started < 1.0
    assert status["default"]["state"] == "connected"
    assert status["database1"]["connected"] is False
    judged = verdict(status)
    assert (judged.live, judged.ready, judged.degraded) == (True, True, True)


def p99(milliseconds: list[float]) -> float:
    return quantiles(milliseconds, n=100)[98]
