"""``datalayer migrations rehearse``: pending migrations on a sample, in a private server."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from datalayer.cli.commands.migrations.connecting import connected
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.output import Output
from datalayer.cli.tables import Cell, Name, Prose, Table
from datalayer.migrations.rehearsal import Rehearsal
from datalayer.migrations.rehearsal import rehearse as rehearsed

_PHASES = {
    "plan": "planning",
    "sample": "taking the sample to a private server",
    "apply": "applying",
    "check": "checking the schemas",
    "undo": "undoing, and comparing",
}


def rehearse(output: Output, options: argparse.Namespace) -> ExitCode:
    """Try what is pending, and tell how it went. Exit code 1 where something stopped or was not
    brought back, 3 where documents break rules of their models afterwards."""

    def tell(phase: str) -> None:
        if output.stderr.isatty():
            output.message(_PHASES[phase])

    with connected(options) as package:
        found = rehearsed(
            options.to,
            package=package,
            sample=options.sample,
            also=options.collection or (),
            modules=options.models or (),
            on_phase=tell,
        )
    output.show(found.as_dict(), list(_tables(found)))
    for remark in found.remarks:
        output.message(remark)
    if not found.migrations:
        output.message("there is nothing to rehearse")
        return ExitCode.OK
    if found.problem is not None:
        output.error(f"on the private server, {found.problem}")
    _tell(output, found)
    if not found.ok:
        return ExitCode.FAILURE
    return ExitCode.PENDING if found.findings else ExitCode.OK


def _tell(output: Output, found: Rehearsal) -> None:
    rules = f"{found.findings_before} before, {len(found.findings)} afterwards"
    output.message(f"rules of models that documents of the sample break: {rules}")
    if found.undone and not found.not_restored:
        output.message("undone: everything is as it was")
    if found.problem is None and found.steps and (seconds := found.whole_seconds) is not None:
        output.message(f"on all documents it would take about {_time(seconds)}")


def _tables(found: Rehearsal) -> Iterator[Table]:
    yield Table(
        (Name("collection"), "sample", "documents"),
        [
            (f"{each.alias}.{each.collection}", each.documents, each.total)
            for each in found.samples
        ],
        "sample",
    )
    steps: list[tuple[Cell, ...]] = [
        (
            each.migration,
            each.kind,
            each.target,
            each.changed,
            _time(each.seconds),
            None if each.whole_seconds is None else _time(each.whole_seconds),
        )
        for each in found.steps
    ]
    columns = (Name("migration"), "step", Name("target"), "changed", "took", "whole")
    yield Table(columns, steps, "steps")
    if found.findings:
        yield Table(
            (Name("collection"), Name("path"), "rule", "documents"),
            [
                (f"{each['alias']}.{each['collection']}", each["path"], each["rule"],
                 each["documents"])
                for each in found.findings
            ],
            "rules of models that documents break afterwards",
        )  # fmt: skip
    if found.not_restored:
        yield Table(
            (Name("collection"), "what", "documents", Prose("ids")),
            [
                (f"{each.alias}.{each.collection}", each.what, each.documents or None,
                 ", ".join(each.ids))
                for each in found.not_restored
            ],
            "not as it was after undoing",
        )  # fmt: skip


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:,.1f} s" if seconds < 120 else f"{seconds / 60:,.0f} min"
