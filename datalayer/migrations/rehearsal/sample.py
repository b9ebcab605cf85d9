"""Which documents are tried? A random sample of each collection that the migrations touch, taken
to a private server with the collection's indexes and options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import IndexModel, MongoClient
from pymongo.collection import Collection

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.documents.collection import plain_collection
from datalayer.indexes.existing import collections, own_session
from datalayer.migrations.history import HISTORY, LEASE
from datalayer.migrations.rehearsal.report import Sample
from datalayer.migrations.report import PlannedMigration
from datalayer.transfer.codecs import DECODED, RAW

_BATCH = 500
_SERVERS_OWN = ("v", "ns")


def touched(planned: Iterable[PlannedMigration]) -> list[tuple[str, str]]:
    """Alias and name of the collections that the steps of ``planned`` name. A transfer names those
    that it writes; what it reads is looked for under the same names on the other aliases."""
    found: dict[tuple[str, str], None] = {}
    aliases = sorted(registry.aliases(), key=len, reverse=True)  # an alias may have dots
    for step in (step for each in planned for step in each.steps):
        own = next((alias for alias in aliases if step.target.startswith(f"{alias}.")), None)
        if own is None:
            continue
        for name in step.target.removeprefix(f"{own}.").split(", "):
            for alias in aliases if step.kind == "transfer" else [own]:
                found[alias, name] = None
    return list(found)


def take(
    places: Sequence[tuple[str, str]],
    size: int,
    private: MongoClient[Any],
    databases: Mapping[str, str],
) -> Iterator[Sample]:
    """Bring up to ``size`` documents of each collection to ``private``, into the database that
    stands for its alias. Raises the driver's errors."""
    done: set[tuple[str, str]] = set()  # two aliases may have one database
    for alias, name in places:
        target = private[databases[alias]]
        if (target.name, name) in done:
            continue
        done.add((target.name, name))
        with own_session(registry.connection(alias)) as session:
            found = collections(registry.connection(alias), session, [name]).get(name)
        if found is None or found.get("type") != "collection":
            continue  # a step tells of it better
        source = plain_collection(registry.connection(alias), name).with_options(codec_options=RAW)
        target.create_collection(name, **found.get("options", {}))
        total = source.estimated_document_count()
        taken = _copied(_random(source, size, total), target[name])
        _build_indexes(source, target[name])
        yield Sample(alias, name, taken, max(total, taken))


def take_history(private: MongoClient[Any], databases: Mapping[str, str]) -> None:
    """Bring the history of migrations, so that only those are tried that are pending."""
    source = plain_collection(registry.connection(DEFAULT_ALIAS), HISTORY)
    entries = source.with_options(codec_options=RAW).find({"_id": {"$ne": LEASE}})
    _copied(entries, private[databases[DEFAULT_ALIAS]][HISTORY])


def _random(source: Collection[Any], size: int, total: int) -> Iterable[Any]:
    if total <= size:
        return source.find({}).limit(size)
    return source.aggregate([{"$sample": {"size": size}}], allowDiskUse=True)


def _copied(documents: Iterable[RawBSONDocument], target: Collection[Any]) -> int:
    seen: set[bytes] = set()  # a sample may hold a document twice
    batch: list[RawBSONDocument] = []
    for document in documents:
        id = bson.encode({"": document["_id"]}, codec_options=DECODED)
        if id not in seen:
            seen.add(id)
            batch.append(document)
        if len(batch) == _BATCH:
            target.insert_many(batch, ordered=False, bypass_document_validation=True)
            batch = []
    if batch:
        target.insert_many(batch, ordered=False, bypass_document_validation=True)
    return len(seen)


def _build_indexes(source: Collection[Any], target: Collection[Any]) -> None:
    for found in source.list_indexes():
        if found["name"] != "_id_":
            options = {
                key: value for key, value in found.items() if key not in (*_SERVERS_OWN, "key")
            }
            target.create_indexes([IndexModel(list(found["key"].items()), **options)])
