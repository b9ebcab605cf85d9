"""Does the steps of a migration one after the other, each of them noted, counted and told of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date
from functools import partial
from time import monotonic
from typing import Any, Literal, TypeAlias
from uuid import UUID

from bson import ObjectId
from mongoengine.errors import OperationError
from pymongo.errors import BulkWriteError, OperationFailure

from datalayer import transactions
from datalayer.errors import MigrationError
from datalayer.failures.server_codes import AUTHORISATION, ServerCode
from datalayer.lease import Lease
from datalayer.migrations.steps.batches import Batches, Limits
from datalayer.migrations.steps.checkpoints import Checkpoint, Done, lost_without_lease
from datalayer.migrations.steps.kinds.fields import count
from datalayer.migrations.steps.kinds.step import Single, Step
from datalayer.migrations.steps.targets import Target
from datalayer.migrations.steps.values import StepOutcome, StepProgress
from datalayer.monitoring import tracing
from datalayer.throttle import Throttle

Direction: TypeAlias = Literal["apply", "undo"]


class Stepping:
    """The steps of one application of a migration."""

    def __init__(
        self,
        name: str,
        run: str,
        direction: Direction,
        *,
        lease: Lease[Any] | None,
        dry: bool,
        counting: bool,
        checked: bool,
        rate: float | None,
        max_lag_seconds: float | None,
        batch: int,
        on_progress: Callable[[StepProgress], None] | None,
    ) -> None:
        self.name = name
        self.run = run
        self.direction = direction
        self.lease = lease
        self.dry = dry
        self.counting = counting
        self.checked = checked
        self.rate = rate
        self.max_lag_seconds = max_lag_seconds
        self.batch = batch
        self.on_progress = on_progress
        self.outcomes: list[StepOutcome] = []

    @property
    def number(self) -> int:
        """The number of the next step."""
        return len(self.outcomes) + 1

    def through(self, step: Step, batch: int | None = None) -> None:
        """Do a step that goes through documents.

        Raises:
            MigrationError: where it can't be done; when the lease was lost.
            DataLayerError: for what stops it; doing it again goes on.
        """
        target = step.target
        check = partial(_check, step)
        if not self._begins(target, step.kind, step.count, check, target.exists):
            return
        inside = transactions.current() is not None
        checkpoint = self._checkpoint(step.kind, target, step.arguments)
        with _traced(target, step.kind), _explained(target, step.kind):
            if not inside:
                self._look(checkpoint)
            if not checkpoint.finished:
                self._work(step, checkpoint, batch or self.batch, inside=inside)
        self._ended(step.kind, target, checkpoint)

    def once(self, step: Single) -> None:
        """Do a step that is one thing.

        Raises what ``through`` raises.
        """
        target = step.target
        if not self._begins(
            target, step.kind, step.count, step.check, step.exists or target.exists
        ):
            return
        self.refuse_transaction(step.kind, str(target))
        checkpoint = self._checkpoint(step.kind, target, step.arguments)
        with _traced(target, step.kind), _explained(target, step.kind):
            self._look(checkpoint)
            if not checkpoint.finished:
                if not checkpoint.resumed:
                    step.check()
                self._begin(checkpoint)
                started = monotonic()
                with _forgotten(checkpoint):
                    counts = step.do(checkpoint.resumed, partial(self._tell, step.kind, target))
                done = Done().plus(*counts, 0, monotonic() - started, None)
                with self._limits(target).time():
                    checkpoint.note(done, finished=True)
                checkpoint.done = done
        self._ended(step.kind, target, checkpoint)

    def refuse_transaction(self, kind: str, target: str) -> None:
        """Refuse a step that no transaction can hold.

        Raises:
            MigrationError: inside a transaction.
        """
        if transactions.current() is not None:
            raise MigrationError(
                f"m.{kind}() of {target} can't be a part of a transaction; put it into a "
                "migration without `transaction`"
            )

    def _begins(
        self,
        target: Target,
        kind: str,
        counted: Callable[[], int],
        check: Callable[[], None],
        exists: Callable[[], bool],
    ) -> bool:
        """Whether there is something to be done; a dry run looks at it, and is done with that."""
        target.check_transaction()
        matched = 0
        with _explained(target, kind):
            there = exists()
            if there and self.dry:
                check()
                matched = counted() if self.counting else 0
        if not there or self.dry:
            self.outcomes.append(
                StepOutcome(self.number, kind, str(target), matched, 0, 0.0, resumed=False)
            )
        return there and not self.dry

    def _work(self, step: Step, checkpoint: Checkpoint, batch: int, *, inside: bool) -> None:
        # Nothing but the application has written since the plan looked at the first step, and what
        # the application writes may come after a second look too.
        if not (checkpoint.resumed or (self.checked and self.number == 1)):
            _check(step)
        if not inside:
            self._begin(checkpoint)
        limits = self._limits(step.target, batch)
        total = step.work.target.collection
        with limits.time():
            about = count(step.work.target, {}) if inside else total.estimated_document_count()

        def tell(passed: int) -> None:
            self._tell(step.kind, step.target, min(passed, about), about)

        # What a batch has done that was none of a transaction is not known.
        with nullcontext() if inside or step.work.limits_itself else _forgotten(checkpoint):
            Batches(step.work, limits, checkpoint, tell).run()
        if not inside:
            with limits.time():
                checkpoint.note(checkpoint.done, finished=True)

    def _checkpoint(self, kind: str, target: Target, arguments: Sequence[Any]) -> Checkpoint:
        text = repr([_shape(each) for each in arguments])
        facts = {
            "kind": kind,
            "target": str(target),
            "arguments": hashlib.sha256(text.encode()).hexdigest(),
        }
        id = f"{self.name}/{self.run}/{self.direction}/{self.number:03d}"
        token = 0 if self.lease is None else self.lease.token
        lost = lost_without_lease if self.lease is None else self.lease.document.lost
        return Checkpoint(target, id, facts, token, lost)

    def _look(self, checkpoint: Checkpoint) -> None:
        with self._limits(checkpoint.target).time():
            checkpoint.resumed = checkpoint.look() is not None

    def _begin(self, checkpoint: Checkpoint) -> None:
        with self._limits(checkpoint.target).time():
            checkpoint.begin()

    def _limits(self, target: Target, batch: int | None = None) -> Limits:
        throttle = Throttle(
            self.rate,
            self.max_lag_seconds,
            target.connection,
            partial(MigrationError, alias=target.alias),
        )
        return Limits(self.lease, throttle, self.rate, batch or self.batch)

    def _tell(self, kind: str, target: Target, done: int, total: int | None) -> None:
        if self.on_progress is not None:
            self.on_progress(StepProgress(self.number, kind, str(target), done, total))

    def _ended(self, kind: str, target: Target, checkpoint: Checkpoint) -> None:
        done, resumed = checkpoint.done, checkpoint.resumed
        self.outcomes.append(
            StepOutcome(
                self.number, kind, str(target), done.matched, done.changed, done.seconds, resumed
            )
        )


def _check(step: Step) -> None:
    """Raise ``MigrationError`` where a step can't be done, before it writes anything."""
    if not (step.work.limits_itself or step.target.has_transactions):
        raise step.target.error(
            f"m.{step.kind}() of {step.target} needs transactions, so that each document is "
            "changed once even if the process is killed, and this server, a standalone, has "
            "none; make it a replica set of one member"
        )
    step.check()


