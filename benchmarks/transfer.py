"""How fast transfers are, against the loops that people write by hand.

    python benchmarks/transfer.py [--documents N] [--rounds N] [--memory-documents N] [--json FILE]

Two private clusters; tweets of MongoDB's driver benchmark where they are at hand
(``DATALAYER_TEST_DATA``), or generated documents of the same shape, and small flat ones. Peers
take turns within one run. Each figure is a ratio of medians, with the bound that the project holds
it to: copying by the server against one ``$merge`` by hand, copying between clusters against
find → ``insert_many`` and against MongoEngine, what verifying adds; and the memory that a process
takes for a few documents and for many (``--memory-documents``, 0 for none).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bson import ObjectId
from mongoengine import DynamicDocument

from datalayer import Settings, db, transfer
from datalayer.embedded import EmbeddedMongo

_DATA = os.environ.get("DATALAYER_TEST_DATA")
_MOST_BY_MONGOENGINE = 1000  # one by one they take milliseconds each


@dataclass(frozen=True)
class Figure:
    """One measured ratio, of documents a second or MiB, and its bound."""

    name: str
    ours: float
    peer: float
    ratio: float
    bound: float
    at_least: bool = True

    @property
    def holds(self) -> bool:
        return self.ratio >= self.bound if self.at_least else self.ratio <= self.bound


class Copied(DynamicDocument):
    meta = {"collection": "documents", "db_alias": "default"}


class Stored(DynamicDocument):
    meta = {"collection": "documents", "db_alias": "archive"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-documents", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    figures: list[Figure] = []
    with EmbeddedMongo() as one, EmbeddedMongo() as other:
        uris = {
            "default": one.uri_for("source"),
            "database1": one.uri_for("neighbour"),
            "archive": other.uri_for("archive"),
        }
        with db.connected(Settings(databases=uris)):
            for kind, documents in (("flat", flat), ("tweets", tweets)):
                fill(documents(arguments.documents))
                figures += measured(kind, arguments.rounds, arguments.documents)
            if arguments.memory_documents:
                figures += memory(uris, arguments.memory_documents)
    print(f"{'':44} {'ours':>10} {'peer':>10} {'ratio':>7} {'bound':>7}")
    for each in figures:
        sign = ">=" if each.at_least else "<="
        print(
            f"{each.name:44} {each.ours:>10,.0f} {each.peer:>10,.0f} {each.ratio:>7.2f} "
            f"{sign}{each.bound:>5.2f} {'' if each.holds else 'MISSED'}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in figures], indent=2))
    return 0 if all(each.holds for each in figures) else 1


def flat(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"_id": ObjectId(), "number": number, "name": "x" * 40, "ratio": number * 1.5}


def tweets(count: int) -> Iterator[dict[str, Any]]:
    path = Path(_DATA, "driver-benchmark", "tweet.json") if _DATA else None
    if path and path.exists():
        print(f"tweets: {path}")
        tweet = json.loads(path.read_text())
    else:
        print("tweets: generated documents of the same shape")
        user = {f"field_{number}": "value " * 3 for number in range(40)}
        tweet = {"text": "x" * 140, "user": user, "entities": {"urls": [], "tags": ["a", "b"]}}
    for _ in range(count):
        yield {"_id": ObjectId(), "tweet": tweet}  # which has an "id" of its own


def fill(documents: Iterator[dict[str, Any]]) -> None:
    collection = db.get("default").client["source"].documents
    collection.drop()
    batch: list[dict[str, Any]] = []
    for document in documents:
        batch.append(document)
        if len(batch) == 5000:
            collection.insert_many(batch)
            batch = []
    if batch:
        collection.insert_many(batch)


def measured(kind: str, rounds: int, count: int) -> Iterator[Figure]:
    peers: dict[str, Callable[[], float]] = {
        "merge by hand": merge_by_hand,
        "ours, one cluster": lambda: ours("database1"),
        "loop": loop,
        "ours, two clusters": lambda: ours("archive"),
        "MongoEngine": mongoengine_loop,
    }
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    copying: dict[str, list[tuple[float, float]]] = {"database1": [], "archive": []}
    for _ in range(rounds):
        for name, peer in peers.items():
            clear()
            began = time.perf_counter()
            done = peer()
            taken = time.perf_counter() - began
            if name.startswith("ours"):
                copying["database1" if "one" in name else "archive"].append((done, taken - done))
                taken = done
            elif name == "MongoEngine":
                taken *= count / min(count, _MOST_BY_MONGOENGINE)
            seconds[name].append(taken)
    rate = {name: count / median(taken) for name, taken in seconds.items()}
    for name, ours_, peer_, bound in (
        (f"{kind}: one cluster / $merge by hand", "ours, one cluster", "merge by hand", 0.9),
        (f"{kind}: two clusters / find, insert_many", "ours, two clusters", "loop", 2.3),
        (f"{kind}: two clusters / MongoEngine", "ours, two clusters", "MongoEngine", 10.0),
    ):
        yield Figure(name, rate[ours_], rate[peer_], rate[ours_] / rate[peer_], bound)
    for where, pairs in copying.items():
        copy, verify = median([c for c, _ in pairs]), median([v for _, v in pairs])
        yield Figure(
            f"{kind}: verifying / copying, {where}",
            count / verify, count / copy, verify / copy, 0.7, at_least=False,
        )  # fmt: skip


# The process's own peak: what the kernel tells of its resources counts what its parent had too.
TRANSFER_ALONE = """
import sys
from pathlib import Path
from datalayer import Settings, db, transfer
with db.connected(Settings(databases={"default": sys.argv[1], "archive": sys.argv[2]})):
    plan = transfer.plan("t", source="default", target="archive", collections=["documents"])
    assert transfer.run(plan).complete
