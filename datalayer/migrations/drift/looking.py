"""Asks the servers how far they are from the models. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from datalayer import indexes, schema
from datalayer.context.deadlines import deadline
from datalayer.migrations.drift.values import Drift, Place, UnknownField
from datalayer.schema import Finding
from datalayer.schema.targets import Target, targets

_OUT_OF_REACH = ("[]", "*", "$")
"""In paths that lead through lists and maps, and in names that an expression can't hold."""


def drift(
    models: Iterable[Any] | None = None,
    *,
    aliases: Sequence[str] | None = None,
    collection: str | None = None,
    seconds: float = 600.0,
    on_progress: Callable[[schema.CheckProgress], object] | None = None,
) -> Drift:
    """What ``schema check`` and ``indexes diff`` find, and what unknown fields have in common with
    those of the models. The arguments, and what is raised, are those of ``schema.check``.
    """
    models = None if models is None else tuple(models)
    looked_at = targets(models, aliases=aliases, collection=collection)
    findings = tuple(
        schema.check(
            models,
            aliases=aliases,
            collection=collection,
            seconds=seconds,
            on_progress=on_progress,
        )
    )
    places = {(each.alias, each.name): each for each in looked_at}
    return Drift(
        findings,
        differences=tuple(_differences(places)),
        unknown=tuple(_unknown(findings, places, seconds)),
        defaults=_defaults(findings, places),
        totals=dict(_totals(findings, places)),
    )


def _totals(
    findings: Sequence[Finding], places: Mapping[tuple[str, str], Target]
) -> Iterator[tuple[tuple[str, str], int]]:
    for place in dict.fromkeys((each.alias, each.collection) for each in findings):
        with places[place].reading() as collection:
            yield place, collection.estimated_document_count()


def _differences(places: Mapping[tuple[str, str], Target]) -> Iterator[indexes.CollectionDiff]:
    for alias in dict.fromkeys(alias for alias, _ in places):
        for each in indexes.diff(alias):
            if (alias, each.collection) in places:
                yield each


def _unknown(
    findings: Sequence[Finding], places: Mapping[tuple[str, str], Target], seconds: float
) -> Iterator[UnknownField]:
    for each in findings:
        if each.rule == "unknown_field" and not any(part in each.path for part in _OUT_OF_REACH):
            with deadline(seconds):
                yield _measured(each, places[each.alias, each.collection])


def _measured(finding: Finding, target: Target) -> UnknownField:
    """One pass over the documents that have the field."""
    parent = finding.path.rpartition(".")[0]
    wanted = {
        (f"{parent}.{name}" if parent else name): kinds
        for name, kinds in fields_at(target.schema, parent).items()
        if name not in ("_id", "_cls") and not any(part in name for part in _OUT_OF_REACH)
    }
    names = list(wanted)
    lacking = {
        f"n{number}": {"$sum": {"$cond": [{"$eq": [{"$type": f"${name}"}, "missing"]}, 1, 0]}}
        for number, name in enumerate(names)
    }
    pipeline: list[dict[str, Any]] = [
        {"$match": {finding.path: {"$exists": True}}},
        {
            "$group": {
                "_id": None,
                "documents": {"$sum": 1},
                "types": {"$addToSet": {"$type": f"${finding.path}"}},
                **lacking,
            }
        },
    ]
    with target.reading() as collection:
        found: dict[str, Any] = next(iter(collection.aggregate(pipeline)), {})
    return UnknownField(
        finding.alias,
        finding.collection,
        finding.path,
        documents=found.get("documents", 0),
        types=frozenset(found.get("types", ())),
        lacking={name: found.get(f"n{number}", 0) for number, name in enumerate(names)},
        wanted=wanted,
    )


def fields_at(part: Mapping[str, Any], path: str) -> dict[str, frozenset[str]]:
    """The fields that a schema has at ``path``, with the types that it wants of each; of all
    classes together, where there are several."""
    for name in filter(None, path.split(".")):
        part = {"anyOf": [each["properties"][name] for each in _classes(part, name)]}
    found: dict[str, frozenset[str]] = {}
    for each in _classes(part):
        for name, field in each["properties"].items():
            kinds = field.get("bsonType", ())
            kinds = frozenset([kinds] if isinstance(kinds, str) else kinds)
            found[name] = found.get(name, frozenset()) | kinds
    return found


def _classes(part: Mapping[str, Any], name: str | None = None) -> Iterator[Mapping[str, Any]]:
    if "properties" in part and (name is None or name in part["properties"]):
        yield part
    for keyword in ("anyOf", "oneOf", "allOf"):
        for each in part.get(keyword, ()):
            yield from _classes(each, name)


def _defaults(
    findings: Sequence[Finding], places: Mapping[tuple[str, str], Target]
) -> dict[Place, Any]:
    found: dict[Place, Any] = {}
    for each in findings:
        if each.rule == "missing":
            for model in places[each.alias, each.collection].plan.models:
                for field in model._fields.values():
                    if field.db_field == each.path and field.default is not None:
                        found[each.alias, each.collection, each.path] = _stored_default(field)
    return found


def _stored_default(field: Any) -> Any:
    """As it would be stored; a function other than those of an empty list or map as it is."""
    default = field.default
    if callable(default):
        return default() if default in (list, dict) else default
    return field.to_mongo(default)
