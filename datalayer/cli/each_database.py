"""How does a command run over many databases of a server? ``--databases PATTERN``: over one after
the other, to the end whichever fail, with progress."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from datalayer import db
from datalayer.cli.connecting import opened
from datalayer.cli.error_messages import message_of
from datalayer.cli.exit_codes import ExitCode, UsageError
from datalayer.cli.model_options import chosen, load_models
from datalayer.cli.options import Parser, Run, settings_of
from datalayer.cli.output import Output
from datalayer.cli.tables import Name, Prose, Table
from datalayer.progress import progress

_DEFAULT = "default"
Aliases: TypeAlias = Callable[[argparse.Namespace], Sequence[str]]


def databases_options() -> Parser:
    """``--databases`` and ``--after``."""
    options = Parser(add_help=False)
    options.add_argument(
        "--databases",
        metavar="PATTERN",
        help="in each database of the server whose name matches, as in the shell ('tenant_*'), "
        "instead of the alias's own; of the one --alias, or of default. All are gone through, and "
        "those that failed told at the end, with the exit code 1",
    )
    options.add_argument(
        "--after",
        metavar="NAME",
        help="with --databases: only those that come after this one by name, to go on with",
    )
    return options


def in_each_database(run: Run, aliases: Aliases | None = None) -> Run:
    """``run``, or where the command line says ``--databases``, ``run`` in each of them.

    ``aliases`` are those that the command looks at, whose operations all go to the database of
    that name; the server of the first tells which there are. By default it is one.
    """

    def run_all(output: Output, options: argparse.Namespace) -> ExitCode:
        if options.databases is None:
            if options.after is not None:
                raise UsageError("--after goes with --databases")
            return run(output, options)
        load_models(getattr(options, "models", None) or ())  # they may say which there are
        settings, led = settings_of(options), (aliases or _alias_of)(options)
        alias = led[0]
        with (
            opened(chosen(settings, led), timeout=options.timeout, required=True),
            opened(settings, timeout=options.timeout),
        ):
            names = [
                name
                for name in db.databases(options.databases, alias=alias)
                if options.after is None or name > options.after
            ]
            if not names:
                output.error(f"no database of {alias!r} matches {options.databases!r}")
                return ExitCode.FAILURE
            return _Run(run, output, options, led).over(names)

    return run_all


def _alias_of(options: argparse.Namespace) -> Sequence[str]:
    """The alias whose databases are gone through; the command is then told of no other."""
    named: Sequence[str] = getattr(options, "alias", None) or (_DEFAULT,)
    if len(named) > 1:
        raise UsageError("--databases goes through the databases of one --alias")
    if hasattr(options, "alias"):
        options.alias = list(named)
    return named


class _Collected(Output):
    """Keeps what the command shows of one database; says the same thing once."""

    def __init__(self, output: Output, told: set[str]) -> None:
        super().__init__(as_json=output.as_json, stdout=output.stdout, stderr=output.stderr)
        self.document: Any = None
        self.tables: list[Table] = []
        self._told = told

    @property
    def was_stopped(self) -> bool:
        """Whether a signal has stopped the command in the middle."""
        return isinstance(self.document, dict) and self.document.get("stopped") is True

    def show(self, document: Any, tables: Sequence[Table]) -> None:
        self.document = document
        self.tables += [table for table in tables if table.rows]

    def message(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            super().message(text)


class _StoppedError(Exception):
    """A signal has stopped the command in the middle of a database."""

    def __init__(self, name: str) -> None:
        super().__init__(f"stopped in the database {name!r}, with something left to do")
        self.name = name


@dataclass
class _Run:
    """A command that goes through databases, and what came of it so far."""

    run: Run
    output: Output
    options: argparse.Namespace
    aliases: Sequence[str]
    results: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)

    def over(self, names: Sequence[str]) -> ExitCode:
        """Go through ``names``, and tell what came of it."""
        told: set[str] = set()
        with (
            self._telling_where_it_stops(names),
            progress("databases", len(names), stream=self.output.stderr) as advance,
        ):
            for name in names:
                collected = _Collected(self.output, told)
                self._in(name, collected)
                if collected.was_stopped:
                    raise _StoppedError(name)
                advance(1)
        self._tell(len(names))
        if self.failed:
            return ExitCode.FAILURE
        return ExitCode.PENDING if self.pending else ExitCode.OK

    def _in(self, name: str, output: _Collected) -> None:
        try:
            with db.using({alias: (alias, name) for alias in self.aliases}):
                code = self.run(output, self.options)
        except UsageError:
            raise  # it would be the same in all of them
        except Exception as exc:  # noqa: BLE001 - the others are gone through all the same
            self.failed[name] = message_of(exc)
            return
        self.results[name] = output.document
        if code == ExitCode.PENDING:
            self.pending.append(name)
        elif code != ExitCode.OK:
            self.failed[name] = f"ended with the exit code {int(code)}"
        if output.tables and not output.as_json:
            self.output.text(f"{name}:")
            self.output.show(None, output.tables)

    @contextmanager
    def _telling_where_it_stops(self, names: Sequence[str]) -> Iterator[None]:
        try:
            yield
        except BaseException as exc:
            at = exc.name if isinstance(exc, _StoppedError) else None
            done = [each for each in names if each in self.results.keys() | self.failed.keys()]
            done = [each for each in done if each != at]
            if done:
                self.output.message(f"stopped; --after {done[-1]} goes on from there")
                self._tell_failed(len(names))
            raise

    def _tell(self, count: int) -> None:
        if self.output.as_json:
            self.output.show({"databases": self.results, "failed": self.failed}, [])
        self._tell_failed(count)
        done = count - len(self.failed)
        left = f", {len(self.pending)} of them with something left to do" if self.pending else ""
        self.output.message(f"{done} of {count} databases were gone through{left}")

    def _tell_failed(self, count: int) -> None:
        if self.failed:
            self.output.error(f"{len(self.failed)} of {count} databases failed")
            rows = list(self.failed.items())
            if not self.output.as_json:
                self.output.show(None, [Table((Name("failed"), Prose("why")), rows)])
