"""``datalayer transfer``: plans, runs, verifies and takes back moves of documents between
databases."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bson import json_util

from datalayer import transfer
from datalayer.cli.commands.transfer.arguments import add_commands
from datalayer.cli.connecting import opened
from datalayer.cli.each_database import in_each_database
from datalayer.cli.exit_codes import ExitCode, UsageError
from datalayer.cli.model_options import OWN_MODELS, chosen, load_models
from datalayer.cli.options import Commands, Run, settings_of
from datalayer.cli.output import Output
from datalayer.cli.progress_output import telling
from datalayer.cli.tables import Cell, Name, Prose, Styled, Table
from datalayer.errors import ConfigurationError
from datalayer.terminal import printable
from datalayer.transfer import Plan, Report
from datalayer.transfer.planning.selection import parse_filter

_STATES = {
    "done": "green",
    "rolled_back": "green",
    "drifted": "bold red",
    "damaged": "bold red",
    "running": "yellow",
    "following": "yellow",
}


def add_to(commands: Commands) -> None:
    """Add ``transfer`` to the command line."""
    add_commands(
        commands,
        {
            "plan": in_each_database(_plan, _both_sides),
            "run": in_each_database(_run, _both_sides),
            "resume": in_each_database(_on(transfer.resume), _all_sides),
            "verify": in_each_database(_on(transfer.verify), _all_sides),
            "cut-over": in_each_database(_on(transfer.cut_over), _all_sides),
            "rollback": in_each_database(_on(transfer.rollback), _all_sides),
            "list": _list,
            "show": in_each_database(_show, _all_sides),
        },
    )


def _plan(output: Output, options: argparse.Namespace) -> ExitCode:
    with _connected(options):
        made = _planned(options)
    output.show({"plan": made.as_dict()}, [_plan_table(made)])
    output.message(
        f"{made.count:,} documents would be {'moved' if made.move else 'copied'}; "
        "nothing was written"
    )
    return ExitCode.OK


def _run(output: Output, options: argparse.Namespace) -> ExitCode:
    with _connected(options), telling(output.stderr, "transfer") as tell:
        if options.recipe:
            report = transfer.run_recipe(
                options.recipe, on_progress=tell, **_recipe_options(options)
            )
            if report is None:
                output.message("nothing is due")
                output.show({"transfer": None}, [])
                return ExitCode.OK
            return _tell(output, report)
        if options.databases is not None and _is_begun(options):
            found = transfer.resume(options.name, target=options.to, on_progress=tell)
            return _tell(output, found)  # nothing happens to one that is done
        made = _planned(options)
        if not _confirmed(output, made, yes=options.yes):
            output.message("nothing was written")
            return ExitCode.FAILURE
        return _tell(output, transfer.run(made, on_progress=tell))


def _on(verb: Callable[..., Report]) -> Run:
    """A command that calls ``verb`` for the transfer that is named."""

    def run(output: Output, options: argparse.Namespace) -> ExitCode:
        with _found(options), telling(output.stderr, "transfer") as tell:
            more: dict[str, Any] = {"force": options.force} if "force" in options else {}
            more |= {"target": options.to, "wait_seconds": options.wait}
            return _tell(output, verb(options.name, on_progress=tell, **more))

    return run


def _list(output: Output, options: argparse.Namespace) -> ExitCode:
    settings = settings_of(options)
    with opened(settings, timeout=options.timeout, required=True):
        found = transfer.transfers()
    names = (Name("from"), Name("to"))
    columns = (Name("name"), "state", *names, "documents", "begun", Name("at work"))
    rows: list[tuple[Cell, ...]] = [
        (
            each.name,
            _state_cell(each),
            each.source,
            each.target,
            each.copied,
            f"{each.created_at:%Y-%m-%d %H:%M}",
            each.holder if each.seconds_left else None,
        )
        for each in found
    ]
    output.show({"transfers": [each.as_dict() for each in found]}, [Table(columns, rows)])
    for each in found:
        _warn(output, each)
    return ExitCode.OK


def _show(output: Output, options: argparse.Namespace) -> ExitCode:
    settings = settings_of(options)
    if options.to:
        settings = chosen(settings, (options.to,))
    with opened(settings, timeout=options.timeout, required=True):
        report = transfer.show(options.name, target=options.to)
        damaged = report.state == "damaged"
        plan = None if damaged else transfer.find(options.name, options.to).plan
    document = {"transfer": report.as_dict(), "plan": plan.as_dict() if plan else None}
    output.show(document, [_report_table(report), *([_plan_table(plan)] if plan else [])])
    _warn(output, report)
    return _code(report)


def _tell(output: Output, report: Report) -> ExitCode:
    output.show({"transfer": report.as_dict()}, [_report_table(report)])
    if report.state == "drifted":
        output.message(
            "the two sides are not the same; look at the counts, then run it again under "
            "another name with --conflicts replace, or take it back: "
            f"datalayer transfer rollback {report.name} (--force, where documents differ)"
        )
    _warn(output, report)
    return _code(report)


def _warn(output: Output, report: Report) -> None:
    if report.problem is not None:
        output.message(
            f"{report.name!r} on {report.target!r} is {report.state}: {printable(report.problem)}"
        )


def _code(report: Report) -> ExitCode:
    return ExitCode.OK if report.complete else ExitCode.PENDING


# From the command line to a plan


@contextmanager
def _connected(options: argparse.Namespace) -> Iterator[None]:
    """The databases that a plan names, or all for a recipe; and the application's models."""
    settings = settings_of(options)
    load_models(options.models or (OWN_MODELS,))
    if not options.recipe and options.source and options.to:
        settings = chosen(settings, (options.source, options.to))
    with opened(settings, timeout=options.timeout, required=True):
        yield


