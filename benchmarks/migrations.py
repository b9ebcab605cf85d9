"""How fast are migrations beside one `update_many` by hand, on the same server?

    python benchmarks/migrations.py --documents 1000000 --rounds 3

Each round renames a field and fills one in, by hand and by `migrations.apply()`, with its plan,
checks, lease and history, in turn; what is told is the middle of the rounds. Private server, write
concern majority for both.
"""

from __future__ import annotations

import argparse
import resource
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from pymongo import WriteConcern

from datalayer import Settings, db, migrations
from datalayer.connections.registry import registry
from datalayer.context.deadlines import deadline
from datalayer.embedded import EmbeddedMongo

_AT_ONCE = 10_000
_HOUR = 3600.0


def fill(collection: Any, count: int) -> None:
    """Documents of about 230 bytes."""
    for begin in range(0, count, _AT_ONCE):
        collection.insert_many(
            {
                "name": f"name {number}",
                "email": f"user{number}@example.org",
                "city": f"city {number % 100}",
                "number": number,
                "tags": ["one", "two", "three"],
                "address": {"street": "a street of some length", "zip": str(number % 99_999)},
            }
            for number in range(begin, min(begin + _AT_ONCE, count))
        )


def timed(work: Callable[[], object]) -> float:
    """How many seconds ``work`` took."""
    started = perf_counter()
    work()
    return perf_counter() - started


def apply(folder: Path, step: str) -> None:
    """Write the next migration, which does ``step``, and apply it."""
    number = len(list(folder.iterdir())) + 1
    (folder / f"{number:04}_benchmark.py").write_text(f"def apply(m):\n    m.{step}\n")
    migrations.apply(package=str(folder))


def by_hand(collection: Any, query: Any, update: Any) -> None:
    """One command for all."""
    with deadline(_HOUR):
        collection.update_many(query, update)


def work(
    collection: Any, folder: Path, who: str, names: list[str], field: str
) -> tuple[Callable[[], None], Callable[[], None]]:
    """A rename, and a backfill."""
    old, new = names
    if who == "by hand":
        there, missing = {old: {"$exists": True}}, {field: {"$exists": False}}
        return (
            partial(by_hand, collection, there, {"$rename": {old: new}}),
            partial(by_hand, collection, missing, {"$set": {field: True}}),
        )
    return (
        partial(apply, folder, f"rename_field({collection.name!r}, {old!r}, {new!r})"),
        partial(apply, folder, f"set_default({collection.name!r}, {field!r}, True)"),
    )


def measure(collection: Any, folder: Path, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds, by step and by who did it."""
    names = ["name", "title"]
    took: dict[str, dict[str, list[float]]] = {
        step: {"by hand": [], "by apply": []} for step in ("rename_field", "set_default")
    }
    filled = 0
    for number in range(rounds):
        # Each goes first every other round.
        for who in ("by hand", "by apply") if number % 2 else ("by apply", "by hand"):
            filled += 1
            field = f"filled{filled}"
            rename, backfill = work(collection, folder, who, names, field)
            took["rename_field"][who].append(timed(rename))
            took["set_default"][who].append(timed(backfill))
            names.reverse()
            by_hand(collection, {}, {"$unset": {field: ""}})
    return took


def main() -> None:
    """Measure, and print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with (
        TemporaryDirectory() as folder,
        EmbeddedMongo() as server,
        db.connected(Settings(databases={"default": server.uri_for("benchmark")})),
    ):
        collection = registry.connection("default").database.users
        collection = collection.with_options(write_concern=WriteConcern("majority"))
        fill(collection, arguments.documents)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for step, took in measure(collection, Path(folder), arguments.rounds).items():
            hand, applied = (statistics.median(took[who]) for who in ("by hand", "by apply"))
            print(
                f"{step:14} by hand {hand:6.2f} s, by apply {applied:6.2f} s: "
                f"{hand / applied:.2f} of its speed",
                flush=True,
            )
            print(f"{'':14} {took}")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"memory at most {after / 1024:.0f} MB, {before / 1024:.0f} MB before")


if __name__ == "__main__":
    main()
