"""Which documents are tried? A random sample of each collection that the migrations touch, taken
to a private server with the collection's indexes and options."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import IndexModel, MongoClient

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.documents.collection import plain_collection
from datalayer.indexes.existing import collections, own_session
from datalayer.migrations.history import HISTORY, LEASE
from datalayer.migrations.rehearsal.report import Sample
from datalayer.migrations.report import PlannedMigration
from datalayer.transfer.codecs import DECODED, RAW

_BATCH = 500
_SERVERS_OWN = ("v", "ns")
_OWN_PREFIXES = ("datalayer_", "system.")


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
    places: Collection[tuple[str, str]],
    size: int,
    private: MongoClient[Any],
    databases: Mapping[str, str],
) -> Iterator[Sample]:
    """Bring up to ``size`` documents of each collection in ``places`` to ``private``, into the
    database that stands for its alias; of all other collections what they are without documents,
    as models of theirs may be used. Raises the driver's errors."""
    done: set[tuple[str, str]] = set()  # two aliases may have one database
    for alias, database in databases.items():
        connection = registry.connection(alias)
        with own_session(connection) as session:
            found = collections(connection, session)
        for name, listed in found.items():
            if (database, name) in done or name.startswith(_OWN_PREFIXES):
                continue
            done.add((database, name))
            target = private[database].create_collection(name, **listed.get("options", {}))
            if listed["type"] == "view":
                continue
            source = plain_collection(connection, name).with_options(codec_options=RAW)
            if (alias, name) in places and listed["type"] == "collection":
                total = source.estimated_document_count()
                taken = _copied(_random(source, size, total), target)
                yield Sample(alias, name, taken, max(total, taken))
            _build_indexes(source, target)


def take_history(private: MongoClient[Any], databases: Mapping[str, str]) -> None:
    """Bring the history of migrations, so that only those are tried that are pending."""
    source = plain_collection(registry.connection(DEFAULT_ALIAS), HISTORY)
    entries = source.with_options(codec_options=RAW).find({"_id": {"$ne": LEASE}})
    _copied(entries, private[databases[DEFAULT_ALIAS]][HISTORY])


def _random(source: Any, size: int, total: int) -> Any:
    if total <= size:
        return source.find({}).limit(size)
    return source.aggregate([{"$sample": {"size": size}}], allowDiskUse=True)


def _copied(documents: Iterable[RawBSONDocument], target: Any) -> int:
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


def _build_indexes(source: Any, target: Any) -> None:
    for found in source.list_indexes():
        if found["name"] != "_id_":
            options = {
                key: value for key, value in found.items() if key not in (*_SERVERS_OWN, "key")
            }
            target.create_indexes([IndexModel(list(found["key"].items()), **options)])
