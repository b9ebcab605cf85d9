"""``datalayer doctor``: what commonly goes wrong, what was seen of it, and what to do; and the
privileges that an application needs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from datalayer import db
from datalayer.cli.each_database import databases_options, in_each_database
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.model_options import load_models, models_option
from datalayer.cli.options import Commands, connection_options, count, settings_of
from datalayer.cli.output import Output
from datalayer.cli.tables import Cell, Name, Prose, Styled, Table
from datalayer.connections.registry import DEFAULT_ALIAS
from datalayer.doctor import CHECKS, Finding, Source, examine
from datalayer.doctor.roles import as_commands, as_script, grants
from datalayer.documents.engine import Explanation, explain_all, is_compiled
from datalayer.settings import Settings

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "bold red"}


def add_to(commands: Commands) -> None:
    """Add ``doctor`` to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="look for what commonly goes wrong, and say what to do",
        description="Looks at five connection issues and five performance issues of every "
        "database and at migrations, and says what it saw and what to do. Works when nothing can "
        "be reached or the settings are wrong, and changes nothing. Exit code 3 when something is "
        "broken.",
        parents=[connection_options(timeout=10.0), databases_options(), models_option()],
    )
    parser.add_argument(
        "--processes",
        type=count,
        default=1,
        metavar="N",
        help="how many processes share the servers, for the pool budget (default: 1)",
    )
    parser.add_argument(
        "--print-roles",
        action="store_true",
        help="connect to nothing, and print a script for mongosh (with --json, the commands) that "
        "makes a user with the least privileges for each database",
    )
    parser.add_argument(
        "--with-monitoring",
        action="store_true",
        help="with --print-roles: also what shows the server's own figures",
    )
    parser.add_argument(
        "--documents",
        action="store_true",
        help="connect to nothing, and tell of each model what the fast engine leaves to "
        "MongoEngine, and why",
    )
    parser.set_defaults(run=in_each_database(_run))


def _run(output: Output, options: argparse.Namespace) -> ExitCode:
    if options.documents:
        return explain_documents(output, options.models or ())
    if options.print_roles:
        return print_roles(output, settings_of(options), monitoring=options.with_monitoring)
    return doctor(
        output,
        lambda: _settings(options),
        models=options.models or (),
        timeout=options.timeout,
        processes=options.processes,
    )


def _settings(options: argparse.Namespace) -> Settings:
    """All databases; where the command line names others on the server of one, that one's."""
    settings = settings_of(options)
    if options.databases is None:
        return settings
    own, name = settings[DEFAULT_ALIAS], db.database.name
    return Settings(
        databases={DEFAULT_ALIAS: own.on(name)},
        migrations=settings.migrations,
        migrations_at_connect=settings.migrations_at_connect,
    )


def explain_documents(output: Output, models: Sequence[str] = ()) -> ExitCode:
    """Show what the engine does for each registered model; ``models`` are imported before.

    Raises:
        UsageError: where one of ``models`` can't be imported.
    """
    load_models(models)
    explained = explain_all()
    rows = [row for each in explained for row in _document_rows(each)]
    columns = (Name("model"), Name("field"), Prose("read and written by"))
    core = "C" if is_compiled() else "Python"
    output.show(
        {"core": core, "models": [asdict(each) for each in explained]},
        [Table(columns, rows, title="documents")],
    )
    output.message(f"the engine's loops run in {core}")
    return ExitCode.OK


def _document_rows(explained: Explanation) -> Iterator[tuple[Cell, ...]]:
    if explained.reason is None:
        yield explained.model, "", Styled("the engine", "green")
    else:
        yield explained.model, "", Styled(f"MongoEngine: {explained.reason}", "yellow")
    for name, why in explained.fields.items():
        yield "", name, Styled(f"MongoEngine: {why}", "cyan")


def print_roles(output: Output, settings: Settings, *, monitoring: bool = False) -> ExitCode:
    """Print what makes a user with the least privileges for each database of ``settings``."""
    granted = grants(settings, monitoring=monitoring)
    if output.as_json:
        output.show(as_commands(granted), [])
    else:
        output.text(as_script(granted))
    for alias in settings.keys() - {each.alias for each in granted}:
        output.message(f"{alias}: runs on no server of its own, and needs no user")
    return ExitCode.OK


def doctor(
    output: Output,
    settings: Source | None = None,
    *,
    models: Sequence[str] = (),
    timeout: float = 10.0,
    processes: int = 1,
) -> ExitCode:
    """Show the findings of ``datalayer.doctor.examine``; ``models`` are imported before.

    Raises:
        UsageError: where one of ``models`` can't be imported.
    """
    load_models(models)
    report = examine(settings, timeout=timeout, processes=processes)
    document = report.as_dict()
    output.show(
        document,
        [
            Table(
                ("check", Name("alias"), "severity", Prose("what was seen, and what to do")),
                list(_rows(group, report.findings)),
                title=f"{group} issues",
            )
            for group in ("connection", "performance", "migration")
        ],
    )
    counts = document["counts"].items()
    told = ", ".join(f"{number} {severity}" for severity, number in counts if number)
    output.message(f"{told}, in {report.elapsed_seconds:.1f} s")
    return ExitCode.OK if report.healthy else ExitCode.UNHEALTHY


def _rows(group: str, findings: Sequence[Finding]) -> Iterator[tuple[Cell, ...]]:
    for finding in findings:
        if CHECKS[finding.check].group == group:
            severity = Styled(finding.severity, _STYLES.get(finding.severity, "dim"))
            yield finding.check, finding.alias or "(all)", severity, finding.saw
            if finding.advice:
                yield "", "", "", f"-> {finding.advice}"
