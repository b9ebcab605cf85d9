"""``datalayer migrations``: plans, applies and undoes changes of the shape of documents."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from datalayer import db, migrations
from datalayer.cli.commands.migrations.arguments import add_commands
from datalayer.cli.commands.migrations.connecting import connected
from datalayer.cli.commands.migrations.drafting import new_from_drift
from datalayer.cli.commands.migrations.rehearsing import rehearse
from datalayer.cli.commands.migrations.tables import done_table, plan_table, status_table
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.options import Commands, Run, settings_of
from datalayer.cli.output import Output
from datalayer.cli.progress_output import telling
from datalayer.cli.tables import as_plain_text
from datalayer.errors import MigrationError
from datalayer.migrations import FinishedMigration, PlannedMigration, StepProgress
from datalayer.terminal import ellipsis_for, width_for

_REASON = "this writes to the databases"


def add_to(commands: Commands) -> None:
    """Add ``migrations`` to the command line."""
    add_commands(
        commands,
        {
            "new": _new,
            "status": _status,
            "plan": _plan,
            "rehearse": rehearse,
            "apply": _working(migrations.apply),
            "undo": _working(migrations.undo),
            "check": _check,
            "resolve": _resolve,
        },
    )


def _new(output: Output, options: argparse.Namespace) -> ExitCode:
    if options.from_drift:
        return new_from_drift(output, options)
    path = migrations.new(options.name, package=settings_of(options).migrations)
    output.show({"path": str(path)}, [])
    output.message(f"{path} is to be completed")
    return ExitCode.OK


def _status(output: Output, options: argparse.Namespace) -> ExitCode:
    with connected(options) as package:
        found = migrations.status(package=package)
    output.show({"migrations": [each.as_dict() for each in found]}, [status_table(found)])
    for each in found:
        if each.error is not None:
            output.message(f"{each.name} has failed in {each.direction}: {each.error}")
        if each.holder is not None:
            output.message(f"{each.name}: {each.holder} is at work on it")
    return ExitCode.OK


def _plan(output: Output, options: argparse.Namespace) -> ExitCode:
    with connected(options) as package:
        planned = migrations.plan(options.to, undo=options.undo, package=package)
    output.show({"migrations": [each.as_dict() for each in planned]}, [plan_table(planned)])
    _tell_problems(output, planned)
    output.message(f"{len(planned)} to {'undo' if options.undo else 'apply'}; nothing was written")
    return ExitCode.OK


def _check(output: Output, options: argparse.Namespace) -> ExitCode:
    with connected(options) as package:
        found = migrations.check(package=package)
    output.show(found.as_dict(), [])
    for problem in found.problems:
        output.message(problem)
    if found.edited or found.missing:
        return ExitCode.FAILURE
    if not found.is_current:
        return ExitCode.PENDING
    output.message("all migrations are applied")
    return ExitCode.OK


def _resolve(output: Output, options: argparse.Namespace) -> ExitCode:
    number = int(options.number) if options.number.isdecimal() else options.number
    with connected(options) as package:
        question = f"note that migration {number} is {options.as_}, without doing anything else?"
        if not output.confirmed(question, yes=options.yes, reason=_REASON):
            output.message("nothing was written")
            return ExitCode.FAILURE
        found = migrations.resolve(number, options.as_, package=package, wait_seconds=options.wait)
    output.show({"migrations": [found.as_dict()]}, [status_table([found])])
    return ExitCode.OK


def _working(verb: Callable[..., tuple[FinishedMigration, ...]]) -> Run:
    """A command that calls ``apply`` or ``undo``."""

    def run(output: Output, options: argparse.Namespace) -> ExitCode:
        asked: list[bool] = []
        short = output.stderr.isatty()

        def confirm(planned: Sequence[PlannedMigration]) -> bool:
            asked.append(_confirmed(output, planned, verb.__name__))
            return asked[0]

        if not options.yes:
            output.need_person(_REASON)
        with (
            connected(options) as package,
            _stoppable() as stopping,
            telling(output.stderr, "migration") as tell,
        ):
            try:
                done = verb(
                    options.to,
                    package=package,
                    rate=options.rate,
                    max_lag_seconds=options.max_lag,
                    wait_seconds=options.wait,
                    confirm=None if options.yes else confirm,
                    on_progress=lambda name, step: tell(_Progress.of(name, step, short=short)),
                    stopping=stopping.is_set,
                )
            except MigrationError as exc:
                if not stopping.is_set():
                    raise
                output.message(exc.message)
                output.show({"migrations": [], "stopped": True}, [])
                return ExitCode.PENDING
        output.show(
            {"migrations": [each.as_dict() for each in done], "stopped": False},
            [done_table(done)] if done else [],
        )
        if asked == [False]:
            output.message("nothing was written")
            return ExitCode.FAILURE
        if not done:
            output.message(f"there is nothing to {verb.__name__}")
        return ExitCode.OK

    return run


@dataclass(frozen=True)
class _Progress:
    """How far a step is, as it is told."""

    name: str
    phase: str
    done: int
    total: int | None

    @classmethod
    def of(cls, name: str, step: StepProgress, *, short: bool) -> _Progress:
        phase = f"{step.number}. {step.kind} {step.target}"
        if short:  # beside a bar there is little room
            phase = f"{name.partition('_')[0]}.{step.number} {step.kind}"
        return cls(name, phase, step.done, step.total)


# Asking


def _confirmed(output: Output, planned: Sequence[PlannedMigration], verb: str) -> bool:
    table = plan_table(planned)
    width, ellipsis = width_for(output.stderr), ellipsis_for(output.stderr)
    output.message(as_plain_text(table, width, ellipsis=ellipsis))
    _tell_problems(output, planned)
    what = "migration" if len(planned) == 1 else "migrations"
    return output.confirmed(f"{verb} {len(planned)} {what}?", yes=False, reason=_REASON)


def _tell_problems(output: Output, planned: Sequence[PlannedMigration]) -> None:
    for each in planned:
        if each.begun:
            output.message(f"{each.name} was stopped in the middle, and is gone on with")
        if each.problem is not None:
            output.message(f"{each.name}: what follows can't be foretold: {each.problem}")


# Connecting


@contextmanager
def _stoppable() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set."""
    if threading.current_thread() is threading.main_thread():
        with db.graceful_shutdown() as stopping:
            yield stopping
    else:
        yield threading.Event()  # signals are another thread's affair
