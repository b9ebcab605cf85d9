"""A thousand tenants on one client: what the first and the later operations on one cost, and
whether anything is misplaced.

    python benchmarks/tenants.py [--tenants N] [--threads N] [--rounds N] [--json FILE]

Peers take turns within one run. ``first`` is the first write of a model in a new database, against
PyMongo creating the same indexes and inserting the same document; ``later`` are operations in a
block against the same in the alias's own database. Then so many threads write into so many
databases, twice, and each database is read: nothing may be where it doesn't belong, and there are
as many threads and connections as for one database. Exits 1 where a bound doesn't hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

from mongoengine import IntField, StringField
from pymongo import IndexModel, MongoClient

from datalayer import BusinessDocument, Settings, db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo

LATER_A_ROUND = 30
"""So few that the machine's speed hardly changes from one side's turn to the other's."""
PASSES = 3


class Order(BusinessDocument):
    number = IntField()
    owner = StringField()
    meta = {"indexes": ["number", "owner"]}


@dataclass(frozen=True)
class Figure:
    """One measured figure and its bound."""

    name: str
    value: float
    bound: float
    unit: str

    @property
    def holds(self) -> bool:
        return self.value <= self.bound


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=1000, help="databases (1000)")
    parser.add_argument("--threads", type=int, default=32, help="threads (32)")
    parser.add_argument("--rounds", type=int, default=60, help="rounds of the timings (60)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with EmbeddedMongo(journal=False, in_memory=True) as server:
        figures = measure(server, arguments.tenants, arguments.threads, arguments.rounds)
    for each in figures:
        sign = "" if each.holds else "  NOT WITHIN"
        print(f"{each.name:<44} {each.value:10.3f} {each.unit:<12} (at most {each.bound:g}){sign}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in figures], indent=2))
    return 0 if all(each.holds for each in figures) else 1


def measure(server: EmbeddedMongo, tenants: int, threads: int, rounds: int) -> list[Figure]:
    """All figures, on a server of their own."""
    options = {"max_pool_size": threads, "wait_queue_timeout_ms": 120_000}
    settings = Settings(databases={"default": {"uri": server.uri_for("tenants_own"), **options}})
    with MongoClient(server.uri) as client, db.connected(settings):
        return [
            first(client, rounds),
            *later(client, rounds),
            *many(client, tenants, threads),
        ]


def first(client: MongoClient[Any], rounds: int) -> Figure:
    """The first write in a new database."""

    def ours(name: str) -> None:
        with db.using(database=name):
            Order(number=1, owner=name).save()

    def peers(name: str) -> None:
        collection = client[name]["order"]
        collection.create_indexes([IndexModel("number"), IndexModel("owner")])
        collection.insert_one({"number": 1, "owner": name})

    taken: dict[Any, list[float]] = {ours: [], peers: []}
    for number in range(rounds + 2):
        for run in random.sample([ours, peers], 2):
            name = f"first_{run.__name__}_{number}"
            seconds = _timed(lambda run=run, name=name: run(name))
            if number >= 2:
                taken[run].append(seconds)
            client.drop_database(name)
    extra = (_typical(taken[ours]) - _typical(taken[peers])) * 1000
    return Figure("first write of a tenant, more than PyMongo", extra, 1.0, "ms")


def later(client: MongoClient[Any], rounds: int) -> list[Figure]:
    """Operations in a block, against the same in the alias's own database."""
    saved = Order(number=1, owner="own").save()
    with db.using(database="later"):
        theirs = Order(number=1, owner="later").save()
    figures = []
    for name, operation in (
        ("read by key", lambda order: Order.objects.get(pk=order.pk)),
        ("insert", lambda order: Order(number=2, owner=order.owner).save()),
    ):
        taken: dict[str, list[float]] = {"own": [], "block": []}
        for _ in range(rounds):
            for side in random.sample(["own", "block"], 2):
                order = saved if side == "own" else theirs
                with nullcontext() if side == "own" else db.using(database="later"):
                    for _ in range(LATER_A_ROUND):
                        taken[side].append(_timed(lambda op=operation, on=order: op(on)))
        share = _typical(taken["block"]) / _typical(taken["own"])
        figures.append(Figure(f"later {name} in a block, against outside", share, 1.15, "times"))
    client.drop_database("later")
    return figures


def many(client: MongoClient[Any], tenants: int, threads: int) -> list[Figure]:
    """Threads that write into many databases."""
    names = [f"tenant_{number}" for number in range(tenants)]
    try:
        one = _pass(["tenant_alone"] * tenants, threads)
        passes = [_pass(names, threads) for _ in range(PASSES)]
        wrong = sum(
            client[name]["order"].count_documents({"owner": {"$ne": name}}) for name in names
        )
        missing = sum(client[name]["order"].count_documents({}) != PASSES for name in names)
    finally:
        for name in ("tenant_alone", *names):
            client.drop_database(name)
    last = passes[-1]
    return [
        Figure("threads more than for one database", last["threads"] - one["threads"], 0, ""),
        Figure("connections for all of them", last["connections"], threads, ""),
        Figure("memory for all of them", last["rss"] - one["rss"], 40.0, "MB"),
        Figure("memory that the last pass has added", last["rss"] - passes[-2]["rss"], 3.0, "MB"),
        Figure(f"documents misplaced in {tenants} databases", wrong + missing, 0, ""),
    ]


def _pass(names: list[str], count: int) -> dict[str, float]:
    """One write into each database, by so many threads, each with a read of its own."""
    left, lock, failed = list(names), threading.Lock(), []
    random.shuffle(left)

    def work() -> None:
        try:
            while True:
                with lock:
                    if not left:
                        return
                    name = left.pop()
                with db.using(database=name):
                    Order(number=1, owner=name).save()
                    if Order.objects(owner=name).first() is None:
                        failed.append(name)
        except BaseException as exc:
            failed.append(repr(exc))
            raise

    workers = [threading.Thread(target=work) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed:
        raise SystemExit(f"failed: {failed[:3]}")
    pool = registry.own_connection("default").monitors.pool.snapshot()
    return {
        "threads": threading.active_count(),
        "connections": pool["open"],
        "rss": _rss(),
    }


def _rss() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _typical(seconds: list[float]) -> float:
    """The lower quartile: what else the machine does only ever adds to a time."""
    return quantiles(seconds, n=4)[0] if len(seconds) > 1 else seconds[0]


def _timed(run: Callable[[], object]) -> float:
    began = perf_counter()
    run()
    return perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
