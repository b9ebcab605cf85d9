"""``datalayer schema show|check|diff|apply``: what the models say of documents, against what the
databases hold."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from datalayer import schema
from datalayer.cli.each_database import databases_options, in_each_database
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.model_options import (
    OWN_MODELS,
    chosen,
    comparing_options,
    connected_aliases,
    load_models,
)
from datalayer.cli.options import Commands, Parser, seconds, settings_of
from datalayer.cli.output import Output
from datalayer.cli.tables import Cell, Name, Prose, Styled, Table
from datalayer.routing import read_from
from datalayer.schema import Applied, CheckProgress, Finding, ValidatorDiff
from datalayer.schema.checking import LOOK_SECONDS
from datalayer.settings import Settings

_STATES = {"same": "green", "missing": "red", "different": "yellow", "undeclared": "cyan"}
_OUTCOMES = {"created": "green", "set": "green", "refused": "bold red"}
_TOLD_BY_NAME = ("missing", "unknown_field")
_MANY_DOCUMENTS = 100_000
"""From so many on, it is told which collection is looked through."""


def add_to(commands: Commands) -> None:
    """Add ``schema`` to the command line."""
    group = commands.add_parser(
        "schema", help="compare documents and validators with what the models say"
    ).add_subparsers(metavar="COMMAND", required=True)
    options = _options()
    showing = group.add_parser(
        "show",
        help="show the models as JSON Schema; connects to nothing",
        description="Shows what the models say of their documents as JSON Schema, and the rules "
        "that $jsonSchema can't express.",
        parents=[options],
    )
    showing.add_argument(
        "--dialect",
        choices=("mongodb", "2020-12"),
        default="mongodb",
        help="of documents as they are stored (mongodb, the default), or as an API shows them",
    )
    showing.set_defaults(run=_run_show)
    checking = group.add_parser(
        "check",
        help="count the stored documents that break their model's rules",
        description="Has the server count the documents that break their model's schema, rule by "
        "rule, with up to five ids each. Exit code 3 when there are some. Writes nothing.",
        parents=[options, databases_options(), _looking_options()],
    )
    checking.add_argument(
        "--references",
        action="store_true",
        help="also look for references that lead to nothing, into all databases",
    )
    checking.set_defaults(run=in_each_database(_run_check))
    differing = group.add_parser(
        "diff",
        help="compare the collections' validators with those that models declare",
        description="Compares the validators of collections with those that models declare, as "
        'in meta = {"validator": "model"}. Exit code 3 when they differ.',
        parents=[options, databases_options()],
    )
    differing.set_defaults(run=in_each_database(_run_diff))
    applying = group.add_parser(
        "apply",
        help="set the validators that models declare, once the documents keep them",
        description="Sets the validators that models declare. One that stored documents break is "
        "refused, with the exit code 3. Asks before it writes.",
        parents=[options, databases_options(), _looking_options()],
    )
    applying.add_argument(
        "--anyway",
        action="store_true",
        help="set validators that stored documents break, too: those can't be changed any more "
        "without being repaired",
    )
    applying.add_argument("--yes", action="store_true", help="don't ask")
    applying.set_defaults(run=in_each_database(_run_apply))


def _options() -> Parser:
    options = Parser(add_help=False, parents=[comparing_options()])
    options.add_argument("--collection", metavar="NAME", help="only this collection")
    return options


def _looking_options() -> Parser:
    options = Parser(add_help=False)
    options.add_argument(
        "--deadline",
        type=seconds,
        default=LOOK_SECONDS,
        metavar="SECONDS",
        help="how long a server may take for each collection (default: %(default)g)",
    )
    options.add_argument(
        "--read-from",
        metavar="MODE",
        help="from which members of a replica set to read: secondaryPreferred, say",
    )
    return options


# The commands


def _run_show(output: Output, options: argparse.Namespace) -> ExitCode:
    settings = _settings(output, options)
    shown = schema.show(
        aliases=tuple(settings), collection=options.collection, dialect=options.dialect
    )
    documents = [each.as_dict() for each in shown]
    output.show(documents, []) if output.as_json else output.text(json.dumps(documents, indent=2))
    return ExitCode.OK


def _run_check(output: Output, options: argparse.Namespace) -> ExitCode:
    settings = _settings(output, options)
    # References lead into any database.
    aliases = None if options.references else options.alias
    with _connected(settings_of(options), aliases, options):
        found = schema.check(**_chosen(settings, options), on_progress=_telling(output))
        if options.references:
            found += schema.references(**_chosen(settings, options), on_progress=_telling(output))
    output.show([each.as_dict() for each in found], _findings(found))
    broken = len({(each.alias, each.collection) for each in found})
    output.message(
        f"{len(found)} rules are broken, in {broken} collections"
        if found
        else "all documents keep the rules of their models"
    )
    return ExitCode.PENDING if found else ExitCode.OK


def _run_diff(output: Output, options: argparse.Namespace) -> ExitCode:
    settings = _settings(output, options)
    with connected_aliases(settings, None, options.timeout):
        found = schema.diff(aliases=tuple(settings), collection=options.collection)
    output.show([each.as_dict() for each in found], [_differences(found)])
    pending = [each for each in found if each.pending]
    declared = [each for each in found if each.state not in ("none", "undeclared")]
    output.message(
        f"{len(pending)} of {len(declared)} declared validators are not as declared; "
        f"{len(found) - len(declared)} collections declare none"
    )
    return ExitCode.PENDING if pending else ExitCode.OK


def _run_apply(output: Output, options: argparse.Namespace) -> ExitCode:
    settings = _settings(output, options)
    with _connected(settings, None, options):
        found = schema.diff(aliases=tuple(settings), collection=options.collection)
        pending = [each for each in found if each.pending]
        names = ", ".join(f"{each.alias}.{each.collection}" for each in pending)
        agreed = not pending or output.confirmed(
            f"set the validators of {names}?",
            yes=options.yes,
            reason="validators refuse writes of all applications",
        )
        if not agreed:
            output.message("nothing was written")
            return ExitCode.FAILURE
        applied = schema.apply(**_chosen(settings, options), anyway=options.anyway)
    refused = [each for each in applied if each.outcome == "refused"]
    findings = [finding for each in refused for finding in each.findings]
    output.show([each.as_dict() for each in applied], [_outcomes(applied), *_findings(findings)])
    for each in refused:
        output.message(
            f"{each.alias}.{each.collection}: stored documents break the validator, so it was "
            'not set; repair them, or declare "validation_level": "moderate", or use --anyway'
        )
    if not applied:
        output.message("all validators are as declared")
    return ExitCode.PENDING if refused else ExitCode.OK


def _settings(output: Output, options: argparse.Namespace) -> Settings:
    """The settings of the databases that were chosen, once the models are imported."""
    if not options.models:
        output.message(f"taking the models of {OWN_MODELS}; name your own with --models")
    load_models(options.models or (OWN_MODELS,))
    settings = settings_of(options)
    return chosen(settings, options.alias or tuple(settings))


@contextmanager
def _connected(
    settings: Settings, aliases: Sequence[str] | None, options: argparse.Namespace
) -> Iterator[None]:
    with connected_aliases(settings, aliases, options.timeout):
        if options.read_from is None:
            yield
            return
        with read_from(options.read_from):
            yield


def _chosen(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "aliases": tuple(settings),
        "collection": options.collection,
        "seconds": options.deadline,
    }


def _telling(output: Output) -> Any:
    def tell(news: CheckProgress) -> None:
        if news.documents >= _MANY_DOCUMENTS:
            output.message(
                f"{news.alias}.{news.collection}: looking through about {news.documents:,} "
                f"documents ({news.number} of {news.total} collections)"
            )

    return tell


# Tables


def _findings(found: Sequence[Finding]) -> list[Table]:
    """A table for each collection."""
    collections: dict[str, list[tuple[Cell, ...]]] = {}
    for each in found:
        row = (each.path or "(all)", Styled(each.rule, "yellow"), each.documents, _details(each))
        collections.setdefault(f"{each.alias}.{each.collection}", []).append(row)
    columns = (Name("field"), "rule", "documents", Prose("details"))
    return [Table(columns, rows, name) for name, rows in collections.items()]


def _details(each: Finding) -> str:
    """What the model says, unless the rule says as much; and the ids."""
    said = "" if each.rule in _TOLD_BY_NAME else f"{each.keyword} {each.detail}; "
    return f"{said}ids {', '.join(map(str, each.ids))}"


def _differences(found: Sequence[ValidatorDiff]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (f"{each.alias}.{each.collection}", Styled(each.state, _STATES[each.state]), *line)
        for each in found
        if each.state != "none"
        for line in _lines(each)
    ]
    return Table((Name("collection"), "validator", "only", Prose("details")), rows)


def _lines(each: ValidatorDiff) -> list[tuple[str, str]]:
    """Of a validator that differs, a line for each rule and each other option."""
    lines = []
    if each.state == "different":
        lines += [("declared", rule) for rule in each.added]
        lines += [("there", rule) for rule in each.removed]
    for option in each.options:
        if option.name != "validator":
            lines += [("declared", f"{option.name}: {option.expected}")]
            lines += [("there", f"{option.name}: {option.actual}")]
    return lines or [("", "" if each.level is None else f"level {each.level}, {each.action}")]


def _outcomes(applied: Sequence[Applied]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (f"{each.alias}.{each.collection}", Styled(each.outcome, _OUTCOMES[each.outcome]))
        for each in applied
    ]
    return Table((Name("collection"), "validator"), rows)
