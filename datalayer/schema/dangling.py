"""Which references lead to nothing? The ids that documents refer to are looked up in batches, in
whichever database they lead into. (``$lookup`` within a database takes three times as long.)"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import bson
from bson import ObjectId

from datalayer.connections.registry import registry
from datalayer.schema.checking import LOOK_SECONDS, Finding, Tell, looked_through, looking
from datalayer.schema.counting import MOST_IDS
from datalayer.schema.paths import Stages, values_at
from datalayer.schema.reference_fields import Home, References, home_of_class, references_of
from datalayer.schema.targets import Target, reading, targets

_BATCH = 2000  # left to itself, the server sends 16 MB of them at once
_MOST_REMEMBERED = 50_000  # ids of documents that are there, which others refer to as well


def references(
    models: Iterable[Any] | None = None,
    *,
    aliases: Sequence[str] | None = None,
    collection: str | None = None,
    seconds: float = LOOK_SECONDS,
    on_progress: Tell | None = None,
) -> list[Finding]:
    """Which references of stored documents lead to nothing, and in how many documents.

    All kinds of references of MongoEngine and datalayer are looked at, in lists, maps and
    embedded documents too, and wherever the documents are that they lead to: all those databases
    have to be connected. Of a document that holds documents of its own kind, the outermost is
    looked at. Findings have the rule ``dangling_reference``, or ``unknown_class`` where a generic
    reference names no model that is known. The arguments are those of ``check``.

    Raises:
        ConfigurationError: for a reference to a model that isn't known.

    and what ``check`` raises.
    """
    chosen = targets(models, aliases=aliases, collection=collection)
    places = {(each.alias, each.name): references_of(each.plan.models) for each in chosen}
    found: list[Finding] = []
    for target in looked_through(chosen, on_progress):
        with looking(target, seconds):
            for each in places[target.alias, target.name]:
                found += _dangling(target, each)
    return found


def _dangling(target: Target, refs: References) -> Iterator[Finding]:
    if refs.homes is not None:
        stages = [*values_at(refs.path), *_ids_in(refs)]
        yield from _findings(target, refs, stages, refs.homes)
        return
    for name in _classes(target, refs):
        of_class: Stages = [*values_at(refs.path), {"$match": {"value._cls": name}}]
        home = home_of_class(name)
        if home is None:
            detail = f"no model that is known is called {name}"
            ids = [*of_class, {"$group": {"_id": "$_id"}}]
            yield from _told(target, refs, "unknown_class", detail, *_counted(target, ids))
        else:
            yield from _findings(target, refs, [*of_class, *_ids_in(refs)], (home,))


def _findings(
    target: Target, refs: References, stages: Stages, homes: Sequence[Home]
) -> Iterator[Finding]:
    where = " or ".join(f"{home.collection} on {home.alias}" for home in homes)
    found = _without_document(target, stages, homes)
    yield from _told(target, refs, "dangling_reference", f"documents of {where}", *found)


def _ids_in(refs: References) -> Stages:
    paths = [f"$value.{path}" if path else "$value" for path in refs.id_paths]
    return [{"$project": {"value": {"$ifNull": paths}}}, {"$match": {"value": {"$ne": None}}}]


def _classes(target: Target, refs: References) -> list[str]:
    stages = [*values_at(refs.path), {"$group": {"_id": "$value._cls"}}, {"$sort": {"_id": 1}}]
    with target.reading() as collection:
        found = [each["_id"] for each in collection.aggregate(stages)]
    return [name for name in found if isinstance(name, str)]


def _counted(target: Target, stages: Stages) -> tuple[int, list[Any]]:
    """How many documents the stages give, and some of their ids."""
    counted = {"$facet": {"count": [{"$count": "documents"}], "ids": [{"$limit": MOST_IDS}]}}
    with target.reading() as collection:
        (answer,) = collection.aggregate([*stages, counted], allowDiskUse=True)
    count = answer["count"][0]["documents"] if answer["count"] else 0
    return count, [each["_id"] for each in answer["ids"]]


def _without_document(
    target: Target, stages: Stages, homes: Sequence[Home]
) -> tuple[int, list[Any]]:
    """How many documents hold a reference to none of those in ``homes``, and some of their
    ids."""
    count = 0
    last: Hashable = None
    ids: list[Any] = []
    present: set[Hashable] = set()
    with target.reading() as collection:
        for batch in _batches(collection.aggregate(stages, batchSize=_BATCH)):
            if len(present) > _MOST_REMEMBERED:
                present.clear()
            wanted = {_key(value): value for _, value in batch}
            for home in homes:
                missing = [value for key, value in wanted.items() if key not in present]
                present |= _present(home, missing)
            for identifier, value in batch:
                # The references of one document come one after the other.
                if _key(value) not in present and _key(identifier) != last:
                    last = _key(identifier)
                    count += 1
                    ids += [identifier] if len(ids) < MOST_IDS else []
    return count, ids


def _batches(found: Iterable[Any]) -> Iterator[list[tuple[Any, Any]]]:
    batch = []
    for each in found:
        batch.append((each["_id"], each["value"]))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _present(home: Home, wanted: Sequence[Any]) -> set[Hashable]:
    if not wanted:
        return set()
    with reading(registry.connection(home.alias), home.collection) as collection:
        found = collection.find({"_id": {"$in": list(wanted)}}, {"_id": 1})
        return {_key(each["_id"]) for each in found}


def _key(value: Any) -> Hashable:
    """The same for values that the server takes for the same: whole numbers of any size."""
    if isinstance(value, (ObjectId, str)):
        return value
    whole = isinstance(value, float) and value.is_integer()
    return bson.encode({"": int(value) if whole else value})


def _told(
    target: Target, refs: References, rule: str, detail: str, count: int, ids: Sequence[Any]
) -> Iterator[Finding]:
    if count:
        yield Finding(
            alias=target.alias,
            database=target.connection.settings.database,
            collection=target.name,
            path=refs.path,
            rule=rule,
            keyword="reference",
            documents=count,
            ids=tuple(ids),
            detail=detail,
        )