@contextmanager
def _found(options: argparse.Namespace) -> Iterator[None]:
    """The databases of the transfer that is named."""
    settings = settings_of(options)
    first = chosen(settings, (options.to,)) if options.to else settings
    with opened(first, timeout=options.timeout, required=True):
        plan = transfer.find(options.name, options.to).plan
        both = chosen(settings, (plan.source, plan.target))
        with opened(both, timeout=options.timeout, required=True):
            yield


def _is_begun(options: argparse.Namespace) -> bool:
    """Whether an earlier run over many databases has begun in this one."""
    try:
        transfer.find(options.name, options.to)
    except ConfigurationError:  # there is none
        return False
    return True


def _both_sides(options: argparse.Namespace) -> tuple[str, ...]:
    """The aliases of a command that plans: in each the database of the same name is meant."""
    if options.recipe or not options.source or not options.to:
        raise UsageError("--databases needs the two sides, --from and --to, and takes no recipe")
    return options.source, options.to


def _all_sides(options: argparse.Namespace) -> tuple[str, ...]:
    """The same for a command that takes up a transfer by its name."""
    if not options.to:
        raise UsageError("--databases needs the side that holds the transfers, --to")
    return options.to, *(alias for alias in settings_of(options) if alias != options.to)


def _planned(options: argparse.Namespace) -> Plan:
    if options.recipe:
        return transfer.plan_recipe(options.recipe, **_recipe_options(options))
    if not options.name or not options.to:
        raise UsageError("name the transfer with --name, and the database to write to with --to")
    return transfer.plan(
        options.name,
        source=options.source,
        target=options.to,
        models=options.model or (),
        collections=dict(_pair(each, each) for each in options.collection or ()),
        filter=options.filter,
        move=options.move,
        conflicts=options.conflicts,
        method=options.method,
        fields=dict(_pair(each, None) for each in options.field or ()),
        constants=_constants(options.set),
        transform=options.transform,
        inverse=options.inverse,
        carry_options=not options.no_options,
        batch_size=options.batch_size,
        rate=options.rate,
        max_lag_seconds=options.max_lag,
        lease_seconds=options.lease,
        snapshot=options.snapshot,
        follow=options.follow,
    )


def _pair(text: str, alone: str | None) -> tuple[str, Any]:
    name, _, other = text.partition("=")
    return name, other or alone


def _constants(text: str | None) -> dict[str, Any]:
    try:
        return parse_filter(text)
    except ConfigurationError as exc:
        raise UsageError("--set takes Extended JSON, like '{\"archived\": true}'") from exc


def _recipe_options(options: argparse.Namespace) -> dict[str, str]:
    return dict(each.partition("=")[::2] for each in options.option or ())


def _confirmed(output: Output, plan: Plan, *, yes: bool) -> bool:
    """Whether a move may delete from the source; copies need no leave."""
    return not plan.move or output.confirmed(
        f"move {plan.count:,} documents from {plan.source!r} to {plan.target!r}, and delete "
        "them from the source once they are verified?",
        yes=yes,
        reason="a move deletes documents from the source",
    )


# Tables


def _plan_table(plan: Plan) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            f"{plan.source}.{part.source}",
            f"{plan.target}.{part.target}",
            part.count,
            round(part.size_bytes / 2**20, 1),
            json_util.dumps(part.filter) if part.filter else "all",
            ", ".join(str(index["name"]) for index in part.indexes) or None,
        )
        for part in plan.parts
    ]
    columns = (
        Name("from"), Name("to"), "documents", "MiB", Prose("filter"), Prose("indexes"),
    )  # fmt: skip
    title = f"{plan.name}: {'move' if plan.move else 'copy'} by {plan.method}"
    return Table(columns, rows, f"{title}, conflicts {plan.conflicts}")


def _report_table(report: Report) -> Table:
    shown = ("copied", "skipped", "replaced", "verified", "deleted")
    wrong = ("missing", "differing", "gone", "new", "left")
    rows: list[tuple[Cell, ...]] = [("state", _state_cell(report))]
    rows += [("planned", f"{report.planned:,}")]
    rows += [(name, f"{getattr(report, name):,}") for name in shown]
    rows += [
        (name, Styled(f"{getattr(report, name):,}", "bold red"))
        for name in wrong
        if getattr(report, name)
    ]
    if report.seconds_left:
        rows.append(("at work", report.holder))
    return Table(("transfer", Name(report.name)), rows)


def _state_cell(report: Report) -> Styled:
    return Styled(report.state, _STATES.get(report.state, ""))
