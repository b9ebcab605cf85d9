"""Applies and undoes one migration after the other, each in the history before and after."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from time import monotonic
from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

import datalayer
from datalayer.connections.registry import DEFAULT_ALIAS
from datalayer.errors import DataLayerError, MigrationError
from datalayer.failures.server_codes import AUTHORISATION, ServerCode, code_of
from datalayer.failures.tracebacks import without_locals
from datalayer.lease import Lease
from datalayer.migrations.commits import committed, note_commit
from datalayer.migrations.definitions import Definition, ends_the_process, what_failed
from datalayer.migrations.history import OVER, UNDERWAY, Entry, History
from datalayer.migrations.report import FinishedMigration
from datalayer.migrations.steps import Migration, StepOutcome, StepProgress
from datalayer.monitoring import tracing
from datalayer.transactions import transactional

logger = logging.getLogger("datalayer.migrations")

OnProgress = Callable[[str, StepProgress], None]
_TRANSACTION_SECONDS = 60.0
"""What a server gives a transaction by default (transactionLifetimeLimitSeconds)."""


def never() -> bool:
    """No."""
    return False


@dataclass(frozen=True)
class Pace:
    """How fast steps may go, and who is told how far they are."""

    rate: float | None = None
    """Documents a second at most."""
    max_lag_seconds: float | None = None
    """How far secondaries may be behind."""
    on_progress: OnProgress | None = None
    """Called with a migration's name, and with how far its step is."""
    stopping: Callable[[], bool] = never
    """Asked after each batch; where it says yes, no other one begins."""


class StopRequested(BaseException):
    """Ends a step between two batches, through whatever the migration catches."""


