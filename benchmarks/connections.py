"""What datalayer adds to the bare driver: importing, connecting, status, and each operation.

    python benchmarks/connections.py [--rounds N] [--json FILE]

Peers take turns within one run, so that a machine whose speed drifts slows both. Each figure is
the median over the rounds, with the bound that the project holds it to.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from pymongo import MongoClient
from pymongo.monitoring import CommandListener

from datalayer import Settings, db
from datalayer.embedded import EmbeddedMongo
from datalayer.monitoring import Monitors
from datalayer.monitoring.hooks import tell_directly

OPERATIONS_A_ROUND = 40
"""So few that the machine's speed hardly changes from one peer's turn to the other's."""
TURNS_A_ROUND = 20
_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


@dataclass(frozen=True)
class Figure:
    """One measured figure and its bound."""

    name: str
    ours: float
    peer: float
    unit: str
    value: float
    bound: float

    @property
    def holds(self) -> bool:
        return self.value <= self.bound


class Empty(CommandListener):
    """Hears everything and does nothing."""

    def started(self, event: Any) -> None: ...

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each figure (40)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with EmbeddedMongo() as server:
        figures = [
            import_time("import datalayer", max(arguments.rounds // 2, 5), bound=1.15),
            import_time("from datalayer import db", max(arguments.rounds // 2, 5), bound=1.3),
            connecting(server, arguments.rounds),
            connecting_warm(server, arguments.rounds),
            status(server, arguments.rounds),
            command_listener(server, arguments.rounds),
            command_listener_itself(server, arguments.rounds),
            all_listeners(server, arguments.rounds),
        ]
    print_table(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=2))
    return 0 if all(figure.holds for figure in figures) else 1


def import_time(statement: str, rounds: int, bound: float) -> Figure:
    """Importing against importing MongoEngine, each in a fresh interpreter from bytecode."""
    with tempfile.TemporaryDirectory() as bytecode:
        ours, peer = interleaved(
            rounds,
            lambda: imported_in_seconds(statement, bytecode),
            lambda: imported_in_seconds("import mongoengine", bytecode),
        )
    return ratio(f"{statement} / import mongoengine", ours, peer, bound=bound)


def imported_in_seconds(statement: str, bytecode: str) -> float:
    # Without bytecode, what pip has compiled would race against sources still to be compiled.
    environ = {name: value for name, value in os.environ.items() if name != _NO_BYTECODE}
    program = (
        "import time; start = time.perf_counter()\n"
        f"{statement}\n"
        "print(time.perf_counter() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**environ, "PYTHONPYCACHEPREFIX": bytecode},
    )
    return float(done.stdout)


def connecting(server: EmbeddedMongo, rounds: int) -> Figure:
    """``connect_all`` on two databases against two bare clients, one after the other."""
    return connect_ratio("connect_all / two bare clients", server, rounds, bare_client)


def connecting_warm(server: EmbeddedMongo, rounds: int) -> Figure:
    """The same against clients that do as much: a warm pool and the server's version known."""
    return connect_ratio("connect_all / two warm bare clients", server, rounds, warm_client)


def connect_ratio(
    name: str,
    server: EmbeddedMongo,
    rounds: int,
    connect: Callable[[str, int], MongoClient[Any]],
) -> Figure:
    uris = {"default": server.uri_for("shop"), "database1": server.uri_for("database1")}
    settings = Settings(databases=uris)

    def ours() -> float:
        taken = timed(partial(db.connect_all, settings))
        db.disconnect_all()
        return taken

    def bare() -> float:
        start = time.perf_counter()
        clients = [connect(uri, settings[alias].min_pool_size) for alias, uri in uris.items()]
        taken = time.perf_counter() - start
        for client in clients:
            client.close()
        return taken

    return ratio(name, *interleaved(rounds, ours, bare), bound=1.3)


def bare_client(uri: str, _min_pool_size: int) -> MongoClient[Any]:
    client: MongoClient[Any] = MongoClient(uri)
    client.admin.command("ping")
    return client


def warm_client(uri: str, min_pool_size: int) -> MongoClient[Any]:
    """A client that is verified, filled to its minimum by the driver's own pool, and whose
    server's version is known."""
    client = bare_client(uri, min_pool_size)
    threads = [threading.Thread(target=client.server_info) for _ in range(min_pool_size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return client


def status(server: EmbeddedMongo, rounds: int) -> Figure:
    """``status()`` against the slower of the two databases' pings, in milliseconds more."""
    uris = {"default": server.uri_for("shop"), "database1": server.uri_for("database1")}
    with db.connected(Settings(databases=uris)):
        clients = (db.database.client, db.database1.client)

        def slower_ping() -> float:
            return max(timed(lambda c=client: c.admin.command("ping")) for client in clients)

        ours, peer = interleaved(rounds, lambda: timed(db.status), slower_ping)
    more = (median(ours) - median(peer)) * 1000
    return Figure(
        "status() beyond the slower ping",
        median(ours) * 1000,
        median(peer) * 1000,
        "ms more",
        more,
        2.0,
    )


def command_listener(server: EmbeddedMongo, rounds: int) -> Figure:
    """A one-document ``find_one`` with the command listener against one without."""
    monitors = Monitors("default", 100, lambda name, facts: None)
    name = "command listener, share of find_one"
    return find_one_cost(name, server, rounds, monitors, monitors.commands)


def command_listener_itself(server: EmbeddedMongo, rounds: int) -> Figure:
    """The same against an empty listener, for which the driver makes an object of each event."""
    monitors = Monitors("default", 100, lambda name, facts: None)
    name = "the same beyond an empty listener"
    return find_one_cost(name, server, rounds, monitors, monitors.commands, beyond=[Empty()])


def all_listeners(server: EmbeddedMongo, rounds: int) -> Figure:
    """The same with the pool and topology listeners too: what an application pays in all."""
    monitors = Monitors("default", 100, lambda name, facts: None)
    name = "all listeners, share of find_one"
    return find_one_cost(name, server, rounds, monitors, *monitors.listeners(), bound=0.10)


def find_one_cost(
    name: str,
    server: EmbeddedMongo,
    rounds: int,
    monitors: Monitors,
    *listeners: Any,
    beyond: Sequence[Any] = (),
    bound: float = 0.05,
) -> Figure:
    uri = server.uri_for("shop")
    with (
        MongoClient(uri, event_listeners=listeners) as heard,
        MongoClient(uri, event_listeners=beyond) as unheard,
    ):
        tell_directly(heard, monitors)  # as for the clients that datalayer opens
        for client in (heard, unheard):
            client.shop.small.replace_one({"_id": 1}, {"_id": 1, "name": "x" * 20}, upsert=True)

        def one_round(client: MongoClient[Any]) -> Callable[[], float]:
            collection = client.shop.small

            def measure() -> float:
                start = time.perf_counter()
                for _ in range(OPERATIONS_A_ROUND):
                    collection.find_one({"_id": 1})
                return (time.perf_counter() - start) / OPERATIONS_A_ROUND

            return measure

        turns = rounds * TURNS_A_ROUND
        ours, peer = interleaved(turns, one_round(heard), one_round(unheard))
    share = median(mine / other for mine, other in zip(ours, peer, strict=True)) - 1
    return Figure(
        name, median(ours) * 1_000_000, median(peer) * 1_000_000, "share more", share, bound
    )


def interleaved(
    rounds: int, ours: Callable[[], float], peer: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Both by turns, the order swapped each round; one round before the counted ones."""
    mine: list[float] = []
    others: list[float] = []
    for number in range(-1, rounds):
        pair = [(mine, ours), (others, peer)]
        for values, measure in pair if number % 2 else reversed(pair):
            value = measure()
            if number >= 0:
                values.append(value)
    return mine, others


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def ratio(name: str, ours: list[float], peer: list[float], *, bound: float) -> Figure:
    value = median(mine / other for mine, other in zip(ours, peer, strict=True))
    return Figure(name, median(ours) * 1000, median(peer) * 1000, "times", value, bound)


def print_table(figures: list[Figure]) -> None:
    print(f"{'figure':<46} {'ours':>9} {'peer':>9}   {'value':>7} {'bound':>6}")
    for figure in figures:
        verdict = "" if figure.holds else "  MISSED"
        print(
            f"{figure.name:<46} {figure.ours:>9.3f} {figure.peer:>9.3f}   "
            f"{figure.value:>7.3f} {figure.bound:>6} {figure.unit}{verdict}"
        )


if __name__ == "__main__":
    sys.exit(main())
