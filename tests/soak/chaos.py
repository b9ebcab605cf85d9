"""The faults of the soak: kills, stops, step-downs and network faults, drawn by a seed."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from faulty_proxy import FaultyProxy
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from datalayer.embedded import EmbeddedMongo

STOP_SECONDS = 300.0  # for a member to start and a primary to be elected, on a busy machine


class Chaos:
    """A thread that breaks one thing after the other, and mends each before the next."""

    def __init__(self, servers: EmbeddedMongo, network: FaultyProxy, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.failure: str | None = None
        self._servers = servers
        self._network = network
        self._chance = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, with everything mended."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        self._network.restore()
        self._servers.start()
        self._servers.wait_for_primary()

    def _run(self) -> None:
        faults: list[Callable[[], None]] = [
            self._kill, self._stop, self._step_down, self._cut, self._hang, self._refuse,
        ]  # fmt: skip
        while not self._stopping.wait(self._chance.uniform(3, 10)):
            fault = self._chance.choice(faults)
            try:
                fault()
            except Exception as exc:
                self.failure = f"{fault.__name__}: {type(exc).__name__}: {exc}"
                return
            self.done[fault.__name__.lstrip("_")] += 1

    def _some_member(self) -> int:
        """The primary in half of the cases."""
        return self._servers.primary if self._chance.random() < 0.5 else self._chance.randrange(3)

    def _kill(self) -> None:
        member = self._some_member()
        self._servers.kill(member)
        time.sleep(self._chance.uniform(1, 6))
        self._servers.start(member)

    def _stop(self) -> None:
        member = self._some_member()
        self._servers.pause(member)
        time.sleep(self._chance.uniform(0.5, 5))
        self._servers.resume(member)
        self._servers.wait_for_primary()

    def _step_down(self) -> None:
        host = self._servers.hosts[self._servers.primary]
        try:
            with MongoClient[Any](host, directConnection=True, timeoutMS=10_000) as primary:
                primary.admin.command("replSetStepDown", 5)
        except PyMongoError:
            return  # no secondary had caught up
        self._servers.wait_for_primary()

    def _cut(self) -> None:
        self._network.cut()

    def _hang(self) -> None:
        self._network.hang()
        time.sleep(self._chance.uniform(0.5, 5))
        self._network.restore()

    def _refuse(self) -> None:
        self._network.refuse()
        time.sleep(self._chance.uniform(0.5, 5))
        self._network.restore()
