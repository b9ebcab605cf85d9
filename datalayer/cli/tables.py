"""Tables as values, and their two forms: plain aligned text, and rich's for terminals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from datalayer.cli.text_width import (
    clipped,
    host_clipped,
    padded,
    shared_out,
    width_of,
    wrapped,
)
from datalayer.terminal import printable

if TYPE_CHECKING:
    from rich.text import Text as RichText

_GAP = "  "


class Styled(NamedTuple):
    """A text that rich shows in ``style``; in plain text it is just the text."""

    text: str
    style: str


class Name(str):
    """Heads a column of names: where there is no room for one, its end is left out."""

    __slots__ = ()
    least, enough = 12, 16


class Hosts(str):
    """Heads a column of lists of hosts: where there is no room for all in a line, each has its
    own, and the middle of a long one is left out."""

    __slots__ = ()
    least, enough = 24, 60


class Prose(str):
    """Heads a column of sentences, values and lists: they are wrapped, and nothing left out."""

    __slots__ = ()
    least, enough = 20, 48


Cell: TypeAlias = str | int | float | Styled | None
Line: TypeAlias = "list[Styled]"


@dataclass(frozen=True)
class Table:
    """Columns, rows and an optional title. A column of numbers only is aligned to the right.

    Texts are of any origin: control characters in them are shown, not obeyed. A column is as
    wide as it needs to be, unless its heading is a ``Name``, ``Hosts`` or ``Prose``, which say
    how it gives way on a narrow terminal.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str | None = None
    cut: int | None = None
    """The column before which a table is cut that is too wide all the same: the other part goes
    below, and begins with the first column again."""


def as_plain_text(table: Table, width: int | None = None, *, ellipsis: str = "…") -> str:
    """The table in lines of ``width`` at most, or as wide as they need to be."""
    lines = _lines(table, width, ellipsis, rule="")
    return "\n".join("".join(part.text for part in line).rstrip() for line in lines)


def as_rich(*tables: Table, width: int | None = None, ellipsis: str = "…") -> RichText:
    """Tables with colours and a rule below the headings, for rich to print as they are."""
    from rich.text import Text

    rule = "─" if ellipsis == "…" else "-"
    lines: list[RichText] = []
    for table in tables:
        lines += [Text()] if lines else []
        lines += (Text.assemble(*line) for line in _lines(table, width, ellipsis, rule))
    text = Text("\n", no_wrap=True, overflow="ignore").join(lines)
    text.no_wrap, text.overflow = True, "ignore"
    return text


def _lines(table: Table, width: int | None, ellipsis: str, rule: str) -> Iterator[Line]:
    if table.title is not None:
        title = printable(table.title)
        for line in [title] if width is None else wrapped(title, width):
            yield [Styled(line, "bold")]
    columns = [_Column.of(table, at, ellipsis) for at in range(len(table.columns))]
    for number, block in enumerate(_blocks(columns, table.cut, width)):
        if number:
            yield []
        yield from _block_lines(block, _widths(block, width), rule)


@dataclass(frozen=True)
class _Column:
    heading: str
    cells: Sequence[Styled]
    right: bool
    wanted: int
    enough: int
    """What it gets before another gets more: of headings that could do with two lines, the
    longest word."""
    least: int
    ellipsis: str

    @classmethod
    def of(cls, table: Table, at: int, ellipsis: str) -> _Column:
        name = table.columns[at]
        heading = printable(name)
        cells = [Styled(_text(row[at]), _style(row[at])) for row in table.rows]
        content = max((width_of(cell.text) for cell in cells), default=0)
        least = enough = content
        if isinstance(name, Name | Hosts | Prose):
            least, enough = min(content, name.least), min(content, name.enough)
        longest_word = max(map(width_of, heading.split()), default=0)
        return cls(
            heading=name if heading == name else heading,
            cells=cells,
            right=all(isinstance(row[at], int | float | None) for row in table.rows),
            wanted=max(content, width_of(heading)),
            enough=max(enough, longest_word),
            least=max(least, longest_word),
            ellipsis=ellipsis,
        )

    def lines_of(self, text: str, width: int) -> list[str]:
        if width_of(text) <= width:
            return [text]
        if isinstance(self.heading, Prose):
            return wrapped(text, width)
        if isinstance(self.heading, Hosts):
            return [host_clipped(host, width, self.ellipsis) for host in text.split(", ")]
        return [clipped(text, width, self.ellipsis)]


def _blocks(columns: list[_Column], cut: int | None, width: int | None) -> list[list[_Column]]:
    """The columns, or those of each part of a table that is too wide even with the least."""
    if width is None or _room(columns, width) >= sum(column.least for column in columns):
        return [columns]
    key, blocks = columns[0], []
    for part in (columns[1:cut], columns[cut:]) if cut is not None else (columns[1:],):
        block = [key]
        for column in part:
            more = [*block, column]
            if len(block) > 1 and _room(more, width) < sum(each.least for each in more):
                blocks.append(block)
                more = [key, column]
            block = more
        blocks.append(block)
    return blocks


def _room(columns: Sequence[_Column], width: int) -> int:
    return width - len(_GAP) * (len(columns) - 1)


def _widths(columns: Sequence[_Column], width: int | None) -> list[int]:
    wanted = [column.wanted for column in columns]
    if width is None or sum(wanted) <= _room(columns, width):
        return wanted
    least = [column.least for column in columns]
    enough = [column.enough for column in columns]
    room = _room(columns, width)
    return shared_out(shared_out(least, enough, room), wanted, room)


def _block_lines(columns: Sequence[_Column], widths: Sequence[int], rule: str) -> Iterator[Line]:
    yield from _row_lines(
        [wrapped(column.heading, width) for column, width in zip(columns, widths, strict=True)],
        ["bold"] * len(columns),
        columns,
        widths,
        to_the_bottom=True,
    )
    if rule:
        yield [Styled(rule * (sum(widths) + len(_GAP) * (len(widths) - 1)), "")]
    for row in zip(*(column.cells for column in columns), strict=True):
        yield from _row_lines(
            [
                column.lines_of(cell.text, width)
                for column, cell, width in zip(columns, row, widths, strict=True)
            ],
            [cell.style for cell in row],
            columns,
            widths,
        )


def _row_lines(
    cells: Sequence[list[str]],
    styles: Sequence[str],
    columns: Sequence[_Column],
    widths: Sequence[int],
    *,
    to_the_bottom: bool = False,
) -> Iterator[Line]:
    height = max(map(len, cells))
    if to_the_bottom:
        cells = [[""] * (height - len(cell)) + cell for cell in cells]
    for texts in zip_longest(*cells, fillvalue=""):
        line: Line = []
        for text, style, column, width in zip(texts, styles, columns, widths, strict=True):
            line += [Styled(padded(text, width, right=column.right), style), Styled(_GAP, "")]
        yield line[:-1]


def _style(cell: Cell) -> str:
    return cell.style if isinstance(cell, Styled) else ""


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, Styled):
        return printable(cell.text)
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    return f"{cell:,}" if isinstance(cell, int) else printable(cell)
