"""The verbs of migrations: status, plan, apply, undo, check, resolve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep
from typing import Literal

from pymongo.errors import PyMongoError

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.errors import MigrationError
from datalayer.failures.connecting import kind_of
from datalayer.failures.tracebacks import without_locals
from datalayer.lease import Lease, holding
from datalayer.migrations.checking import MigrationCheck, checked
from datalayer.migrations.definitions import Definition, define
from datalayer.migrations.files import File, find, place_of
from datalayer.migrations.history import Entry, History, entries
from datalayer.migrations.planning import foretold
from datalayer.migrations.report import (
    FinishedMigration,
    MigrationStatus,
    PlannedMigration,
    status_of,
)
from datalayer.migrations.runner import OnProgress, Pace, Runner, StopRequested, never
from datalayer.migrations.standing import (
    Standing,
    standings,
    to_apply,
    to_undo,
)
from datalayer.transactions import current

LEASE_SECONDS = 30.0
_ASK_SECONDS = 0.2
Confirm = Callable[[Sequence[PlannedMigration]], bool]


def status(*, package: str | None = None) -> tuple[MigrationStatus, ...]:
    """How each migration stands, by their numbers: those that have a file, and those that are
    applied.

    ``package`` says where the files are; by default the setting ``DATALAYER_MIGRATIONS`` of what
    is connected.

    Raises:
        ConfigurationError: where there is no such package or folder.
        MigrationError: for files that are not as they should be; and where the history can't be
            read.
    """
    definitions = {each.name: each for each in define(_files(package))}
    with _asking("looking for what is applied"):
        holder, _ = History().held_by()
        found = _standings([each.file for each in definitions.values()])
    return tuple(status_of(each, definitions.get(each.name), holder) for each in found)


def check(*, package: str | None = None) -> MigrationCheck:
    """Whether everything is applied that the code has, as it has it. Imports no migration.

    Raises:
        ConfigurationError: where there is no such package or folder.
        MigrationError: for files that are misnamed; and where the history can't be read.
    """
    files = _files(package)
    with _asking("looking for what is applied"):
        return checked(files)


def plan(
    to: int | None = None, *, undo: bool = False, package: str | None = None
) -> tuple[PlannedMigration, ...]:
    """What ``apply(to)``, or ``undo(to)``, would do now: how many documents each step would touch.
    Writes nothing.

    Each migration is foretold on the documents as they are, so one that follows another counts
    what is there before it.

    Raises:
        ConfigurationError, MigrationError: as ``apply`` and ``undo``.
    """
    definitions = define(_files(package))
    with _asking("the plan of the migrations"):
        chosen, history = _chosen(definitions, "undo" if undo else "apply", to)
        return foretold(chosen, history, "undo" if undo else "apply")


def apply(
    to: int | None = None,
    *,
    package: str | None = None,
    rate: float | None = None,
    max_lag_seconds: float | None = None,
    wait_seconds: float = 0.0,
    confirm: Confirm | None = None,
    on_progress: OnProgress | None = None,
    stopping: Callable[[], bool] = never,
) -> tuple[FinishedMigration, ...]:
    """Apply what is pending, or what is until the number ``to``, and go on with what was stopped.

    ``rate`` is how many documents a second steps may change, ``max_lag_seconds`` how far
    secondaries may get behind. Another runner that is at work is waited for, ``wait_seconds`` at
    most. ``confirm`` gets the plan and says whether to go on. ``on_progress`` is told how far each
    step is; ``stopping`` is asked after each batch whether to stop there, say
    ``threading.Event().is_set``.

    Each function is called twice, the first time for the plan, in which nothing is written.

    Returns what was done, in its order; nothing where nothing is pending.

    Raises:
        ConfigurationError: where there is no such package or folder.
        MigrationError: where files or history have to be put right before, or another runner is
            at work: nothing was written. And for what stops a migration, or asks it to:
            calling it again goes on there.
    """
    pace = Pace(rate, max_lag_seconds, on_progress, stopping)
    return _run("apply", to, package, pace, wait_seconds, confirm)


def undo(
    to: int | None = None,
    *,
    package: str | None = None,
    rate: float | None = None,
    max_lag_seconds: float | None = None,
    wait_seconds: float = 0.0,
    confirm: Confirm | None = None,
    on_progress: OnProgress | None = None,
    stopping: Callable[[], bool] = never,
) -> tuple[FinishedMigration, ...]:
    """Undo the migration that was applied last, or all that come after the number ``to``, the
    last one first; 0 undoes all. Everything else is as for ``apply``.

    Raises:
        ConfigurationError, MigrationError: as ``apply``; and where one of them has no ``undo``:
            then none is undone.
    """
    pace = Pace(rate, max_lag_seconds, on_progress, stopping)
    return _run("undo", to, package, pace, wait_seconds, confirm)


def resolve(
    number: int | str,
    as_: Literal["applied", "not-applied"],
    *,
    package: str | None = None,
    wait_seconds: float = 0.0,
) -> MigrationStatus:
    """Say how a migration is, where only a person can tell. It changes the history alone.

    ``applied`` is for one that somebody has applied, or finished, by other means, and for a file
    that was edited and does the same; ``not-applied`` for one whose changes somebody has taken
    back, and for an entry whose file is gone for good. What is noted of its steps counts no more.
    Where two share a number, because a file was renamed, give the whole name of one.

    Raises:
        ConfigurationError: where there is no such package or folder.
        MigrationError: where there is no such migration, or another runner is at work.
    """
    if as_ not in ("applied", "not-applied"):
        raise MigrationError(f"a migration is 'applied' or 'not-applied', and not {as_!r}")
    definitions = {each.name: each for each in define(_files(package))}
    files = [each.file for each in definitions.values()]
    with _asking("the migrations"):
        _refuse_transaction()
        with _held(wait_seconds) as lease:
            before = _numbered(number, _standings(files))
            if as_ == "applied" and before.file is None:
                raise MigrationError(
                    f"{before.name} has no file here, so it can't count as applied; bring the "
                    "file back before"
                )
            with lease.time():
                lease.document.resolve(
                    before.name,
                    before.entry,
                    before.file.checksum if before.file is not None else None,
                    "applied" if as_ == "applied" else "undone",
                )
        after = _standings(files)
    found = {each.name: each for each in after}.get(before.name)
    if found is None:  # without a file, and not applied any more
        found = Standing(before.name, None, None, "pending")
    return status_of(found, definitions.get(before.name), None)


def _run(
    direction: str,
    to: int | None,
    package: str | None,
    pace: Pace,
    wait_seconds: float,
    confirm: Confirm | None,
) -> tuple[FinishedMigration, ...]:
    definitions = define(_files(package))
    again = f"`datalayer migrations {direction}` goes on with what has begun"
    with _asking("the migrations", f"; {again}"):
        _refuse_transaction()
        shown, history = _chosen(definitions, direction, to)
        if not shown or (confirm is not None and not confirm(foretold(shown, history, direction))):
            return ()
        try:
            with _held(wait_seconds, pace.stopping) as lease:
                chosen, history = _chosen(definitions, direction, to)
                if confirm is None:  # what isn't there is told before anything is written
                    foretold(chosen, history, direction, counting=False)
                elif not {*chosen} <= {*shown}:
                    raise MigrationError(
                        "another runner has changed which migrations are next since they were "
                        "shown; nothing was written, look at them again"
                    )
                runner = Runner(lease, pace)
                return tuple(
                    runner.run(
                        each,
                        direction,
                        history.get(each.name),
                        checked=confirm is None and number == 0,
                    )
                    for number, each in enumerate(chosen)
                )
        except StopRequested:
            raise MigrationError(f"the migrations have stopped, as asked; {again}") from None


def _chosen(
    definitions: Sequence[Definition], direction: str, to: int | None
) -> tuple[tuple[Definition, ...], dict[str, Entry]]:
    history = entries()
    found = standings([each.file for each in definitions], history)
    choose = to_apply if direction == "apply" else to_undo
    return choose(definitions, found, to), history


def _standings(files: Sequence[File]) -> tuple[Standing, ...]:
    return standings(files, entries())


def _numbered(number: int | str, found: Sequence[Standing]) -> Standing:
    named = [each for each in found if number in (each.number, each.name)]
    if not named:
        raise MigrationError(
            f"there is no migration {number}, neither a file nor an applied one; `datalayer "
            "migrations status` shows all"
        )
    if len(named) > 1:
        raise MigrationError(
            f"the number {number} is that of {' and '.join(each.name for each in named)}; give "
            "the whole name of the one that you mean"
        )
    return named[0]


def _files(package: str | None) -> tuple[File, ...]:
    configured = registry.settings
    if package is None:
        package = "migrations" if configured is None else configured.migrations
    return find(place_of(package))


@contextmanager
def _held(wait_seconds: float, stopping: Callable[[], bool] = never) -> Iterator[Lease[History]]:
    history = History()
    history.ensure()
    ends = monotonic() + wait_seconds
    with ExitStack() as held:
        while True:
            lease = Lease(history, LEASE_SECONDS)
            try:
                held.enter_context(holding(lease, LEASE_SECONDS))
                break
            except MigrationError:  # another runner is at work
                if monotonic() >= ends:
                    raise
            if stopping():
                raise StopRequested
            sleep(_ASK_SECONDS)
        yield lease


def _refuse_transaction() -> None:
    if current() is not None:
        raise MigrationError(
            "migrations can't run inside a transaction, as they have their own; call it outside"
        )


@contextmanager
def _asking(what: str, advice: str = "") -> Iterator[None]:
    """Say in a ``MigrationError`` that ``what`` has stopped."""
    if registry.connection(DEFAULT_ALIAS).settings.kind == "mongomock":
        raise MigrationError(
            f"{DEFAULT_ALIAS!r} is on mongomock, which keeps no history of migrations; an "
            "embedded server does",
            alias=DEFAULT_ALIAS,
        )
    try:
        yield
    except PyMongoError as exc:
        raise MigrationError(
            f"{what} stopped: a server can't be reached, or refused an operation "
            f"({kind_of(without_locals(exc))}){advice}",
            alias=DEFAULT_ALIAS,
        ) from None
