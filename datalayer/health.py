"""From ``db.status()`` to the two answers that an orchestrator asks for: live and ready. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Verdict", "verdict"]

Status = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """What a status means for the process that it was taken in.

    ``live`` is true whatever the databases do: an orchestrator restarts a process that isn't
    live, and no restart brings a database back. ``ready`` says whether requests can be served:
    every required database answers. ``degraded`` says that something is amiss, ready or not;
    ``reasons`` names each such thing in one sentence that begins with the alias.
    """

    live: bool
    ready: bool
    degraded: bool
    reasons: tuple[str, ...]


def verdict(status: Status) -> Verdict:
    """Judge what ``db.status()`` gave.

    A required database that isn't connected means not ready. An optional one means degraded,
    and so do a replica set that lacks members and indexes that could not be built.
    """
    missing = [entry for entry in status.values() if not entry["connected"]]
    reasons = tuple(_reasons(status))
    return Verdict(
        live=True,
        ready=bool(status) and not any(entry["required"] for entry in missing),
        degraded=bool(reasons),
        reasons=reasons,
    )


def _reasons(status: Status) -> Iterator[str]:
    if not status:
        yield "no database is configured"
    for alias, entry in status.items():
        state, error = entry["state"], entry["last_error"]
        if not entry["connected"]:
            kind = "required" if entry["required"] else "optional"
            yield f"{alias}: {kind} and {state}" + (f" ({error})" if error else "")
        elif state == "degraded":
            yield f"{alias}: a server of it can't be reached, or it has no primary"
        elif error:
            yield f"{alias}: {error}"
