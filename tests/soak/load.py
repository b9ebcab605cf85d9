"""The load of the soak: threads that write, count, pay, query, fork and ask for the status, and
keep account of what was acknowledged."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from mongoengine import IntField, StringField

from datalayer import AnalyticsDocument, BusinessDocument, db
from datalayer.errors import DataLayerError, OutcomeUnknownError

PAUSE_SECONDS = 0.02  # between two calls of a thread: a load, rather than a benchmark
PURSES = 4
MONEY = 1000


class Sale(BusinessDocument):
    """What the writers write: each its own numbers."""

    writer = StringField()
    number = IntField()
    meta = {"indexes": [("writer", "number")]}


class Tally(BusinessDocument):
    """What the counter counts up."""

    value = IntField(default=0)


class Purse(BusinessDocument):
    """What is paid from and to: the sum never changes."""

    name = StringField(unique=True)
    balance = IntField(default=0)


class Click(AnalyticsDocument):
    """What goes to the analytics database, directly and through the outbox."""

    writer = StringField()
    number = IntField()
    meta = {"indexes": [("writer", "number")]}


@dataclass
class Account:
    """What one writer knows of its writes. A byte a number, so that memory tells of leaks only."""

    name: str
    acknowledged: bytearray = field(default_factory=bytearray)
    unknown: set[int] = field(default_factory=set)

    def next_number(self) -> int:
        self.acknowledged.append(0)
        return len(self.acknowledged) - 1


class Load:
    """All threads, what they count, and the longest call of each kind."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.calls: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.longest: dict[str, float] = {}
        self.sales = [Account(f"sales-{number}") for number in range(3)]
        self.clicks = [Account(f"clicks-{number}") for number in range(2)]
        self.told = Account("told")
        self.counted = self.count_unknown = 0
        self.bad_children = 0
        self.unexpected: list[str] = []
        self._under_way: dict[int, tuple[str, float]] = {}
        self._threads: list[threading.Thread] = []

    def prepare(self) -> None:
        """What the threads work on."""
        Tally(id="0" * 24).save()
        for number in range(PURSES):
            Purse(name=str(number), balance=MONEY).save()

    def start(self) -> None:
        """Begin."""
        kinds: list[tuple[str, Callable[[], None]]] = [
            *((a.name, self._writer(a, Sale)) for a in self.sales),
            *((a.name, self._writer(a, Click)) for a in self.clicks),
            ("outbox", self._tell),
            ("count", self._count),
            ("pay", self._pay),
            ("query", self._query),
            ("status", self._status),
            ("fork", self._fork),
        ]
        for name, call in kinds:
            thread = threading.Thread(
                target=self._repeat, args=[name, call], name=name, daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float) -> list[str]:
        """End; the names of threads that don't."""
        self.stopping.set()
        ends = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(ends - time.monotonic(), 0))
        return [thread.name for thread in self._threads if thread.is_alive()]

    def under_way(self) -> float:
        """How long the longest call under way has taken, in seconds."""
        now = time.monotonic()
        return max((now - began for _, began in list(self._under_way.values())), default=0.0)

    def _repeat(self, name: str, call: Callable[[], None]) -> None:
        kind = name.split("-")[0]
        me = threading.get_ident()
        while not self.stopping.wait(PAUSE_SECONDS):
            began = time.monotonic()
            self._under_way[me] = (kind, began)
            try:
                call()
            except DataLayerError as exc:
                self.errors[f"{kind}: {type(exc).__name__}"] += 1
            except Exception as exc:
                self.unexpected.append(f"{kind}: {type(exc).__name__}: {str(exc)[:200]}")
            finally:
                del self._under_way[me]
                self.calls[kind] += 1
                took = time.monotonic() - began
                self.longest[kind] = max(took, self.longest.get(kind, 0.0))

    def _writer(self, account: Account, model: type[Sale | Click]) -> Callable[[], None]:
        def write() -> None:
            number = account.next_number()
            try:
                model(writer=account.name, number=number).save()
            except OutcomeUnknownError:
                account.unknown.add(number)
                raise
            account.acknowledged[number] = 1

        return write

    def _tell(self) -> None:
        number = self.told.next_number()
        try:
            db.outbox.add(Click(writer="told", number=number), key="told")
        except OutcomeUnknownError:
            self.told.unknown.add(number)
            raise
        self.told.acknowledged[number] = 1

    def _count(self) -> None:
        try:
            Tally.objects(pk="0" * 24).update_one(inc__value=1)
        except OutcomeUnknownError:
            self.count_unknown += 1
            raise
        self.counted += 1

    def _pay(self) -> None:
        turn = self.calls["pay"]
        _move(str(turn % PURSES), str((turn + 1) % PURSES))

    def _query(self) -> None:
        Sale.objects(writer="sales-0").order_by("-number").limit(20).scalar("number")
        list(Sale.objects(writer="sales-0").order_by("-number").limit(20))

    def _status(self) -> None:
        began = time.monotonic()
        db.status(timeout=1.0)
        if time.monotonic() - began > 1.5:
            self.unexpected.append(f"status() took {time.monotonic() - began:.1f} s")
        self.stopping.wait(1)

    def _fork(self) -> None:
        """A child writes with a client of its own, and ends."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with db.deadline(15):
                    Sale(writer="child", number=os.getpid()).save()
                code = 0
            except DataLayerError:
                code = 0
            finally:
                os._exit(code)
        self._wait_for(child)
        self.stopping.wait(3)

    def _wait_for(self, child: int) -> None:
        ends = time.monotonic() + 19
        while time.monotonic() < ends:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                self.bad_children += status != 0
                return
            time.sleep(0.05)
        os.kill(child, 9)
        os.waitpid(child, 0)
        self.unexpected.append("a forked child hung")


@db.transactional
def _move(giver: str, taker: str) -> None:
    Purse.objects(name=giver).update_one(dec__balance=1)
    Purse.objects(name=taker).update_one(inc__balance=1)
