"""Gives the target collection the source's options and indexes, and takes them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pymongo
from pymongo import IndexModel

from datalayer.indexes import Index, compare
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.plan import Part, Plan

_BUILD_SECONDS = 600.0
_NOT_OF_CREATE = frozenset({"uuid", "autoIndexId", "idIndex"})


def exists(endpoint: Endpoint, name: str) -> bool:
    """Whether there is a collection of that name."""
    return bool(endpoint.database.list_collection_names(filter={"name": name}))


def create(plan: Plan, part: Part, endpoint: Endpoint) -> None:
    """Create the target, with the source's options unless the plan leaves them alone."""
    options = part.options if plan.carry_options else {}
    options = {name: value for name, value in options.items() if name not in _NOT_OF_CREATE}
    if not exists(endpoint, part.target):
        endpoint.database.create_collection(part.target, check_exists=False, **options)


def missing_indexes(plan: Plan, part: Part, endpoint: Endpoint) -> list[str]:
    """The names of the source's indexes that the target lacks."""
    if not plan.carry_options:
        return []
    expected = [Index.of(index) for index in part.indexes]
    actual = [Index.of(index) for index in endpoint.collection(part.target).list_indexes()]
    missing, _, _ = compare(expected, actual)
    return [index.name for index in missing]


def build_indexes(part: Part, names: list[str], endpoint: Endpoint) -> None:
    """Build the indexes ``names`` of the source in the target."""
    indexes = [_model(index, part) for index in part.indexes if index["name"] in names]
    if indexes:
        with pymongo.timeout(_BUILD_SECONDS):
            endpoint.collection(part.target).create_indexes(indexes)


def take_back(part: Part, endpoint: Endpoint, *, created: bool, indexes: list[str]) -> None:
    """Drop what ``create`` and ``build_indexes`` made: the collection only where it is empty."""
    collection = endpoint.collection(part.target)
    if created and collection.find_one({}, {"_id": True}) is None:
        collection.drop()
        return
    present = collection.index_information() if exists(endpoint, part.target) else {}
    for name in indexes:
        if name in present:
            collection.drop_index(name)


def _model(index: Mapping[str, Any], part: Part) -> IndexModel:
    options = {name: value for name, value in index.items() if name not in ("key", "v", "ns")}
    if "collation" in part.options:
        # The server leaves the simple collation unsaid, and gives the collection's to an index
        # that is created without one.
        options.setdefault("collation", {"locale": "simple"})
    return IndexModel(list(index["key"].items()), **options)
