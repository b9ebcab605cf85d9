"""What ``datalayer migrations`` shows of migrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from datalayer.cli.tables import Cell, Name, Styled, Table
from datalayer.migrations import FinishedMigration, MigrationStatus, PlannedMigration

_STYLES = {
    "applied": "green",
    "pending": "yellow",
    "applying": "yellow",
    "undoing": "yellow",
    "newer": "cyan",
    "failed": "bold red",
    "edited": "bold red",
    "missing": "bold red",
}


def status_table(found: Sequence[MigrationStatus]) -> Table:
    """How each one stands."""
    rows: list[tuple[Cell, ...]] = [
        (
            each.name,
            Styled(each.state, _STYLES.get(each.state, "")),
            None if each.applied_at is None else f"{each.applied_at:%Y-%m-%d %H:%M}",
            _took(each.took_ms),
            each.documents,
            {True: "yes", False: "no", None: None}[each.can_undo],
        )
        for each in found
    ]
    columns = (Name("migration"), "state", "applied (UTC)", "took", "documents", "undo")
    return Table(columns, rows)


def plan_table(planned: Sequence[PlannedMigration]) -> Table:
    """What each step would touch."""
    columns = (Name("migration"), "step", Name("target"), "documents")
    return Table(columns, [row for each in planned for row in _plan_rows(each)])


def _plan_rows(planned: PlannedMigration) -> Iterator[tuple[Cell, ...]]:
    if not planned.steps:
        yield planned.name, "no step", None, None
    for step in planned.steps:
        yield planned.name, step.kind, step.target, step.matched


def done_table(done: Sequence[FinishedMigration]) -> Table:
    """What was done."""
    rows: list[tuple[Cell, ...]] = [
        (
            each.name,
            Styled("applied" if each.direction == "apply" else "undone", "green"),
            _took(each.took_ms),
            len(each.steps),
            each.documents,
        )
        for each in done
    ]
    return Table((Name("migration"), "state", "took", "steps", "documents"), rows)


def _took(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:,.1f} s"
