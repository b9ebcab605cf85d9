"""What recording an event costs the caller, and how fast events are stored, next to plain
``insert_many`` of the driver and to ``save()``.

    python benchmarks/recorder.py [--rounds N] [--events N] [--indexes] [--json FILE]

All ways take turns in one process, against one server whose files are in memory. Shares are the
medians of the rounds' own. Events and documents are made before the clock starts, and the clock
stops when the last event is stored.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from bson import ObjectId
from faulty_proxy import FaultyProxy
from mongoengine.fields import DictField, ObjectIdField, StringField
from pymongo import MongoClient

from datalayer import AnalyticsDocument, Settings, db
from datalayer.documents import UTCDateTimeField, utc_now
from datalayer.embedded import EmbeddedMongo
from datalayer.recorder import Recorder, RecorderSettings

BATCH = 1000
SAVED = 1000
TIMED = 5
"""One of so many calls of ``record`` is timed: that takes time itself."""
LOOPS = 700
"""About 10 microseconds."""


class Event(AnalyticsDocument):
    """As ``AnalyticsEvent``, without its indexes."""

    name = StringField(required=True, max_length=120)
    user_id = ObjectIdField()
    session_id = StringField(max_length=128)
    properties = DictField()
    occurred_at = UTCDateTimeField(required=True, default=utc_now)
    meta = {"collection": "events"}


class IndexedEvent(Event.__base__):  # type: ignore[name-defined,misc]
    """With the indexes of ``AnalyticsEvent``."""

    name = StringField(required=True, max_length=120)
    user_id = ObjectIdField()
    session_id = StringField(max_length=128)
    properties = DictField()
    occurred_at = UTCDateTimeField(required=True, default=utc_now)
    meta = {
        "collection": "indexed_events",
        "indexes": [("name", "-occurred_at"), ("user_id", "-occurred_at")],
    }


@dataclass
class Measured:
    """One way in one round."""

    seconds_per_event: float
    calls: list[float]
    """What calls of ``record`` took, in seconds."""


def dicts(count: int) -> list[dict[str, Any]]:
    user = ObjectId()
    return [
        {
            "name": "page.viewed",
            "user_id": user,
            "session_id": "4f1c0a",
            "properties": {"path": "/offers", "position": number, "paid": True},
            "occurred_at": utc_now(),
        }
        for number in range(count)
    ]


class Bench:
    def __init__(self, model: Any, plain: Any, proxy: FaultyProxy, events: int) -> None:
        self.model, self.plain, self.proxy, self.events = model, plain, proxy, events

    def insert_many(self, threads: int) -> Measured:
        # With the time stamps that the recorder adds, so that the same is stored.
        stamps = {"created_at": utc_now(), "updated_at": utc_now()}
        work = [
            [{**each, **stamps} for each in dicts(self.events // threads)] for _ in range(threads)
        ]

        return self.measured(work, self.inserting, lambda: None, [])

    def inserting(self, own: list[Any]) -> None:
        for at in range(0, len(own), BATCH):
            self.plain.insert_many(own[at : at + BATCH])

    def looped(self) -> Measured:
        """What this machine makes of calls that do nothing, about as long as ``record`` of a
        document, beside a thread that inserts: no call of that length has a better p99 here."""
        calls: list[float] = []
        ended = threading.Event()

        def spin() -> None:
            while not ended.is_set():
                started = perf_counter()
                for _ in range(LOOPS):
                    pass
                calls.append(perf_counter() - started)

        def store(own: list[Any]) -> None:
            spinning = threading.Thread(target=spin)
            spinning.start()
            try:
                self.inserting(own)
            finally:
                ended.set()
                spinning.join()

        return self.measured([dicts(self.events)], store, lambda: None, calls)

    def save(self) -> Measured:
        work = [[self.model(**each) for each in dicts(SAVED)]]

        def store(own: list[Any]) -> None:
            for document in own:
                document.save()

        return self.measured(work, store, lambda: None, [])

    def recorded(self, threads: int, *, documents: bool = False, **settings: Any) -> Measured:
        work: list[list[Any]] = [dicts(self.events // threads) for _ in range(threads)]
        if documents:
            work = [[self.model(**each) for each in own] for own in work]
        recorder = Recorder(RecorderSettings(**settings))
        calls: list[float] = []

        def flush() -> None:
            assert recorder.flush(120), recorder.stats()

        measured = self.measured(work, self.recording(recorder, calls, documents), flush, calls)
        told = recorder.stats()
        recorder.close()
        assert (told["dropped"], told["written"]) == (0, sum(map(len, work))), told
        return measured

    def recording(
        self, recorder: Recorder, calls: list[float], documents: bool
    ) -> Callable[[list[Any]], None]:
        record, model = recorder.record, None if documents else self.model

        def store(own: list[Any]) -> None:
            took = []
            for number, event in enumerate(own):
                if number % TIMED:
                    record(event, model)
                else:
                    started = perf_counter()
                    record(event, model)
                    took.append(perf_counter() - started)
            calls.extend(took)

        return store

    def measured(
        self,
        work: list[list[Any]],
        store: Callable[[list[Any]], None],
        finish: Callable[[], None],
        calls: list[float],
    ) -> Measured:
        self.plain.delete_many({})
        threads = [threading.Thread(target=store, args=(own,)) for own in work]
        started = perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        finish()
        count = sum(map(len, work))
        took = perf_counter() - started
        assert self.plain.count_documents({}) == count
        return Measured(took / count, calls)

    def call_costs(self, count: int, *, documents: bool, away: bool) -> float:
        """Seconds a call, in bursts of 1000 with time to store them in between."""
        recorder = Recorder(RecorderSettings(capacity=count * 2))
        if away:
            self.proxy.refuse()
        bursts = []
        model = None if documents else self.model
        for _ in range(count // BATCH):
            own: list[Any] = dicts(BATCH)
            if documents:
                own = [self.model(**each) for each in own]
            started = perf_counter()
            for event in own:
                recorder.record(event, model)
            bursts.append((perf_counter() - started) / BATCH)
            recorder.flush(0.2)
        self.proxy.restore()
        self.wait_until_well()
        recorder.flush(60)
        recorder.close()
        return median(bursts)

    def wait_until_well(self) -> None:
        ends = perf_counter() + 30
        waiting = threading.Event()
        while not db.database1.is_connected and perf_counter() < ends:
            waiting.wait(0.02)


def ways(bench: Bench, spool: Path) -> dict[str, Callable[[], Measured]]:
    own_spool = {"policy": "spool", "spool_directory": spool}
    blocking = {"policy": "block", "block_ms": 60_000, "capacity": 10_000}
    return {
        "insert_many, 1 thread": lambda: bench.insert_many(1),
        "insert_many, 8 threads": lambda: bench.insert_many(8),
        "save(), 1 thread": bench.save,
        "dicts, 1 thread": lambda: bench.recorded(1),
        "dicts, 8 threads": lambda: bench.recorded(8),
        "dicts, 1 thread, block": lambda: bench.recorded(1, **blocking),
        "dicts, 8 threads, block": lambda: bench.recorded(8, **blocking),
        "dicts, 1 thread, spool": lambda: bench.recorded(1, **own_spool),
        "documents, 1 thread": lambda: bench.recorded(1, documents=True),
        "a loop, 1 thread": bench.looped,
        "documents, 8 threads": lambda: bench.recorded(8, documents=True),
    }


@contextmanager
def connected() -> Iterator[tuple[FaultyProxy, str]]:
    with EmbeddedMongo(in_memory=True) as server, FaultyProxy(server.hosts[0]) as proxy:
        uris = {"default": server.uri_for("shop"), "database1": server.uri_for("bench")}
        with db.connected(Settings(databases=uris)):
            yield proxy, server.uri_for("bench")


@contextmanager
def connected_through(proxy: FaultyProxy) -> Iterator[None]:
    uri = proxy.uri_for("bench") + "&heartbeatFrequencyMS=500"
    with db.connected(Settings(databases={"default": uri, "database1": uri})):
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--events", type=int, default=48_000, help="events of a round (48000)")
    parser.add_argument("--indexes", action="store_true", help="with AnalyticsEvent's indexes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    model = IndexedEvent if options.indexes else Event
    rounds: list[dict[str, Measured]] = []
    costs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as spool, connected() as (proxy, uri):
        model(**dicts(1)[0]).save()
        with MongoClient[dict[str, Any]](uri) as client:
            plain = client["bench"][model._get_collection_name()]
            bench = Bench(model, plain, proxy, options.events // 8000 * 8000)
            todo = ways(bench, Path(spool))
            for each in todo.values():
                each()
            for number in range(options.rounds):
                names = list(todo) if number % 2 else list(reversed(todo))
                rounds.append({name: todo[name]() for name in names})
        db.disconnect_all()
        with connected_through(proxy):
            model(**dicts(1)[0]).save()
            for number in range(options.rounds):
                for away in (True, False) if number % 2 else (False, True):
                    for documents in (False, True):
                        name = f"{'document' if documents else 'dict'}{', away' if away else ''}"
                        cost = bench.call_costs(10_000, documents=documents, away=away)
                        costs.setdefault(name, []).append(cost)
    figures = {
        "ways": figures_of(rounds),
        "record_us": {k: median(v) * 1e6 for k, v in costs.items()},
    }
    print_tables(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0


def figures_of(rounds: list[dict[str, Measured]]) -> dict[str, dict[str, float]]:
    found = {}
    for name in rounds[0]:
        threads = "8 threads" if "8 threads" in name else "1 thread"
        own = [each[name] for each in rounds]
        calls = sorted(call for each in own for call in each.calls)
        found[name] = {
            "us_per_event": median(each.seconds_per_event for each in own) * 1e6,
            "of_insert_many": median(
                each[f"insert_many, {threads}"].seconds_per_event / each[name].seconds_per_event
                for each in rounds
            ),
            "times_save": median(
                each["save(), 1 thread"].seconds_per_event / each[name].seconds_per_event
                for each in rounds
            ),
        }
        if calls:
            found[name]["record_p50_us"] = calls[len(calls) // 2] * 1e6
            found[name]["record_p99_us"] = calls[len(calls) * 99 // 100] * 1e6
    return {name: found[name] for name in sorted(found, key=lambda n: (n[0] == "d", n))}


def print_tables(figures: dict[str, Any]) -> None:
    print(
        f"{'':<26} {'us/event':>9} {'of insert_many':>15} {'x save()':>9} "
        f"{'p50 us':>7} {'p99 us':>7}"
    )
    for name, each in figures["ways"].items():
        calls = [
            f"{each[key]:.1f}" if key in each else "" for key in ("record_p50_us", "record_p99_us")
        ]
        print(
            f"{name:<26} {each['us_per_event']:>9.1f} {each['of_insert_many']:>15.2f} "
            f"{each['times_save']:>9.1f} {calls[0]:>7} {calls[1]:>7}"
        )
    print("\nrecord(), microseconds a call, in bursts of 1000")
    for name, cost in figures["record_us"].items():
        print(f"{name:<26} {cost:>9.2f}")


if __name__ == "__main__":
    sys.exit(main())
