"""How a transfer stands, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from pymongo.errors import OperationFailure

from datalayer.failures.server_codes import AUTHORISATION, PASSING
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.journal.entry import RANGES, Damaged, Entry
from datalayer.transfer.journal.journal import Journal

_SUMS = ("skipped", "replaced", "missing", "differing", "gone", "left")
"""Counts that are sums over the ranges as they are."""


@dataclass(frozen=True)
class Report:
    """How a transfer stands. Counts are of documents."""

    name: str
    state: str
    """``new``, ``running``, ``following``, ``drifted``, ``done``, ``rolling_back``,
    ``rolled_back`` or ``damaged``."""
    source: str
    target: str
    move: bool
    method: str
    planned: int
    copied: int
    skipped: int
    """The target had them before; they stayed."""
    replaced: int
    verified: int
    """Documents that were the same on both sides when they were compared."""
    deleted: int
    """Gone from the source, by a move."""
    missing: int
    """In the source, and not in the target."""
    differing: int
    """Not the same on both sides, or changed since they were verified."""
    gone: int
    """Copied, and no longer in the source or no longer selected, without a move's doing."""
    new: int
    """In the source since they would have been copied."""
    left: int
    """Left in the source by a move, because they had changed."""
    followed: int
    """Changes carried over since the run began; one document may have had several."""
    recipe: str | None
    holder: str | None
    """The runner at work, as host:process."""
    seconds_left: float
    """How long it keeps others out if it has died."""
    created_at: datetime
    updated_at: datetime
    problem: str | None = None
    """Why the state is ``damaged``: the journal's entry is not as it was made. Or what a forced
    rollback has left, as another document was in the way."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do or to look into."""
        return self.state in ("done", "rolled_back")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        shown = asdict(self) | {"complete": self.complete}
        shown.update({name: shown[name].isoformat() for name in ("created_at", "updated_at")})
        return shown


def report_of(found: Entry | Damaged) -> Report:
    """How the transfer of the journal's entry stands."""
    if isinstance(found, Damaged):
        return _damaged(found)
    plan = found.plan
    of_parts = [found.progress.get(str(number), {}) for number in range(len(plan.parts))]
    endpoint = Endpoint.of(plan.target)
    try:
        totals = Journal(endpoint, plan.name).totals()
    except OperationFailure as exc:
        if exc.code in AUTHORISATION | PASSING or exc.timeout:
            raise
        return _damaged(
            Damaged(
                plan.name, endpoint, f"its ranges in {RANGES!r} were altered", plan.recipe,
                found.created_at, found.updated_at,
            )
        )  # fmt: skip
    return Report(
        name=plan.name,
        state=found.state,
        source=plan.source,
        target=plan.target,
        move=plan.move,
        method=plan.method,
        planned=plan.count,
        copied=totals["ids"] - totals["copying"],
        verified=totals["count"],
        deleted=totals["deleted"] - totals["stayed"],
        **{name: totals[name] for name in _SUMS},
        new=sum(each.get("new", 0) for each in of_parts),
        followed=found.progress.get("followed", 0),
        recipe=plan.recipe,
        holder=found.holder,
        seconds_left=found.seconds_left,
        created_at=found.created_at,
        updated_at=found.updated_at,
        problem=found.progress.get("left_by_rollback"),
    )


def _damaged(found: Damaged) -> Report:
    numbers = {each.name: 0 for each in fields(Report) if each.type == "int"}
    return Report(
        name=found.name,
        state=found.state,
        source="",
        target=found.target,
        move=False,
        method="",
        **numbers,
        recipe=found.recipe,
        holder=None,
        seconds_left=0.0,
        created_at=found.created_at,
        updated_at=found.updated_at,
        problem=found.problem,
    )
