"""Runs an examination: gathers the facts of all databases side by side, then judges them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TypeAlias

from datalayer.concurrency.threads import side_by_side
from datalayer.connections.registry import DEFAULT_ALIAS
from datalayer.doctor.facts import AliasFacts
from datalayer.doctor.findings import CHECKS, Finding, Remark, Report, skipped
from datalayer.doctor.judgements import (
    JUDGEMENTS,
    judge_budgets,
    judge_installation,
    judge_problems,
    judge_settings,
    judge_warnings,
)
from datalayer.doctor.migrations import examine_migrations
from datalayer.doctor.probes.gather import facts_without_probing, gather
from datalayer.errors import ConfigurationError
from datalayer.settings import DatabaseSettings, Settings, redact

Source: TypeAlias = Settings | Mapping[str, str] | Callable[[], Settings]

_MIGRATIONS = "the migrations"  # no alias has a space
_QUESTION = 0.12  # of the time, as for the others
_GATHERING = 0.95  # of the time; the rest is for the answers to get back


def examine(
    settings: Source | None = None, *, timeout: float = 10.0, processes: int = 1
) -> Report:
    """Look at everything that commonly goes wrong between an application and its databases.

    ``settings`` are ready ones, an environment, or a function that reads them, so that wrong
    settings are findings too; ``None`` reads the process's environment and ``.env``.
    ``processes`` is how many processes share each server, for the pool budget.

    Returns within ``timeout`` seconds. Never raises for a state of the world, writes nothing,
    and connects with short-lived clients of its own: the application's are left alone. The
    report holds no credentials and no contents of documents.
    """
    if not timeout > 0 or processes < 1:
        raise ValueError(f"timeout ({timeout!r}) and processes ({processes!r}) must be above 0")
    started = monotonic()
    try:
        known = _read(settings)
    except ConfigurationError as exc:
        findings = _without_settings(exc)
    else:
        findings = _examine(known, timeout, processes)
    findings += _of("settings", ((None, remark) for remark in judge_installation()))
    order = list(CHECKS)
    findings.sort(key=lambda finding: order.index(finding.check))
    return Report(tuple(map(_cleaned, findings)), monotonic() - started)


def _read(source: Source | None) -> Settings:
    if isinstance(source, Settings):
        return source
    return source() if callable(source) else Settings.from_env(source)


def _without_settings(exc: ConfigurationError) -> list[Finding]:
    why = skipped("the settings have to be right first")
    findings = _of("settings", ((exc.alias, remark) for remark in judge_problems(exc.problems)))
    return findings + [Finding(check, None, *why) for check in (*JUDGEMENTS, "migrations")]


def _examine(settings: Settings, timeout: float, processes: int) -> list[Finding]:
    asked = partial(examine_migrations, settings, timeout * _QUESTION)
    calls: dict[str, Callable[[], AliasFacts | tuple[Remark, ...]]] = {_MIGRATIONS: asked}
    for alias, database in settings.items():
        calls[alias] = partial(gather, database, timeout * _GATHERING)
    outcomes = side_by_side(calls, timeout)
    migrations = outcomes.pop(_MIGRATIONS)
    facts = [_facts(settings[alias], outcome) for alias, outcome in outcomes.items()]
    findings = [
        *_of("settings", judge_settings(settings)),
        *_of("options", judge_warnings(settings)),
        *_of("pool", judge_budgets(facts, processes)),
    ]
    for one in facts:
        for check, judge in JUDGEMENTS.items():
            findings += _of(check, ((one.alias, remark) for remark in _judged(judge, one)))
    if not isinstance(migrations, tuple):
        late = isinstance(migrations, TimeoutError)
        why = "did not end in time" if late else f"failed ({type(migrations).__name__})"
        migrations = (skipped(f"looking at them {why}"),)
    return findings + _of("migrations", ((DEFAULT_ALIAS, remark) for remark in migrations))


def _facts(settings: DatabaseSettings, outcome: object) -> AliasFacts:
    if isinstance(outcome, AliasFacts):
        return outcome
    late = isinstance(outcome, TimeoutError)
    why = "it did not end in time" if late else f"it failed ({type(outcome).__name__})"
    return facts_without_probing(settings, f"the examination was cut off: {why}")


def _judged(
    judge: Callable[[AliasFacts], Iterator[Remark]], facts: AliasFacts
) -> Iterator[Remark]:
    try:
        yield from judge(facts)
    except Exception as exc:  # noqa: BLE001 - servers that imitate MongoDB leave fields out
        yield skipped(f"the server's answer can't be read ({type(exc).__name__})")


def _of(check: str, remarks: Iterable[tuple[str | None, Remark]]) -> list[Finding]:
    return [Finding(check, alias, *remark) for alias, remark in remarks]


def _cleaned(finding: Finding) -> Finding:
    """Without what could disturb a terminal, a server's names may hold it, and without the
    credentials of URIs, of which none should be there by now.

    Advice is ours, and holds examples of URIs.
    """
    printable = "".join(letter if letter.isprintable() else "?" for letter in finding.saw)
    return replace(finding, saw=redact(printable))