class Runner:
    """Works on migrations by the right of a lease."""

    def __init__(self, lease: Lease[History], pace: Pace) -> None:
        self._lease = lease
        self._history = lease.document
        self._pace = pace

    def run(
        self, definition: Definition, direction: str, before: Entry | None, *, checked: bool
    ) -> FinishedMigration:
        """Apply or undo one migration, whose entry is ``before`` now; ``checked`` says that the
        plan was made just now, and nothing was migrated since.

        Raises:
            MigrationError: for whatever stops it; what it has done so far is noted.
            StopRequested: where it was told to stop.
        """
        self._stop_if_asked()
        begun = self._begin(definition, direction, before)
        resumed = before is not None and before.run == begun.run
        facts = {"datalayer.migration": definition.name}
        with tracing.span(f"migration {direction}", facts), self._explained(definition, begun):
            entry, steps = self._done(definition, begun, resumed=resumed, checked=checked)
        if DEFAULT_ALIAS not in definition.transaction:
            self._end(entry, begun, in_transaction=False)
        logger.info(
            "%s is %s, in %d ms",
            entry.name,
            entry.state,
            entry.took_ms,
            extra={"event": f"migration_{entry.state}", "migration": entry.name},
        )
        return FinishedMigration(
            definition.number,
            definition.name,
            direction,
            took_ms=entry.took_ms or 0,
            resumed=resumed,
            steps=steps,
        )

    def _done(
        self, definition: Definition, begun: Entry, *, resumed: bool, checked: bool
    ) -> tuple[Entry, tuple[StepOutcome, ...]]:
        work: Callable[[], tuple[StepOutcome, ...]]
        started, aliases = monotonic(), definition.transaction
        work = partial(self._do, definition, begun, started, checked)
        if aliases:
            # What it noted is rolled back with it: each attempt begins with nothing.
            work = transactional(*aliases, timeout=_TRANSACTION_SECONDS)(work)
        steps = None
        if resumed and aliases and DEFAULT_ALIAS not in aliases:
            with self._lease.time():
                steps = committed(aliases[0], begun)
        if steps is None:
            steps = work()
        return _ended(begun, started, steps), steps

    def _begin(self, definition: Definition, direction: str, before: Entry | None) -> Entry:
        goes_on = (
            before is not None
            and before.direction == direction
            and before.state in (UNDERWAY[direction], "failed")
        )
        begun = Entry(
            definition.name,
            state=UNDERWAY[direction],
            direction=direction,
            run=before.run if before is not None and goes_on else uuid.uuid4().hex,
            checksum=definition.file.checksum,
            took_ms=before.took_ms if before is not None and goes_on else None,
        )
        changes = {
            "state": begun.state,
            "direction": direction,
            "run": begun.run,
            "checksum": begun.checksum,
            "number": begun.number,
            "error": None,
        }
        with self._lease.time():
            self._history.write(begun.name, before, changes, dated="began_at")
        return begun

    def _do(
        self, definition: Definition, begun: Entry, started: float, checked: bool
    ) -> tuple[StepOutcome, ...]:
        made = Migration(
            definition.name,
            begun.run,
            "apply" if begun.direction == "apply" else "undo",
            lease=self._lease,
            checked=checked,
            rate=self._pace.rate,
            max_lag_seconds=self._pace.max_lag_seconds,
            on_progress=partial(self._tell, definition.name),
        )
        with made:
            definition.function(begun.direction)(made)
        steps = tuple(made.outcomes)
        if DEFAULT_ALIAS in definition.transaction:
            self._end(_ended(begun, started, steps), begun, in_transaction=True)
        elif definition.transaction:
            note_commit(definition.transaction[0], begun, steps)
        return steps

    def _end(self, entry: Entry, begun: Entry, *, in_transaction: bool) -> None:
        changes: dict[str, Any] = {"state": entry.state, "took_ms": entry.took_ms}
        if entry.state == "applied":
            changes |= {"steps": list(entry.steps), "version": datalayer.__version__}
        with self._lease.time():
            self._history.write(
                entry.name,
                begun,
                changes,
                dated="applied_at" if entry.state == "applied" else "undone_at",
                in_transaction=in_transaction,
            )

    @contextmanager
    def _explained(self, definition: Definition, begun: Entry) -> Iterator[None]:
        started = monotonic()
        try:
            yield
        except (Exception, SystemExit) as exc:
            if ends_the_process(exc) or self._is_lost(exc):
                raise
            why = _why(exc, definition)
            self._note_failure(begun, why, _passed_ms(begun, started))
            error = MigrationError(
                f"{definition.name} has stopped in {begun.direction}(m): {why}. What it has done "
                "is noted. Once that is put right, `datalayer migrations "
                f"{begun.direction}` goes on there; `datalayer migrations resolve "
                f"{definition.number}` says how it is instead",
                alias=getattr(exc, "alias", None),
            )
            if isinstance(exc, PyMongoError):
                raise error from None  # the driver's text can hold values of documents
            raise error from exc

    def _is_lost(self, exc: BaseException) -> bool:
        return isinstance(exc, MigrationError) and exc.args == self._history.lost().args

    def _note_failure(self, begun: Entry, why: str, took_ms: int) -> None:
        changes = {"state": "failed", "error": why, "took_ms": took_ms}
        try:
            with self._lease.time():
                self._history.write(begun.name, begun, changes)
        except (DataLayerError, PyMongoError):
            return  # it stays underway, which is gone on with in the same way

    def _tell(self, name: str, progress: StepProgress) -> None:
        if self._pace.on_progress is not None:
            self._pace.on_progress(name, progress)
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        if self._pace.stopping():
            raise StopRequested


def _ended(begun: Entry, started: float, steps: tuple[StepOutcome, ...]) -> Entry:
    return replace(
        begun,
        state=OVER[begun.direction],
        took_ms=_passed_ms(begun, started),
        steps=tuple(map(asdict, steps)),
    )


def _passed_ms(begun: Entry, started: float) -> int:
    return (begun.took_ms or 0) + round((monotonic() - started) * 1000)


def _why(exc: BaseException, definition: Definition) -> str:
    if isinstance(exc, DataLayerError):
        return exc.message.rstrip(".")
    if not isinstance(exc, PyMongoError):
        return what_failed(exc, definition.file)
    code, where = code_of(exc), what_failed(without_locals(exc), definition.file)
    if code in AUTHORISATION:
        return (
            "the user lacks a privilege that it needs, which `datalayer doctor --print-roles` "
            f"tells ({where})"
        )
    if code == ServerCode.DocumentValidationFailure:
        return f"a document does not pass the validator of its collection ({where})"
    if code == ServerCode.DuplicateKey:
        return f"a value that has to be unique is there twice ({where})"
    if isinstance(exc, OperationFailure) and not exc.timeout:
        return f"the server refused an operation ({where}, error {code})"
    return f"a server can't be reached, or did not answer in time ({where})"
