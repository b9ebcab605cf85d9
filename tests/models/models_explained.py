"""Reads from the server's plan which indexes answer a query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def stages(plan: Any) -> Iterator[dict[str, Any]]:
    """All stages of a plan, whatever they are nested in."""
    if isinstance(plan, dict):
        if "stage" in plan:
            yield plan
        for part in plan.values():
            yield from stages(part)
    elif isinstance(plan, list):
        for part in plan:
            yield from stages(part)


def indexes_used(queryset: Any) -> set[str]:
    """The names of the indexes by which the server answers; fails where it reads everything."""
    explained = queryset.explain()
    chosen = explained.get("queryPlanner", explained)
    if "winningPlan" in chosen:
        chosen = chosen["winningPlan"]
    found = list(stages(chosen))
    assert "COLLSCAN" not in {each["stage"] for each in found}
    assert "SORT" not in {each["stage"] for each in found}, "the index does not give the order"
    return {each["indexName"] for each in found if "indexName" in each}
