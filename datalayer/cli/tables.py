"""Tables as values, and their two forms: plain aligned text, and rich's for terminals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from datalayer.terminal import printable

if TYPE_CHECKING:
    from rich.table import Table as RichTable

__all__ = ["Cell", "Styled", "Table", "as_plain_text", "as_rich", "state_cell"]

_STATE_STYLES = {
    "connected": "green",
    "degraded": "yellow",
    "connecting": "yellow",
    "unavailable": "bold red",
    "disconnected": "dim",
}


class Styled(NamedTuple):
    """A text that rich shows in ``style``; in plain text it is just the text."""

    text: str
    style: str


Cell: TypeAlias = str | int | float | Styled | None


@dataclass(frozen=True)
class Table:
    """Columns, rows and an optional title. A column of numbers only is aligned to the right.

    Texts are of any origin: control characters in them are shown, not obeyed.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str | None = None

    def numeric(self, at: int) -> bool:
        """Whether the column holds nothing but numbers and gaps."""
        return all(isinstance(row[at], int | float | None) for row in self.rows)


def state_cell(state: str) -> Styled:
    """A database's state in the colour that fits it."""
    return Styled(state, _STATE_STYLES.get(state, ""))


def as_plain_text(table: Table) -> str:
    """The table in lines whose columns are as wide as they need to be."""
    texts = [
        list(map(printable, table.columns)),
        *([_text(cell) for cell in row] for row in table.rows),
    ]
    widths = [max(len(row[at]) for row in texts) for at in range(len(table.columns))]
    right = [table.numeric(at) for at in range(len(table.columns))]
    lines = [] if table.title is None else [printable(table.title)]
    for row in texts:
        cells = (
            cell.rjust(width) if to_the_right else cell.ljust(width)
            for cell, width, to_the_right in zip(row, widths, right, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_rich(table: Table) -> RichTable:
    """The table as rich draws it; texts are taken as they are, without rich's markup."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE, title_justify="left", title_style="bold")
    if table.title is not None:
        drawn.title = Text(printable(table.title))
    for at, name in enumerate(table.columns):
        drawn.add_column(
            Text(printable(name)),
            justify="right" if table.numeric(at) else "left",
            overflow="fold",
        )
    for row in table.rows:
        drawn.add_row(*(Text(_text(cell), style=_style(cell)) for cell in row))
    return drawn


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
