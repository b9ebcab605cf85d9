"""What the business database's calls cost while the analytics database is down, hangs or is slow.

    python benchmarks/isolation.py [--rounds N] [--json FILE]

Healthy and faulty slices take turns in one process, with the same threads at work: two save
business documents, two write analytics documents all the time. The noise is what two healthy
slices differ by; a fault's share should lie within it. Fails where business calls become fewer
than 0.8 of the healthy ones, or their 99th percentile more than twice as long.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from faulty_proxy import FaultyProxy
from mongoengine import IntField

from datalayer import AnalyticsDocument, BusinessDocument, Settings, db
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError

SLICE_SECONDS = 2.0
LEAST_SHARE = 0.8
MOST_P99 = 2.0


class Order(BusinessDocument):
    number = IntField()


class Click(AnalyticsDocument):
    number = IntField()


CONDITIONS: dict[str, Callable[[FaultyProxy], None]] = {
    "healthy": lambda proxy: None,
    "healthy again": lambda proxy: None,
    "down": lambda proxy: proxy.refuse(),
    "hanging": lambda proxy: proxy.hang(),
    "slow (0.2 s)": lambda proxy: proxy.delay(0.2),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8, help="slices of each condition (8)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    slices: dict[str, list[list[float]]] = {name: [] for name in CONDITIONS}
    with EmbeddedMongo() as server, FaultyProxy(server.hosts[0]) as proxy:
        uris = {
            "default": server.uri_for("shop"),
            "database1": proxy.uri_for("clicks") + "&heartbeatFrequencyMS=500",
        }
        with db.connected(Settings(databases=uris)):
            Order(number=0).save()
            at_work(SLICE_SECONDS)
            for number in range(options.rounds):
                names = list(CONDITIONS)
                for name in names if number % 2 else reversed(names):
                    CONDITIONS[name](proxy)
                    slices[name].append(at_work(SLICE_SECONDS))
                    proxy.restore()
                    wait_until_well()
    figures = {name: figures_of(each) for name, each in slices.items()}
    print_table(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return 0 if all(holds(each, figures["healthy"]) for each in figures.values()) else 1


def at_work(seconds: float) -> list[float]:
    """The milliseconds of each business call."""
    taken: list[float] = []
    ends = time.monotonic() + seconds

    def business() -> None:
        while time.monotonic() < ends:
            started = time.perf_counter()
            Order(number=1).save()
            taken.append((time.perf_counter() - started) * 1000)

    def analytics() -> None:
        while time.monotonic() < ends:
            try:
                with db.deadline(max(ends - time.monotonic(), 0.01)):
                    Click(number=1).save()
            except DataLayerError:
                pass
            time.sleep(0.005)

    threads = [
        threading.Thread(target=work) for work in (business, business, analytics, analytics)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return taken


def wait_until_well() -> None:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        try:
            with db.deadline(1):
                Click(number=2).save()
        except DataLayerError:
            time.sleep(0.02)
        else:
            return


def figures_of(slices: list[list[float]]) -> dict[str, float]:
    return {
        "calls_per_second": median(len(each) for each in slices) / SLICE_SECONDS,
        "p50_ms": median(median(each) for each in slices),
        "p99_ms": median(quantiles(each, n=100)[98] for each in slices),
    }


def holds(figures: dict[str, float], healthy: dict[str, float]) -> bool:
    """Whether the business is as fast as ever."""
    share = figures["calls_per_second"] / healthy["calls_per_second"]
    return share >= LEAST_SHARE and figures["p99_ms"] <= MOST_P99 * healthy["p99_ms"]


def print_table(figures: dict[str, dict[str, float]]) -> None:
    print(f"{'analytics database':<20} {'calls/s':>9} {'share':>7} {'p50 ms':>8} {'p99 ms':>8}")
    healthy = figures["healthy"]
    for name, each in figures.items():
        share = each["calls_per_second"] / healthy["calls_per_second"]
        print(
            f"{name:<20} {each['calls_per_second']:>9.0f} {share:>7.2f} "
            f"{each['p50_ms']:>8.2f} {each['p99_ms']:>8.2f} "
            f"{'' if holds(each, healthy) else 'MISSED'}"
        )


if __name__ == "__main__":
    sys.exit(main())
