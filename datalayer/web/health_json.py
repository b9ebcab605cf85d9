"""From ``db.status()`` to ``application/health+json``, the format of the IETF draft "Health Check
Response Format for HTTP APIs" (draft-inadarei-api-health-check-06). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from datalayer.health import Status, Verdict, grade_of

CONTENT_TYPE = "application/health+json"


def health_document(
    status: Status, verdict: Verdict, *, detailed: bool, now: datetime
) -> dict[str, Any]:
    """``pass``, ``warn`` or ``fail``; with ``detailed`` also why, and each database's figures."""
    document: dict[str, Any] = {"status": verdict.grade}
    if not detailed:
        return document
    time = now.astimezone(UTC).isoformat(timespec="milliseconds")
    if verdict.reasons:
        document["notes"] = list(verdict.reasons)
    document["checks"] = {
        name: check
        for alias, entry in status.items()
        for name, check in _checks(alias, entry, time)
    }
    return document


def _checks(
    alias: str, entry: Mapping[str, Any], time: str
) -> list[tuple[str, list[dict[str, Any]]]]:
    what = {"componentId": alias, "componentType": "datastore", "time": time}
    pool = entry["pool"]
    ping = {**what, "status": grade_of(entry)}
    if entry["latency_ms"] is not None:
        ping |= {"observedValue": entry["latency_ms"], "observedUnit": "ms"}
    if entry["last_error"]:
        ping["output"] = entry["last_error"]
    connections = {
        **what,
        "status": "warn" if pool["waiting"] else "pass",
        "observedValue": pool["in_use"],
        "observedUnit": "connections",
    }
    return [(f"{alias}:responseTime", [ping]), (f"{alias}:connections", [connections])]
