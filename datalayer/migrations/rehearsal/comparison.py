"""Is everything as it was? Digests of all documents, with indexes and options."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import bson

from datalayer.connections.registry import registry
from datalayer.documents.collection import plain_collection
from datalayer.documents.timestamps import keeps_timestamp
from datalayer.indexes.declared import registered_on
from datalayer.migrations.rehearsal.report import NotRestored
from datalayer.transfer.codecs import DECODED

_OWN_PREFIXES = ("datalayer_", "system.")
_MOST_IDS = 5


@dataclass(frozen=True)
class State:
    """A collection at one moment."""

    documents: Mapping[bytes, bytes]
    """The digest of each document, by its id."""
    indexes: frozenset[bytes]
    options: bytes


Place = tuple[str, str]


def states(aliases: Iterable[str]) -> dict[Place, State]:
    """All collections of the application's, by alias and name. What documents count by themselves
    with each write, ``updated_at`` and the version, is left out: no undo puts it back."""
    found: dict[Place, State] = {}
    for alias in aliases:
        for each in registry.connection(alias).database.list_collections():
            if each["type"] == "collection" and not each["name"].startswith(_OWN_PREFIXES):
                found[alias, each["name"]] = _state(alias, each)
    return found


def differences(before: Mapping[Place, State], after: Mapping[Place, State]) -> list[NotRestored]:
    """What is not as it was. A collection that was empty may be gone, and the other way round."""
    return [
        each
        for place in sorted({*before, *after})
        for each in _differences(place, before.get(place, _NOTHING), after.get(place, _NOTHING))
    ]


_NOTHING = State({}, frozenset(), b"")


def _differences(place: Place, before: State, after: State) -> Iterator[NotRestored]:
    both = before.documents.keys() & after.documents.keys()
    documents = {
        "changed": [id for id in both if before.documents[id] != after.documents[id]],
        "missing": before.documents.keys() - after.documents.keys(),
        "new": after.documents.keys() - before.documents.keys(),
    }
    for what, ids in documents.items():
        if ids:
            shown = tuple(map(_shown, sorted(ids)[:_MOST_IDS]))
            yield NotRestored(*place, what, len(ids), shown)
    if before is not _NOTHING and after is not _NOTHING:
        if before.indexes != after.indexes:
            yield NotRestored(*place, "indexes", 0, ())
        if before.options != after.options:
            yield NotRestored(*place, "options", 0, ())


def _counted(alias: str, collection: str) -> set[str]:
    models = [m for m in registered_on(alias) if m._get_collection_name() == collection]
    stamps = {m._fields["updated_at"].db_field for m in models if keeps_timestamp(m, "updated_at")}
    versions = {getattr(model, "_version_key", None) for model in models}
    return stamps | {key for key in versions if key is not None}


def _state(alias: str, listed: Mapping[str, Any]) -> State:
    counted = _counted(alias, listed["name"])
    collection = plain_collection(registry.connection(alias), listed["name"])
    stored = collection.with_options(codec_options=DECODED).find({})
    return State(
        documents={
            _bytes({"": each["_id"]}): hashlib.sha256(_bytes(_in_order(each, counted))).digest()
            for each in stored
        },
        indexes=frozenset(_bytes(each) for each in collection.list_indexes()),
        options=_bytes(listed.get("options", {})),
    )


def _bytes(document: Mapping[str, Any]) -> bytes:
    return bson.encode(dict(document), codec_options=DECODED)


def _in_order(value: Any, without: Collection[str] = ()) -> Any:
    """With fields by their names: renaming one, and back, puts it behind the others."""
    if isinstance(value, Mapping):
        return {name: _in_order(value[name]) for name in sorted(value) if name not in without}
    return [_in_order(each) for each in value] if isinstance(value, list) else value


def _shown(id: bytes) -> str:
    return repr(bson.decode(id, DECODED)[""])
