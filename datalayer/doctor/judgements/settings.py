"""Connection issue 1: are the environment variables and settings right?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from datalayer.doctor.findings import Remark, error, note, ok, warning
from datalayer.settings import DatabaseSettings, Settings, prefix_of

_WHERE_FROM = "correct it; `datalayer config` shows every variable and where its value comes from"


def judge_problems(problems: Iterable[str]) -> Iterator[Remark]:
    """Settings that can't be used: a finding for each problem."""
    for problem in problems:
        saw, _, advice = problem.partition("; ")
        yield error(saw, advice or _WHERE_FROM)


def judge_settings(settings: Settings) -> Iterator[tuple[str | None, Remark]]:
    """What is configured, by alias, and what several aliases share."""
    for alias, database in settings.items():
        need = "required" if database.required else "optional"
        yield alias, ok(f"{_place(database)}, {need}")
    for one, other in combinations(settings.values(), 2):
        if one.kind != "mongodb" or not set(one.hosts) & set(other.hosts):
            continue
        both = f"{one.alias} and {other.alias}"
        if one.database == other.database:
            yield (
                None,
                warning(
                    f"{both} are the same database, {one.database}, so their collections mix",
                    "give one of them another database name in its URI",
                ),
            )
        else:
            yield (
                None,
                note(
                    f"{both} are databases of the same server: their pools are apart, its "
                    "processors, memory and disk are shared",
                    "put the second on a server of its own where it must not slow the first",
                ),
            )


def judge_warnings(settings: Settings) -> Iterator[tuple[str | None, Remark]]:
    """What reading the settings has already warned of: transport, contradictions."""
    for text in settings.warnings:
        saw, _, advice = text.partition("; ")
        yield _alias_of(text, settings), warning(saw, advice or _WHERE_FROM)


def _alias_of(text: str, settings: Settings) -> str | None:
    """The texts begin with the variable, or with the alias and the field."""
    named = [each for each in settings if text.startswith((prefix_of(each), f"{each}."))]
    return max(named, key=len, default=None)  # of eu and eu-archive, the longer one


def _place(database: DatabaseSettings) -> str:
    if database.kind == "mongodb":
        return f"{database.database} at {', '.join(database.hosts)}"
    return f"{database.database} on {database.kind}"
