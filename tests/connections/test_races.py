"""Connecting and disconnecting while others work, many times over."""

from __future__ import annotations

import gc
import random
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fresh_databases import drop, model_registry, settings_for
from mongoengine.fields import IntField
from running_programs import report_of
from waiting import wait_until

from datalayer import AnalyticsDocument, BusinessDocument, db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import NotConnectedError
from datalayer.settings import Settings

DEADLINE = 60.0
THREADS = 8
ROUNDS = 25
CYCLES = 1000

with model_registry():

    class Order(BusinessDocument):
        number = IntField()
        meta = {"collection": "orders"}

    class View(AnalyticsDocument):
        number = IntField()
        meta = {"collection": "views"}


OPERATIONS: tuple[Callable[[], object], ...] = (
    lambda: Order(number=1).save(),
    lambda: Order.objects(number=1).first(),
    lambda: list(Order.objects.limit(20)),
    lambda: Order.objects(number=1).update(inc__number=1),
    lambda: View.objects.insert([View(number=number) for number in range(5)]),
    lambda: View.objects(number=3).count(),
    lambda: list(View.objects.aggregate([{"$limit": 3}])),
    lambda: View.objects(number=3).modify(set__number=4),
)


@pytest.fixture(scope="module")
def settings(mongod: EmbeddedMongo) -> Settings:
    return settings_for(mongod)


@pytest.fixture(autouse=True)
def models(settings: Settings) -> object:
    with model_registry(Order, View):
        yield
    db.disconnect_all()
    drop(settings)


class Team:
    """Threads that call ``work`` until they are told to stop; counts what it raised."""

    def __init__(self, work: Callable[[int], object]) -> None:
        self.errors: Counter[str] = Counter()
        self.done = 0
        self._work = work
        self._lock = threading.Lock()  # guards the counters
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=[n]) for n in range(THREADS)]

    def __enter__(self) -> Team:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(DEADLINE)
        assert [thread for thread in self._threads if thread.is_alive()] == []

    def _run(self, number: int) -> None:
        while not self._stopping.is_set():
            try:
                self._work(number)
            except Exception as exc:
                with self._lock:
                    self.errors[type(exc).__name__ + ("" if expected(exc) else f": {exc}")] += 1
            else:
                with self._lock:
                    self.done += 1


def expected(exc: Exception) -> bool:
    return isinstance(exc, NotConnectedError)


@pytest.mark.slow
def test_work_during_disconnect_all_succeeds_or_is_told_not_connected(settings: Settings) -> None:
    errors: Counter[str] = Counter()
    for _ in range(ROUNDS):
        db.connect_all(settings)
        with Team(lambda number: OPERATIONS[number]()) as team:
            wait_until(lambda team=team: team.done >= 4 * THREADS)
            db.disconnect_all()
            wait_until(lambda team=team: team.errors.total() >= THREADS)
        errors += team.errors
    assert set(errors) == {"NotConnectedError"}


@pytest.mark.slow
def test_connecting_and_disconnecting_race_without_harm(settings: Settings) -> None:
    chance = random.Random(11)
    ends = time.monotonic() + 5

    def act(number: int) -> None:
        if number >= 4:
            OPERATIONS[number]()
        elif chance.random() < 0.5:
            db.connect_all(settings)
        else:
            db.disconnect_all()

    with Team(act) as team:
        wait_until(lambda: time.monotonic() > ends and team.done > 50)
    assert set(team.errors) <= {"NotConnectedError"}
    assert team.done > 50
    db.connect_all(settings)
    assert [operation() is not None for operation in OPERATIONS] == [True] * len(OPERATIONS)
    assert {entry["state"] for entry in db.status().values()} == {"connected"}


def test_what_was_closed_is_freed_without_waiting_for_the_collector(settings: Settings) -> None:
    db.connect_all(settings)
    Order(number=1).save()
    clients = [weakref.ref(db.get(alias).client) for alias in settings]
    monitors = [weakref.ref(registry.connection(alias).monitors) for alias in settings]
    gc.collect()
    gc.disable()
    try:
        db.disconnect_all()
        # The driver's threads hold it until they see, every half second, that they are to end.
        wait_until(lambda: [held() for held in (*clients, *monitors)] == [None] * 4)
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads Linux's /proc")
def test_a_thousand_cycles_leave_no_thread_socket_or_memory(
    uris: dict[str, str],
) -> None:
    environment = {**uris, "PYTHONWARNINGS": "error"}

    def report(*words: str) -> Any:
        return report_of("cycling.py", environment, str(CYCLES), *words)

    with ThreadPoolExecutor() as pool:
        ours, bare = pool.map(lambda words: report(*words), [(), ("bare",)])
    before, after = ours
    assert (after["threads"], after["files"]) == (before["threads"], before["files"])
    # One object kept for each cycle would be 900.
    assert after["objects"] - before["objects"] < 500
    # Clients that wait for the collector's next full run would be 4 to 20 MB, by the version of
    # Python; 900 clients that are kept would be 50 MB and more.
    assert grown(ours) - max(grown(bare), 0) < 4_000


def grown(report: list[dict[str, int]]) -> int:
    return report[1]["kilobytes"] - report[0]["kilobytes"]
