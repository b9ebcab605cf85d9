"""What the demo shows: headings, sentences and tables, in plain text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from textwrap import fill, indent
from typing import IO

from datalayer.cli.tables import Cell, Table, as_plain_text
from datalayer.terminal import printable

__all__ = ["Screen"]

_WIDTH = 98
_INDENT = "   "


class Screen:
    """Writes the demo's story to ``stream``; a silent screen (``None``) writes nothing."""

    def __init__(self, stream: IO[str] | None) -> None:
        self._stream = stream
        self._bold = stream is not None and stream.isatty() and "NO_COLOR" not in os.environ

    def heading(self, text: str) -> None:
        """Start a chapter."""
        self._write(f"\n\033[1m{printable(text)}\033[0m" if self._bold else f"\n{printable(text)}")

    def say(self, text: str) -> None:
        """A sentence or two, wrapped."""
        self._write(
            fill(printable(text), _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)
        )

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Columns as wide as they need to be."""
        self.show(Table(columns, rows))

    def show(self, table: Table) -> None:
        """A table that was made elsewhere."""
        self._write(indent(as_plain_text(table), _INDENT))

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(f"{text}\n")
            self._stream.flush()
