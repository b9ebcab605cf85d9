"""How many documents of a collection break which rule? Has the server look, in few passes.

A query for each rule would read the collection once for each. So one query looks for the ids of
the documents that break any of them, and while they come, the rules are counted among those: one
pass, which costs what the whole schema costs in one query. Where very many documents break
something, the rules that many of them break are counted by themselves, which is quick for a
single rule, and the rest is looked at again without them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pymongo.collection import Collection

from datalayer.schema.paths import names_at
from datalayer.schema.rules import Rule, merged, split_unknown
from datalayer.schema.together import together

MOST_IDS = 5
_SAMPLE = 2500
"""Documents that are looked at together."""
_MOST_SAMPLES = 4
"""With more documents that break something, rules are counted by themselves."""
_COMMON = 10
"""Those that at least one of so many documents breaks."""
_DOTTED = re.compile(r"\.")  # a schema takes such a name for a path, and an empty one for none
_RULES_AT_ONCE = 40  # the server takes a limited number of stages
_NUMBER_AND_IDS = {"$group": {"_id": None, "documents": {"$sum": 1}, "ids": {"$push": "$_id"}}}
_FIRST_IDS = {"$project": {"documents": 1, "ids": {"$slice": ["$ids", MOST_IDS]}}}


@dataclass(frozen=True)
class Broken:
    """A rule, and the documents that break it."""

    rule: Rule
    documents: int
    ids: tuple[Any, ...]


def count_broken(
    collection: Collection[Any], rules: Sequence[Rule], whole: Mapping[str, Any] | None = None
) -> list[Broken]:
    """The ``rules`` that documents of ``collection`` break, in their order.

    ``whole`` is a filter for the documents that break any of them, where a shorter one is known.
    """
    order = {(rule.path, rule.keyword): number for number, rule in enumerate(rules)}
    found: list[Broken] = []
    left = list(rules)
    broken = whole or _any_of(left)
    while left:
        look = _look(collection, left, broken)
        counts = list(look.counts.values())
        if look.complete or not counts:
            found += counts or _unexplained(look)
            break
        most = max(each.documents for each in counts)
        enough = min(most, look.documents // _COMMON)
        common = [each for each in counts if each.documents >= enough]
        for each in common:
            total = collection.count_documents(each.rule.broken)
            found.append(replace(each, documents=total))
        done = [each.rule for each in common]
        left = [rule for rule in look.rules if rule not in done]
        broken = _any_of(left)
    return sorted(
        found, key=lambda each: order.get((each.rule.path, each.rule.keyword), len(order))
    )


@dataclass
class _Look:
    """What one pass has found so far."""

    rules: list[Rule]
    """With a rule of its own for each unknown field that was met."""
    counts: dict[tuple[str, str, str], Broken]
    documents: int = 0
    ids: tuple[Any, ...] = ()
    complete: bool = True
    """Whether it went through the whole collection."""


def _look(collection: Collection[Any], rules: Sequence[Rule], broken: Mapping[str, Any]) -> _Look:
    look = _Look(list(rules), {})
    with collection.find(broken, {"_id": 1}, batch_size=_SAMPLE) as cursor:
        for number in range(_MOST_SAMPLES + 1):
            sample = [each["_id"] for each in islice(cursor, _SAMPLE)]
            if not sample:
                break
            if number == _MOST_SAMPLES:
                look.complete = False
                break
            look.documents += len(sample)
            look.ids = look.ids or tuple(sample[:MOST_IDS])
            look.rules = merged(_split(collection, look.rules, sample))
            for each in _counted(collection, look.rules, sample):
                _add(look.counts, each)
    return look


def _add(counts: dict[tuple[str, str, str], Broken], more: Broken) -> None:
    key = (more.rule.path, more.rule.keyword, more.rule.detail)
    before = counts.get(key, Broken(more.rule, 0, ()))
    ids = (*before.ids, *more.ids)[:MOST_IDS]
    counts[key] = Broken(more.rule, before.documents + more.documents, ids)


def _unexplained(look: _Look) -> list[Broken]:
    """Documents that the server finds to break the whole, and none of its rules."""
    if not look.documents:
        return []
    rule = Rule("", "not_allowed", "$jsonSchema", "the schema as a whole", {})
    return [Broken(rule, look.documents, look.ids)]


def _any_of(rules: Sequence[Rule]) -> dict[str, Any]:
    return {"$nor": [{"$jsonSchema": together(rule.schema for rule in rules)}]}


def _counted(
    collection: Collection[Any], rules: Sequence[Rule], sample: Sequence[Any]
) -> list[Broken]:
    """Those of ``rules`` that documents of the sample break."""
    found = []
    for start in range(0, len(rules), _RULES_AT_ONCE):
        some = rules[start : start + _RULES_AT_ONCE]
        branches = {
            f"rule{number}": [{"$match": rule.broken}, _NUMBER_AND_IDS, _FIRST_IDS]
            for number, rule in enumerate(some)
        }
        answer = _of_sample(collection, sample, [{"$facet": branches}])[0]
        for number, rule in enumerate(some):
            found += [
                Broken(rule, each["documents"], tuple(each["ids"]))
                for each in answer[f"rule{number}"]
            ]
    return found


def _split(
    collection: Collection[Any], rules: Sequence[Rule], sample: Sequence[Any]
) -> Iterator[Rule]:
    for rule in rules:
        names = _unknown_names(collection, rule, sample) if rule.nameable else []
        yield from split_unknown(rule, names) if names else [rule]


def _unknown_names(collection: Collection[Any], rule: Rule, sample: Sequence[Any]) -> list[str]:
    """Fields that documents which break the rule have in its place: among them all that make
    them break it."""
    known = sorted((rule.named or {}).get("properties", {}))
    stages: list[dict[str, Any]] = [
        {"$match": rule.broken},
        *names_at(rule.path),
        {"$group": {"_id": "$name", "documents": {"$sum": 1}}},
        {"$match": {"_id": {"$nin": ["", *known], "$not": _DOTTED}}},
        {"$sort": {"documents": -1, "_id": 1}},
        {"$limit": rule.nameable},
    ]
    return [each["_id"] for each in _of_sample(collection, sample, stages)]


def _of_sample(
    collection: Collection[Any], sample: Sequence[Any], stages: Sequence[Mapping[str, Any]]
) -> list[Any]:
    chosen = {"$match": {"_id": {"$in": list(sample)}}}
    return list(collection.aggregate([chosen, *stages]))
