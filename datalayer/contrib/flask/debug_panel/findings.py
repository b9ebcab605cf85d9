"""What is conspicuous about the commands of a request: the N+1, and the same asked twice. Pure
functions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from datalayer.contrib.flask.debug_panel.callers import NOBODY, Caller
from datalayer.contrib.flask.debug_panel.recording import Query

TOLD_FROM = 3
"""So many queries of one shape from one line are an N+1: two may be a pair that belongs together.
"""
_CONTINUING = frozenset({"getMore", "killCursors"})


@dataclass(frozen=True)
class Repeated:
    """Commands of the same kind from one line of the application."""

    count: int
    milliseconds: float
    query: Query
    """The first of them."""


@dataclass(frozen=True)
class Total:
    """What was sent to one database."""

    alias: str
    count: int
    milliseconds: float


def n_plus_one(queries: Iterable[Query]) -> list[Repeated]:
    """Queries of the same shape from the same line: one for each of a list's items, most of the
    time. The most frequent first."""

    def kind(query: Query) -> Hashable:
        where: Caller = query.caller
        return (query.alias, query.database, query.collection, query.operation, query.shape, where)

    return _repeated((each for each in queries if each.caller != NOBODY), kind, TOLD_FROM)


def duplicates(queries: Iterable[Query]) -> list[Repeated]:
    """Reads that asked for the same, values included, from wherever."""
    reads = [query for query in queries if query.fingerprint is not None]
    return _repeated(reads, lambda query: (query.alias, query.fingerprint), 2)


def totals(queries: Iterable[Query]) -> list[Total]:
    """How many commands went to each database, and how long they took."""
    times: dict[str, list[float]] = {}
    for query in queries:
        times.setdefault(query.alias, []).append(query.milliseconds)
    return [Total(alias, len(each), sum(each)) for alias, each in times.items()]


def _repeated(
    queries: Iterable[Query], kind: Callable[[Query], Hashable], told_from: int
) -> list[Repeated]:
    found: dict[Hashable, list[Query]] = {}
    for query in queries:
        if query.operation not in _CONTINUING:
            found.setdefault(kind(query), []).append(query)
    repeated = [
        Repeated(len(alike), sum(each.milliseconds for each in alike), alike[0])
        for alike in found.values()
        if len(alike) >= told_from
    ]
    return sorted(repeated, key=lambda each: -each.count)
