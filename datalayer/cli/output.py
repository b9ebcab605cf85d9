"""Where does a command write? Results on standard output, what is said about them on standard
error."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from datalayer.cli.exit_codes import UsageError
from datalayer.cli.tables import Table, as_plain_text, as_rich
from datalayer.cli.text_width import wrapped_lines
from datalayer.terminal import ellipsis_for, printable_json, printable_lines, width_for

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text as RichText

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
        elif tables and (console := self._console()) is not None:
            console.print(self._drawn(tables), soft_wrap=True)
        elif tables:
            self._write(self._plain(tables))

    def text(self, text: str) -> None:
        """A result that is for another program to read."""
        self._write(printable_lines(text.rstrip("\n")))

    def message(self, text: str) -> None:
        """Something to know besides the result."""
        width = width_for(self.stderr)
        text = printable_lines(text)
        self.stderr.write(f"{text if width is None else wrapped_lines(text, width)}\n")
        self.stderr.flush()

    def error(self, text: str) -> None:
        """Why the command failed."""
        self.message(f"datalayer: {text}")

    def confirmed(self, question: str, *, yes: bool, reason: str) -> bool:
        """Whether a person agrees; ``yes`` is their ``--yes``.

        Raises:
            UsageError: where nobody can be asked, with the ``reason`` for asking.
        """
        if yes:
            return True
        self.need_person(reason)
        self.stderr.write(f"{printable_lines(question)} [y/N] ")
        self.stderr.flush()
        with _interruptible():
            return sys.stdin.readline().strip().lower() in ("y", "yes")

    def need_person(self, reason: str) -> None:
        """Raise ``UsageError`` where nobody can be asked, with the ``reason`` for asking."""
        if not (sys.stdin.isatty() and self.stderr.isatty()):
            raise UsageError(f"{reason}; confirm it with --yes")

    @contextmanager
    def frames(self, *, in_place: bool = True) -> Iterator[Show]:
        """Show one result after the other: ``in_place`` on a terminal, which gets its contents
        back at the end, and below each other elsewhere.

        As JSON, each result is a document in a line of its own.
        """
        console = None if self.as_json or not in_place else self._console()
        if console is None:
            yield self.show if not (in_place or self.as_json) else self._show_next
            return
        from rich.live import Live

        with Live(console=console, screen=True, auto_refresh=False) as live:

            def show(document: Any, tables: Sequence[Table]) -> None:
                live.update(self._drawn(tables), refresh=True)

            yield show

    def _show_next(self, document: Any, tables: Sequence[Table]) -> None:
        if self.as_json:
            self._write(printable_json(json.dumps(document, default=str)))
        else:
            self._write(self._plain(tables) + "\n")

    def _console(self) -> Console | None:
        plain = not self.stdout.isatty() or os.environ.get("TERM") == "dumb"
        if plain or find_spec("rich") is None:
            return None
        from rich.console import Console

        return Console(file=self.stdout, highlight=False, width=width_for(self.stdout))

    def _plain(self, tables: Sequence[Table]) -> str:
        width, ellipsis = width_for(self.stdout), ellipsis_for(self.stdout)
        return "\n\n".join(as_plain_text(table, width, ellipsis=ellipsis) for table in tables)

    def _drawn(self, tables: Sequence[Table]) -> RichText:
        return as_rich(*tables, width=width_for(self.stdout), ellipsis=ellipsis_for(self.stdout))

    def _write(self, text: str) -> None:
        self.stdout.write(f"{text}\n")
        self.stdout.flush()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end what waits for an answer, at once, also where it asks a command to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
