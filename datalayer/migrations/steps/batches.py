"""Goes through the documents of a step in batches, so that each is changed once, whenever the
process may be killed: a batch and the note of it are one transaction, or doing a batch again
changes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, TypeAlias

from datalayer import transactions
from datalayer.context.deadlines import deadline
from datalayer.errors import (
    DataLayerError,
    DeadlineExceededError,
    OutcomeUnknownError,
    UnavailableError,
)
from datalayer.lease import Lease
from datalayer.migrations.steps import pace
from datalayer.migrations.steps.checkpoints import Checkpoint
from datalayer.migrations.steps.pace import Pace
from datalayer.migrations.steps.ranges import Range, next_range
from datalayer.migrations.steps.targets import Target
from datalayer.retry import retrying
from datalayer.throttle import Throttle

Condition: TypeAlias = Mapping[str, Any]
"""Selects the documents of one batch."""
Counts: TypeAlias = "tuple[int, int]"
"""How many documents a batch concerned, and how many it has changed."""

_AT_ONCE = 2
_PATIENCE_SECONDS = 90.0
"""A transaction that a killed process leaves open holds its documents for a minute."""
_TRANSACTION_SECONDS = 20.0
_BATCH_SECONDS = 60.0
"""Of a batch that no lease limits."""
_NOTED_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Work:
    """What a step does to a batch of documents, and how often it may."""

    target: Target
    """Whose ids the batches are made of."""
    do: Callable[[Condition], Counts]
    limits_itself: bool
    """Whether doing it again changes nothing, as the documents that were changed are no longer
    concerned."""
    holds_documents: bool = False
    """Whether the documents of a batch come to this process."""


@dataclass(frozen=True)
class Limits:
    """By which right, how fast, and in which pieces."""

    lease: Lease[Any] | None
    throttle: Throttle
    rate: float | None
    batch: int

    @contextmanager
    def time(self) -> Iterator[None]:
        """Let the operations of a block end before the lease does."""
        if self.lease is None:
            with deadline(_BATCH_SECONDS):
                yield
            return
        with self.lease.time():
            yield


class Batches:
    """The batches of one step. ``tell`` is called after each with how many documents were gone
    through, and may raise: what was done stays noted."""

    def __init__(
        self, work: Work, limits: Limits, checkpoint: Checkpoint, tell: Callable[[int], None]
    ) -> None:
        self.work = work
        self.limits = limits
        self.checkpoint = checkpoint
        self.tell = tell

    def run(self) -> None:
        """Do all that is left.

        Raises:
            MigrationError: when the lease was lost.
            DataLayerError: for what stops it; running it again goes on.
        """
        if transactions.current() is not None:
            self._inside()
        elif self.work.limits_itself:
            self._side_by_side()
        else:
            self._in_transactions()

    def _inside(self) -> None:
        """As a part of the transaction around it, which is done as a whole or not at all.

        Raises:
            MigrationError: where it takes longer than a transaction may.
        """
        try:
            self._all_inside(self._sizes())
        except DeadlineExceededError:
            raise self.work.target.error(
                f"a step of {self.work.target} takes longer than the transaction may that is to "
                "hold all of this migration: nothing was written. Leave its `transaction` out, "
                "and each batch is one"
            ) from None

    def _all_inside(self, sizes: Pace) -> None:
        done = self.checkpoint.done
        while (found := self._next(done.after, sizes.size)) is not None:
            started, size = monotonic(), sizes.size
            self.limits.throttle.wait(size)
            with self.limits.time():
                matched, changed = self.work.do(found.condition)
            seconds = monotonic() - started
            sizes.took(size, seconds)
            done = done.plus(matched, changed, size, seconds, found.until)
            self.checkpoint.done = done
            self.tell(done.passed)

    def _in_transactions(self) -> None:
        """Each batch and its note in a transaction of their own."""
        sizes = self._sizes()
        again = _again()
        while (found := self._next(self.checkpoint.done.after, sizes.size)) is not None:
            started, size = monotonic(), sizes.size
            self.limits.throttle.wait(size)
            try:
                again(self._transaction, found, size, self.checkpoint.done.batches)
            except DeadlineExceededError:
                if size == 1:
                    raise
                sizes.shrink(size)  # the function takes its time with each document
                continue
            sizes.took(size, monotonic() - started)
            self.tell(self.checkpoint.done.passed)

    def _transaction(self, found: Range, size: int, before: int) -> None:
        started = monotonic()
        with self.limits.time():
            # An attempt before this one may have been committed though its reply was lost.
            self.checkpoint.look()
            if self.checkpoint.done.batches > before:
                return
            alias = self.work.target.alias
            with transactions.transaction(alias, timeout=_TRANSACTION_SECONDS):
                counts = self.work.do(found.condition)
                done = self.checkpoint.done.plus(*counts, size, monotonic() - started, found.until)
                self.checkpoint.note(done)
        self.checkpoint.done = done

    def _side_by_side(self) -> None:
        """Two at once, whose notes may come later: what was done is done again then."""
        sizes = self._sizes()
        flying: deque[tuple[Range, int, Future[tuple[Counts, float]]]] = deque()
        noting = _Noting(self)
        after = self.checkpoint.done.after
        with ThreadPoolExecutor(_AT_ONCE, "datalayer-migration") as pool:
            try:
                while (found := self._next(after, sizes.size)) is not None:
                    self.limits.throttle.wait(sizes.size)
                    size = sizes.size
                    job = partial(copy_context().run, self._batch, found, sizes, size)
                    flying.append((found, size, pool.submit(job)))
                    after = found.until
                    if len(flying) > _AT_ONCE:
                        noting.land(*flying.popleft())
                while flying:
                    noting.land(*flying.popleft())
            except BaseException:
                noting.save(flying)
                raise
        noting.note()

    def _batch(self, found: Range, sizes: Pace, size: int) -> tuple[Counts, float]:
        started = monotonic()

        def attempt() -> Counts:
            with self.limits.time():
                return self.work.do(found.condition)

        # What a killed process has left open may hold a document until the time is over.
        counts: Counts = _again(DeadlineExceededError)(attempt)
        seconds = monotonic() - started
        sizes.took(size, seconds)
        return counts, seconds

    def _next(self, after: Any, size: int) -> Range | None:
        with self.limits.time():
            return next_range(self.work.target.collection, after, size)

    def _sizes(self) -> Pace:
        batch, rate = self.limits.batch, self.limits.rate
        if self.work.holds_documents:
            with self.limits.time():
                batch = pace.held_at_once(self.work.target, batch)
            return pace.limited(batch, rate)
        return pace.growing(batch, rate) if self.work.limits_itself else pace.limited(batch, rate)


class _Noting:
    """Counts batches that were done side by side, in their order, and notes them now and then."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._done = batches.checkpoint.done
        self._noted_at = monotonic()

    def land(self, found: Range, size: int, job: Future[tuple[Counts, float]]) -> None:
        """Wait for the end of a batch."""
        self._count(found, size, job)
        if monotonic() - self._noted_at >= _NOTED_EVERY_SECONDS:
            self.note()
        self._batches.tell(self._done.passed)

    def note(self) -> None:
        """Note all that was done."""
        if self._done.batches > self._batches.checkpoint.done.batches:
            with self._batches.limits.time():
                self._batches.checkpoint.note(self._done)
            self._batches.checkpoint.done = self._done
        self._noted_at = monotonic()

    def save(self, flying: deque[tuple[Range, int, Future[tuple[Counts, float]]]]) -> None:
        """Note what has ended well in spite of an error: it need not be done again."""
        try:
            for found, size, job in flying:
                self._count(found, size, job)
        except Exception:  # noqa: BLE001 - the first error is the one to tell
            return
        finally:
            with suppress(DataLayerError):
                self.note()

    def _count(self, found: Range, size: int, job: Future[tuple[Counts, float]]) -> None:
        counts, seconds = job.result()
        self._done = self._done.plus(*counts, size, seconds, found.until)


def _again(*others: type[DataLayerError]) -> Any:
    return retrying(
        attempts=1_000,
        retryable=lambda exc: isinstance(exc, (UnavailableError, OutcomeUnknownError, *others)),
        max_seconds=_PATIENCE_SECONDS,
    )
