"""Tables in their two forms."""

from __future__ import annotations

import io

from rich.console import Console

from datalayer.cli.tables import Styled, Table, as_plain_text, as_rich

TABLE = Table(
    columns=("host", "state", "latency ms", "commands"),
    rows=[("[::1]:27017", Styled("connected", "green"), 1.25, 12345), ("db", "away", None, 7)],
    title="databases",
)


def test_plain_columns_are_aligned_and_numbers_stand_to_the_right() -> None:
    assert as_plain_text(TABLE).splitlines() == [
        "databases",
        "host         state      latency ms  commands",
        "[::1]:27017  connected        1.25    12,345",
        "db           away                -         7",
    ]


def test_a_table_without_rows_is_its_heading() -> None:
    assert as_plain_text(Table(("alias", "name"), [])) == "alias  name"


def test_rich_takes_texts_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as capture:
        console.print(as_rich(TABLE))
    assert "[::1]:27017" in capture.get()
