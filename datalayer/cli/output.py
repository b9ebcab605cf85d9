"""Where a command writes: results on standard output, everything said about them on standard
error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from datalayer.cli.tables import Table, as_plain_text, as_rich
from datalayer.terminal import printable_json, printable_lines

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Output", "Show"]

Show: TypeAlias = Callable[[Any, Sequence[Table]], None]
"""Takes a result in both forms: the JSON-ready document, and the tables that tell the same."""


class Output:
    """What a command shows, as JSON or for people.

    ``as_json`` makes standard output hold one JSON document and nothing else. Tables are drawn
    by rich where it is installed and standard output is a terminal (without colours when
    ``NO_COLOR`` is set), and are plain aligned text everywhere else.
    """

    def __init__(
        self,
        *,
        as_json: bool = False,
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        self.as_json = as_json
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr

    def show(self, document: Any, tables: Sequence[Table]) -> None:
        """The command's result: ``document`` as JSON, or ``tables``."""
        if self.as_json:
            self._write(printable_json(json.dumps(document, indent=2, default=str)))
            return
        console = self._console()
        for number, table in enumerate(tables):
            if console is not None:
                console.print(as_rich(table))
            else:
                self._write(("\n" if number else "") + as_plain_text(table))

    def text(self, text: str) -> None:
        """A result that is for another program to read."""
        self._write(printable_lines(text.rstrip("\n")))

    def message(self, text: str) -> None:
        """Something to know besides the result."""
        self.stderr.write(f"{printable_lines(text)}\n")
        self.stderr.flush()

    def error(self, text: str) -> None:
        """Why the command failed."""
        self.message(f"datalayer: {text}")

    @contextmanager
    def frames(self) -> Iterator[Show]:
        """Show one result after the other: in place on a terminal, below each other elsewhere.

        As JSON, each result is a document in a line of its own.
        """
        console = None if self.as_json else self._console()
        if console is None:
            yield self._show_next
            return
        from rich.console import Group
        from rich.live import Live

        with Live(console=console, screen=True, auto_refresh=False) as live:

            def show(document: Any, tables: Sequence[Table]) -> None:
                live.update(Group(*map(as_rich, tables)), refresh=True)

            yield show

    def _show_next(self, document: Any, tables: Sequence[Table]) -> None:
        if self.as_json:
            self._write(printable_json(json.dumps(document, default=str)))
        else:
            self._write("\n\n".join(map(as_plain_text, tables)) + "\n")

    def _console(self) -> Console | None:
        plain = not self.stdout.isatty() or os.environ.get("TERM") == "dumb"
        if plain or find_spec("rich") is None:
            return None
        from rich.console import Console

        return Console(file=self.stdout, highlight=False)

    def _write(self, text: str) -> None:
        self.stdout.write(f"{text}\n")
        self.stdout.flush()
