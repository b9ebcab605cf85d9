"""How does the demo look? Headings, sentences and tables, in plain text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from textwrap import indent
from typing import IO

from datalayer.cli.tables import Cell, Table, as_plain_text
from datalayer.cli.text_width import wrapped_lines
from datalayer.terminal import ellipsis_for, printable, width_for

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
        self._write(wrapped_lines(_INDENT + printable(text), self._width or _WIDTH))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Columns as wide as they need to be and the terminal lets them."""
        width = None if self._width is None else self._width - len(_INDENT)
        ellipsis = "…" if self._stream is None else ellipsis_for(self._stream)
        text = as_plain_text(Table(columns, rows), width, ellipsis=ellipsis)
        self._write(indent(text, _INDENT))

    @property
    def _width(self) -> int | None:
        width = None if self._stream is None else width_for(self._stream)
        return None if width is None else min(width, _WIDTH)

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(f"{text}\n")
            self._stream.flush()
