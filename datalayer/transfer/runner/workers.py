"""Does work on ranges, several at a time, each of them in the journal before and after."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeAlias

from datalayer.monitoring import tracing
from datalayer.transfer.errors import foreign_documents
from datalayer.transfer.journal.lease import Lease
from datalayer.transfer.journal.range import Range
from datalayer.transfer.plan import Method, Plan
from datalayer.transfer.raw.read_ahead import Batch

_WRITING = 2
_COMPARING = 3
"""That only reads: a third thread finds the server and this process with time to spare."""
_WAITING: dict[Method, int] = {"merge": _WRITING, "copy": 1}
"""Ranges beyond those at work, which are in the journal already when a worker becomes free. Those
that hold documents take memory for it."""
_NOTED_AT_ONCE = 8


@dataclass(frozen=True)
class Progress:
    """How far one phase of a transfer is: ``copy``, ``follow``, ``verify``, ``delete`` or
    ``roll back``."""

    name: str
    phase: str
    done: int
    total: int | None
    """``None`` for ``follow``, which ends when it is told to."""


OnProgress: TypeAlias = Callable[[Progress], None]
Item: TypeAlias = "tuple[Range, Batch | None]"
Work: TypeAlias = Callable[[Range, "Batch | None"], Range]


class Workers:
    """The threads of one runner, and how many documents they have done in the present phase."""

    def __init__(self, plan: Plan, lease: Lease, tell: OnProgress) -> None:
        self.plan = plan
        self.lease = lease
        self.journal = lease.journal
        self.tell = tell
        self._done = 0

    def begin(self, done: int) -> None:
        """Count from ``done`` on, in a phase that begins."""
        self._done = done

    def check_skipped(self) -> None:
        """Raise ``TransferError`` where documents of others are in the way, and may not be."""
        if self.plan.conflicts == "fail" and self.journal.totals()["skipped"]:
            raise foreign_documents(self.plan)

    def run(
        self,
        phase: str,
        items: Iterable[Item],
        work: Work,
        *,
        ahead: bool,
        in_order: bool = False,
    ) -> None:
        """Do ``work`` on each range, several at a time, or ``in_order`` one after the other; with
        ``ahead``, as for all that writes, each is in the journal before its work begins."""
        threads = 1 if in_order else _WRITING if ahead else _COMPARING
        flying: set[Future[Range]] = set()
        landed: list[Range] = []

        def do(each: Range, batch: Batch | None) -> Range:
            facts = {"datalayer.transfer": self.plan.name, "datalayer.documents": len(each.ids)}
            with tracing.span(f"transfer {phase}", facts), self.lease.time():
                return work(each, batch)

        do = tracing.carried(do)
        with ThreadPoolExecutor(threads, "datalayer-transfer") as pool:
            try:
                for each, batch in items:
                    if ahead:
                        landed = self._note(phase, [*landed, each])
                    flying.add(pool.submit(do, each, batch))
                    if len(flying) >= threads + _WAITING[self.plan.method]:
                        flying = _collect(flying, landed)
                    if len(landed) >= _NOTED_AT_ONCE:
                        landed = self._note(phase, landed)
                while flying:
                    flying = _collect(flying, landed)
                self._note(phase, landed)
            except BaseException:
                # What has ended well in spite of it is not to be done again.
                ended = [one.result() for one in wait(flying).done if one.exception() is None]
                with contextlib.suppress(Exception):
                    self.journal.write([*landed, *ended])
                raise

    def _note(self, phase: str, ranges: list[Range]) -> list[Range]:
        with self.lease.time():
            self.journal.write(
                [each for each in ranges if each.state != "copying"],
                new=[each for each in ranges if each.state == "copying"],
            )
        finished = [each for each in ranges if each.state not in ("copying", "deleting")]
        self._done += sum(len(each.ids) for each in finished)
        self.tell(Progress(self.plan.name, phase, self._done, max(self.plan.count, self._done)))
        if self.plan.conflicts == "fail" and any(each.skipped for each in finished):
            self.check_skipped()
        return []


def _collect(flying: set[Future[Range]], landed: list[Range]) -> set[Future[Range]]:
    done, still = wait(flying, return_when=FIRST_COMPLETED)
    landed += [future.result() for future in done]
    return still
