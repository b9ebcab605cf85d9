"""Adds up what the workers of an application have counted and hold, those that have ended too.
Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace

from datalayer.monitoring import Bucket, Failure
from datalayer.web.workers.report import COUNTED, Database, Figures, Numbers, Report, numbers

_SLOW_COMMANDS = 20
_FAILURES = 40


@dataclass(frozen=True)
class Ended:
    """What the workers that have ended had counted."""

    workers: int = 0
    databases: Mapping[str, Numbers] = field(default_factory=dict)
    """By alias, and by the names of ``COUNTED``."""
    recorder: Numbers = field(default_factory=dict)
    files: tuple[str, ...] = ()
    """Those that are counted here: each may be there still, and counts no second time."""

    def encoded(self) -> bytes:
        """JSON, which ``decoded`` reads back."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def decoded(cls, data: bytes | None) -> Ended:
        """What ``encoded`` wrote; no workers where ``data`` is something else, or nothing."""
        try:
            found = json.loads(data or b"")
            return cls(
                workers=int(found["workers"]),
                databases={k: numbers(v, COUNTED) for k, v in found["databases"].items()},
                recorder=numbers(found["recorder"]),
                files=tuple(map(str, found["files"])),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return cls()

    def plus(self, reports: Iterable[Report]) -> Ended:
        """These workers and those of ``reports``, which have ended since."""
        ended = self
        for each in reports:
            databases = dict(ended.databases)
            for alias, database in each.databases.items():
                databases[alias] = added([databases.get(alias, {}), database.counts])
            recorder = added([ended.recorder, each.recorder_counts])
            ended = replace(
                ended, workers=ended.workers + 1, databases=databases, recorder=recorder
            )
        return ended


@dataclass(frozen=True)
class Unreadable:
    """A worker whose file can't be read."""

    file: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Together(Figures):
    """One database as all workers see it: counts since the first of them began, gauges of those
    that live, durations of the last five to ten minutes."""

    counts: Numbers
    gauges: Numbers


@dataclass(frozen=True)
class Workers:
    """The workers of an application on this machine."""

    living: tuple[Report, ...] = ()
    """This process is the first."""
    ended: Ended = Ended()
    unreadable: tuple[Unreadable, ...] = ()
    trouble: str | None = None
    """Why the others are not known, where they aren't."""

    @property
    def are_several(self) -> bool:
        """Whether there is more to tell than of this process."""
        return len(self.living) > 1 or bool(self.ended.workers or self.unreadable)

    def together(self, alias: str) -> Together:
        """The database of ``alias``."""
        found = [each.databases[alias] for each in self.living if alias in each.databases]
        slow = sorted((c for each in found for c in each.slow_commands), key=lambda c: c.at)
        ended = self.ended.databases.get(alias, {})
        return Together(
            counts=added([*(each.counts for each in found), ended]),
            gauges=added(each.gauges for each in found),
            commands=_merged(each.commands for each in found),
            checkouts=_merged(each.checkouts for each in found),
            failures=_failures(found),
            slow_commands=tuple(reversed(slow))[:_SLOW_COMMANDS],
        )

    def recorder(self) -> Numbers:
        """The recorders' counts and gauges; the lag is the longest."""
        counts = added([*(each.recorder_counts for each in self.living), self.ended.recorder])
        gauges = added(each.recorder_gauges for each in self.living)
        lags = (each.recorder_gauges.get("lag_seconds", 0.0) for each in self.living)
        return {**counts, **gauges, "lag_seconds": max(lags, default=0.0)}


def added(parts: Iterable[Numbers]) -> dict[str, float]:
    """The sum for each name."""
    sums: dict[str, float] = {}
    for part in parts:
        for name, number in part.items():
            sums[name] = sums.get(name, 0) + number
    return sums


def _merged(parts: Iterable[tuple[Bucket, ...]]) -> tuple[Bucket, ...]:
    """All workers have the same limits of buckets."""
    counts: dict[tuple[float, float], int] = {}
    for part in parts:
        for bucket in part:
            limits = (bucket.from_ms, bucket.to_ms)
            counts[limits] = counts.get(limits, 0) + bucket.count
    return tuple(Bucket(*limits, count) for limits, count in sorted(counts.items()))


def _failures(found: Iterable[Database]) -> tuple[Failure, ...]:
    kinds: dict[tuple[str, str, str | None], Failure] = {}
    for each in (failure for database in found for failure in database.failures):
        key = (each.kind, each.operation, each.host)
        known = kinds.get(key)
        kinds[key] = each if known is None else replace(
            known,
            count=known.count + each.count,
            first_at=min(known.first_at, each.first_at),
            last_at=max(known.last_at, each.last_at),
        )  # fmt: skip
    latest = sorted(kinds.values(), key=lambda failure: failure.last_at, reverse=True)
    return tuple(latest[:_FAILURES])
