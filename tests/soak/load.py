"""The load of the soak: threads that write, count, pay, query, fork and ask for the status, and
keep account of what was acknowledged."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable

from accounts import ACKNOWLEDGED, UNKNOWN, Account
from mongoengine import IntField, StringField
from scheduling import Scheduling

from datalayer import AnalyticsDocument, BusinessDocument, db
from datalayer.errors import (
    DeadlineExceededError,
    OutcomeUnknownError,
    PoolExhaustedError,
    UnavailableError,
)

RIGHT_ERRORS = (
    UnavailableError,
    OutcomeUnknownError,
    DeadlineExceededError,
    PoolExhaustedError,  # a server that hangs holds the connections of all who wait for it
)
"""What a caller may be told while members die and networks fail. Any other is a fault."""
STATUS_SECONDS = 1.0
CHILD_SECONDS = 15.0
SLACK_SECONDS = 0.5
"""The bound on overrunning a deadline, on a machine that has time."""
EXIT_REFUSED = 3  # a child's write that ended with a right error
PAUSE_SECONDS = 0.02  # between two calls of a thread: a load, rather than a benchmark
PAUSES = {"status": 1.0, "fork": 3.0}
OPERATION_SECONDS = 20.0  # the default of operations and of transactions
DEADLINES = {
    **dict.fromkeys(("sales", "clicks", "outbox", "count", "pay"), OPERATION_SECONDS),
    "query": 2 * OPERATION_SECONDS,  # two operations
    "status": STATUS_SECONDS,
    "fork": CHILD_SECONDS + 3.0,  # and its start, and its end
}
"""How long a call of each kind may take, in seconds."""
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


class Load:
    """All threads, what they count, and the longest call of each kind."""

    def __init__(self, scheduling: Scheduling) -> None:
        self.stopping = threading.Event()
        self.scheduling = scheduling
        self.calls: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.longest: dict[str, float] = {}
        self.overruns: dict[str, float] = {}
        """The longest time past the deadline, of each kind, without what the scheduler took."""
        self.sales = [Account(f"sales-{number}") for number in range(3)]
        self.clicks = [Account(f"clicks-{number}") for number in range(2)]
        self.told = Account("told")
        self.children = Account("children")
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

    def overrunning(self) -> float:
        """By how much the longest call under way has passed its deadline, in seconds."""
        return max(
            (self._past_deadline(*each) for each in list(self._under_way.values())), default=0
        )

    def _past_deadline(self, kind: str, began: float) -> float:
        return self.scheduling.seconds_to_act(since=began + DEADLINES[kind])

    def _repeat(self, name: str, call: Callable[[], None]) -> None:
        kind = name.split("-")[0]
        me = threading.get_ident()
        pause = PAUSES.get(kind, PAUSE_SECONDS)
        while not self.stopping.wait(pause):
            began = time.monotonic()
            self._under_way[me] = (kind, began)
            try:
                call()
            except RIGHT_ERRORS as exc:
                self.errors[f"{kind}: {type(exc).__name__}"] += 1
            except Exception as exc:
                self.unexpected.append(f"{kind}: {type(exc).__name__}: {str(exc)[:200]}")
            finally:
                del self._under_way[me]
                self.calls[kind] += 1
                took = time.monotonic() - began
                self.longest[kind] = max(took, self.longest.get(kind, 0.0))
                overrun = self._past_deadline(kind, began)
                self.overruns[kind] = max(overrun, self.overruns.get(kind, 0.0))

    def _writer(self, account: Account, model: type[Sale | Click]) -> Callable[[], None]:
        def write() -> None:
            number = account.next_number()
            with account.writing(number):
                model(writer=account.name, number=number).save()

        return write

    def _tell(self) -> None:
        number = self.told.next_number()
        with self.told.writing(number):
            db.outbox.add(Click(writer="told", number=number), key="told")

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
        list(Sale.objects(writer="sales-0").order_by("-number").limit(20).scalar("number"))
        list(Sale.objects(writer="sales-0").order_by("-number").limit(20))

    def _status(self) -> None:
        db.status(timeout=STATUS_SECONDS)

    def _fork(self) -> None:
        """A child writes with a client of its own, and ends."""
        number = self.children.next_number()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with db.deadline(CHILD_SECONDS):
                    Sale(writer="children", number=number).save()
                code = 0
            except RIGHT_ERRORS:
                code = EXIT_REFUSED
            except BaseException:
                traceback.print_exc()  # the report tells only of the exit code
            finally:
                sys.stderr.flush()
                os._exit(code)
        self.children.outcomes[number] = UNKNOWN  # unless it says that it is stored
        code = self._exit_code_of(child)
        if code == 0:
            self.children.outcomes[number] = ACKNOWLEDGED
        elif code != EXIT_REFUSED:
            self.bad_children += 1

    def _exit_code_of(self, child: int) -> int:
        ends = time.monotonic() + DEADLINES["fork"]
        while self.scheduling.seconds_to_act(since=ends) <= SLACK_SECONDS:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise AssertionError("a forked child hung")


@db.transactional
def _move(giver: str, taker: str) -> None:
    Purse.objects(name=giver).update_one(dec__balance=1)
    Purse.objects(name=taker).update_one(inc__balance=1)
