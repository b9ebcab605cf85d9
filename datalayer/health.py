"""Whether the process is live, ready and well, judged from ``db.status()``: the one judgement that
the health endpoints, the status page and the commands show. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["Verdict", "verdict"]

Status: TypeAlias = Mapping[str, Mapping[str, Any]]
Grade: TypeAlias = Literal["pass", "warn", "fail"]
"""How well a database or the process does, in the words of ``application/health+json``."""


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

    @property
    def grade(self) -> Grade:
        """``fail`` where it isn't ready, ``warn`` where it is and something is amiss."""
        if not self.ready:
            return "fail"
        return "warn" if self.degraded else "pass"


def verdict(status: Status) -> Verdict:
    """Judge what ``db.status()`` gave.

    A required database that isn't connected means not ready. An optional one means degraded,
    and so do a replica set that lacks members and indexes that could not be built.
    """
    reasons = tuple(_reasons(status))
    return Verdict(
        live=True,
        ready=bool(status) and "fail" not in map(grade_of, status.values()),
        degraded=bool(reasons),
        reasons=reasons,
    )


def grade_of(entry: Mapping[str, Any]) -> Grade:
    """How well one database of a status does. Only a required one can fail."""
    if not entry["connected"]:
        return "fail" if entry["required"] else "warn"
    return "warn" if entry["state"] == "degraded" or entry["last_error"] else "pass"


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
