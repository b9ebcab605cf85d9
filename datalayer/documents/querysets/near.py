"""Counts what is near a point: the server sorts by distance only where it finds documents, and
refuses ``$near`` in a count. Pure."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any

_EARTH_RADIUS_METRES = 6_378_100  # the server's own figure


def countable(query: Mapping[str, Any], points: Container[str]) -> dict[str, Any]:
    """``query`` with each ``$near`` of a GeoJSON point put as a circle, which holds the same
    documents in no order, where the path is one of ``points``: other shapes may be near and yet
    reach out of the circle."""
    found: dict[str, Any] = {}
    outside: list[dict[str, Any]] = []
    for path, condition in query.items():
        if path == "$and":
            found[path] = [countable(each, points) for each in condition]
            continue
        near = _near_in(condition) if path in points else None
        if near is None:
            found[path] = condition
            continue
        point = near["$geometry"]["coordinates"]
        found[path] = _circle(point, near.get("$maxDistance", math.inf))
        if near.get("$minDistance"):
            outside.append({path: _circle(point, near["$minDistance"])})
    if outside:
        found["$nor"] = [*found.get("$nor", ()), *outside]
    return found


def _near_in(condition: Any) -> Mapping[str, Any] | None:
    if isinstance(condition, Mapping):
        for operator in ("$near", "$nearSphere"):
            near = condition.get(operator)
            if isinstance(near, Mapping) and "$geometry" in near:
                return near
    return None


def _circle(point: Any, metres: float) -> dict[str, Any]:
    radians = min(metres / _EARTH_RADIUS_METRES, math.pi)
    return {"$geoWithin": {"$centerSphere": [point, radians]}}
