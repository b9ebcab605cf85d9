"""How many documents of a collection break which rule? Has the server look, in few passes.

A query for each rule would read the collection once for each. So a first query looks for the ids
of the first few thousand documents that break any, and the rules are counted among those. Were
there fewer, that is all: one pass, which costs what the whole schema costs in one query. Else the
rules that many of them break are counted by themselves, which is quick for a single rule, and the
rest is looked at again without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pymongo.collection import Collection

from datalayer.schema.paths import names_at
from datalayer.schema.rules import Rule, merged, split_unknown
from datalayer.schema.together import together

MOST_IDS = 5
_SAMPLE = 5000
_COMMON = _SAMPLE // 10
"""A rule that as many of a sample break would fill the next sample, too."""
_MOST_NAMES = 50
"""Unknown fields that are told by their names, for each place: the most frequent ones."""
_RULES_AT_ONCE = 40  # the server takes a limited number of stages


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
        sample = [each["_id"] for each in collection.find(broken, {"_id": 1}).limit(_SAMPLE)]
        if not sample:
            break
        left = _named(collection, left, sample)
        counts = _counted(collection, left, sample)
        if len(sample) < _SAMPLE or not counts:
            found += counts or _unexplained(sample)
            break
        most = max(counts, key=lambda each: each.documents)
        common = [each for each in counts if each.documents >= _COMMON] or [most]
        for each in common:
            total = collection.count_documents(each.rule.broken)
            found.append(replace(each, documents=total))
        done = [each.rule for each in common]
        left = [rule for rule in left if rule not in done]
        broken = _any_of(left)
    found = [each for each in found if each.documents]  # the others were changed meanwhile
    return sorted(
        found, key=lambda each: order.get((each.rule.path, each.rule.keyword), len(order))
    )


def _unexplained(sample: Sequence[Any]) -> list[Broken]:
    """Documents that the server finds to break the whole, and none of its rules."""
    rule = Rule("", "not_allowed", "$jsonSchema", "the schema as a whole", {})
    return [Broken(rule, len(sample), tuple(sample[:MOST_IDS]))]


def _any_of(rules: Sequence[Rule]) -> dict[str, Any]:
    return {"$nor": [{"$jsonSchema": together(rule.schema for rule in rules)}]}


def _counted(
    collection: Collection[Any], rules: Sequence[Rule], sample: Sequence[Any]
) -> list[Broken]:
    """Those of ``rules`` that documents of the sample break."""
    found = []
    for start in range(0, len(rules), _RULES_AT_ONCE):
        some = rules[start : start + _RULES_AT_ONCE]
        branches: dict[str, Any] = {}
        for number, rule in enumerate(some):
            chosen = {"$match": rule.broken}
            branches[f"count{number}"] = [chosen, {"$count": "documents"}]
            branches[f"ids{number}"] = [chosen, {"$limit": MOST_IDS}, {"$project": {"_id": 1}}]
        answer = _of_sample(collection, sample, [{"$facet": branches}])[0]
        for number, rule in enumerate(some):
            for count in answer[f"count{number}"]:
                ids = tuple(each["_id"] for each in answer[f"ids{number}"])
                found.append(Broken(rule, count["documents"], ids))
    return found


def _named(
    collection: Collection[Any], rules: Sequence[Rule], sample: Sequence[Any]
) -> list[Rule]:
    """The rules, with a rule of its own for each unknown field that the sample has."""
    return merged(_split(collection, rules, sample))


def _split(
    collection: Collection[Any], rules: Sequence[Rule], sample: Sequence[Any]
) -> Iterator[Rule]:
    for rule in rules:
        if rule.wrap is None:
            yield rule
            continue
        names = _unknown_names(collection, rule, sample)
        yield from split_unknown(rule, names) if names else [rule]


def _unknown_names(collection: Collection[Any], rule: Rule, sample: Sequence[Any]) -> list[str]:
    """Fields that documents which break the rule have in its place: among them all that make
    them break it."""
    known = sorted((rule.named or {}).get("properties", {}))
    stages: list[dict[str, Any]] = [
        {"$match": rule.broken},
        *names_at(rule.path),
        {"$group": {"_id": "$name", "documents": {"$sum": 1}}},
        {"$match": {"_id": {"$nin": known}}},
        {"$sort": {"documents": -1, "_id": 1}},
        {"$limit": _MOST_NAMES},
    ]
    return [each["_id"] for each in _of_sample(collection, sample, stages)]


def _of_sample(
    collection: Collection[Any], sample: Sequence[Any], stages: Sequence[Mapping[str, Any]]
) -> list[Any]:
    chosen = {"$match": {"_id": {"$in": list(sample)}}}
    return list(collection.aggregate([chosen, *stages]))
