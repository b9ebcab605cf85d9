"""The business runs on while the analytics database is down, hangs or is slow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import model_registry
from mongoengine import IntField
from observing import NO_OTHER_LIMIT

from datalayer import db
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError
from datalayer.health import verdict
from datalayer.settings import Settings

ORDERS = 100
FOR_EVER = 600.0  # longer than a test may last
SLOW_SECONDS = 2.0
"""How long the slow analytics database lets each direction wait."""


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
            "database1": {
                "uri": proxy.uri_for(f"{database_name}_1") + "&heartbeatFrequencyMS=500",
                **NO_OTHER_LIMIT,
            },
        }
        with model_registry(Order, Click), db.connected(Settings(databases=uris)):
            Order(number=0).save()
            Click(number=0).save()
            yield proxy
            proxy.restore()


def clicks_meanwhile() -> int:
    """How many clicks two threads get stored while two others store 50 orders each. Each click
    may wait for longer than a test."""
    stored: list[Click] = []
    done = threading.Event()

    def business() -> None:
        for _ in range(ORDERS // 2):
            Order(number=1).save()

    def clicks() -> None:
        while not done.is_set():
            try:
                with db.deadline(FOR_EVER):
                    stored.append(Click(number=1).save())
            except DataLayerError:
                done.wait(0.005)  # as an application that counts the failure and goes on

    orders = [threading.Thread(target=business) for _ in range(2)]
    for thread in (*orders, *(threading.Thread(target=clicks, daemon=True) for _ in range(2))):
        thread.start()
    for thread in orders:
        thread.join()
    done.set()
    return len(stored)


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
    assert clicks_meanwhile() < ORDERS / 4


@pytest.mark.parametrize("fault", ["down", "hanging"])
def test_status_answers_in_time_and_the_application_stays_ready(
    analytics: FaultyProxy, fault: str
) -> None:
    FAULTS[fault](analytics)
    status = db.status(timeout=1.0)
    assert status["default"]["state"] == "connected"
    assert status["database1"]["connected"] is False
    judged = verdict(status)
    assert (judged.live, judged.ready, judged.degraded) == (True, True, True)
