"""Which checks are there, and what does an examination tell? Findings, in a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

Severity = Literal["ok", "note", "warning", "error", "skipped"]


@dataclass(frozen=True)
class Check:
    """One of the things that are looked at."""

    name: str
    group: Literal["connection", "performance", "migration"]
    title: str


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        check.name: check
        for check in (
            Check("settings", "connection", "Environment variables and settings"),
            Check("network", "connection", "Network: DNS, TCP and TLS"),
            Check("server", "connection", "The server's own state and log"),
            Check("options", "connection", "Connection options"),
            Check("authentication", "connection", "Authentication and privileges"),
            Check("pool", "performance", "Connection pools"),
            Check("operations", "performance", "Long-running operations"),
            Check("indexes", "performance", "Index use"),
            Check("resources", "performance", "Server resources"),
            Check("usage", "performance", "Connection usage"),
            Check("migrations", "migration", "Migrations"),
        )
    }
)
"""The checks by name, in order: five connection issues, five performance issues, then what
migrations leave to be done."""


@dataclass(frozen=True)
class Finding:
    """What one check saw, and what to do about it.

    ``alias`` is ``None`` where it concerns no single database. ``severity`` is ``ok``, ``note``
    (worth knowing), ``warning`` (works, and should be changed), ``error`` (does not work) or
    ``skipped`` (could not be looked at; ``saw`` says why). ``advice`` is empty where there is
    nothing to do.
    """

    check: str
    alias: str | None
    severity: Severity
    saw: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "check": self.check,
            "group": CHECKS[self.check].group,
            "alias": self.alias,
            "severity": self.severity,
            "saw": self.saw,
            "advice": self.advice,
        }


class Remark(NamedTuple):
    """What a judgement yields: a finding before it is known which check and alias it is of."""

    severity: Severity
    saw: str
    advice: str = ""


def counted(number: int, thing: str, ending: str = "s") -> str:
    """``1 host``, ``2 hosts``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}{ending}"


def ok(saw: str) -> Remark:
    """All is as it should be."""
    return Remark("ok", saw)


def note(saw: str, advice: str = "") -> Remark:
    """Worth knowing."""
    return Remark("note", saw, advice)


def warning(saw: str, advice: str) -> Remark:
    """Works, and should be changed."""
    return Remark("warning", saw, advice)


def error(saw: str, advice: str) -> Remark:
    """Does not work."""
    return Remark("error", saw, advice)


def skipped(why: str, advice: str = "") -> Remark:
    """Could not be looked at."""
    return Remark("skipped", why, advice)


@dataclass(frozen=True)
class Report:
    """The findings of one examination, in the order of the checks, then of the aliases."""

    findings: tuple[Finding, ...]
    elapsed_seconds: float

    @property
    def healthy(self) -> bool:
        """Whether nothing is broken: no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def of(self, check: str, alias: str | None = None) -> tuple[Finding, ...]:
        """The findings of one check, of one alias where it is given."""
        return tuple(
            finding
            for finding in self.findings
            if finding.check == check and alias in (None, finding.alias)
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        counts = Counter(finding.severity for finding in self.findings)
        severities: tuple[Severity, ...] = ("error", "warning", "note", "ok", "skipped")
        return {
            "healthy": self.healthy,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "counts": {severity: counts[severity] for severity in severities},
            "findings": [finding.as_dict() for finding in self.findings],
        }