peak = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
print(int(peak.split()[1]) / 1024)
"""


def memory(uris: dict[str, str], most: int) -> Iterator[Figure]:
    """The peak memory of a process that does nothing but a transfer."""
    peaks = []
    for count in (10_000, most):
        fill(tweets(count))
        clear()
        words = [sys.executable, "-c", TRANSFER_ALONE, uris["default"], uris["archive"]]
        done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=1800)
        peaks.append(float(done.stdout))
    few, many = peaks
    yield Figure(f"MiB for {most:,} tweets / 10,000", many, few, many / few, 2.0, at_least=False)
    yield Figure(f"MiB for {most:,} tweets / 200", many, 200.0, many / 200, 1.0, at_least=False)


def clear() -> None:
    for alias, database in (("database1", "neighbour"), ("archive", "archive")):
        db.get(alias).client.drop_database(database)


def ours(target: str) -> float:
    """The seconds until the first document is verified: planning, journal and copy."""
    began = time.perf_counter()
    copied: list[float] = []

    def tell(progress: transfer.Progress) -> None:
        if progress.phase == "copy":
            copied[:] = [time.perf_counter() - began]

    plan = transfer.plan("t", source="default", target=target, collections=["documents"])
    report = transfer.run(plan, on_progress=tell)
    assert report.complete
    return copied[0]


def merge_by_hand() -> float:
    into = {"db": "neighbour", "coll": "documents"}
    stage = {"$merge": {"into": into, "whenMatched": "fail"}}
    with db.deadline(600):
        db.get("default").client["source"].documents.aggregate([stage])
    return 0.0


def loop() -> float:
    target = db.get("archive").client["archive"].documents
    batch: list[dict[str, Any]] = []
    for document in db.get("default").client["source"].documents.find():
        batch.append(document)
        if len(batch) == 1000:
            target.insert_many(batch)
            batch = []
    if batch:
        target.insert_many(batch)
    return 0.0


def mongoengine_loop() -> float:
    for document in Copied.objects.limit(_MOST_BY_MONGOENGINE):
        Stored(**document.to_mongo().to_dict()).save(force_insert=True, validate=False)
    return 0.0


if __name__ == "__main__":
    raise SystemExit(main())