def _shape(value: Any) -> Any:
    """What tells arguments from others, and is the same when the file runs again: not the moment
    in it, say."""
    if isinstance(value, Mapping):
        return {key: _shape(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shape(each) for each in value]
    if isinstance(value, (date, ObjectId, UUID)):
        return type(value).__name__
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value


@contextmanager
def _forgotten(checkpoint: Checkpoint) -> Iterator[None]:
    try:
        yield
    except Exception:
        checkpoint.forget()
        raise


def _traced(target: Target, kind: str) -> AbstractContextManager[object]:
    return tracing.span(f"migration step {kind}", {"datalayer.target": str(target)})


@contextmanager
def _explained(target: Target, kind: str) -> Iterator[None]:
    """Say in a ``MigrationError`` what the server has refused, without what documents hold."""
    try:
        yield
    except OperationFailure as exc:
        if exc.timeout:
            raise
        raise target.error(_refusal(target, kind, _code(exc))) from None
    except OperationError as exc:  # MongoEngine's
        cause = exc.__cause__ or exc.__context__
        code = _code(cause) if isinstance(cause, OperationFailure) else None
        raise target.error(_refusal(target, kind, code)) from None


def _refusal(target: Target, kind: str, code: int | None) -> str:
    if code == ServerCode.DocumentValidationFailure:
        reason = "a document would not pass the collection's validator; change that first"
    elif code == ServerCode.DuplicateKey:
        reason = "two documents would have the same value under a unique index"
    elif code in AUTHORISATION:
        reason = (
            "the user lacks a privilege; `datalayer doctor --print-roles` prints what to grant"
        )
    else:
        reason = f"error {code}" if code else "an operation"
    return (
        f"m.{kind}() of {target} was refused by the server: {reason}. What was done is noted; "
        "correct that, and apply it again"
    )


def _code(exc: OperationFailure) -> int | None:
    if isinstance(exc, BulkWriteError):
        errors = (exc.details or {}).get("writeErrors") or [{}]
        code: int | None = errors[0].get("code")
        return code
    return exc.code
