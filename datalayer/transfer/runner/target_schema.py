"""Gives the target collection the source's options and indexes, and takes them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pymongo
from pymongo import IndexModel

from datalayer.indexes import Index, compare
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.job import Job
from datalayer.transfer.plan import Part

_BUILD_SECONDS = 600.0
_NOT_OF_CREATE = frozenset({"uuid", "autoIndexId", "idIndex"})


def exists(endpoint: Endpoint, name: str) -> bool:
    """Whether there is a collection of that name."""
    return bool(endpoint.database.list_collection_names(filter={"name": name}))


def create(job: Job) -> None:
    """Create the target, with the source's options unless the plan leaves them alone."""
    options = job.part.options if job.plan.carry_options else {}
    options = {name: value for name, value in options.items() if name not in _NOT_OF_CREATE}
    if not exists(job.destination, job.part.target):
        job.destination.database.create_collection(job.part.target, check_exists=False, **options)


def missing_indexes(job: Job) -> list[str]:
    """The names of the source's indexes that the target lacks."""
    if not job.plan.carry_options:
        return []
    expected = [Index.of(index) for index in job.part.indexes]
    collection = job.destination.collection(job.part.target)
    actual = [Index.of(index) for index in collection.list_indexes()]
    missing, _, _ = compare(expected, actual)
    return [index.name for index in missing]


def build_indexes(job: Job, names: list[str]) -> None:
    """Build the indexes ``names`` of the source in the target."""
    indexes = [_model(index, job.part) for index in job.part.indexes if index["name"] in names]
    if indexes:
        with pymongo.timeout(_BUILD_SECONDS):
            job.destination.collection(job.part.target).create_indexes(indexes)


def take_back(job: Job, *, created: bool, indexes: list[str]) -> None:
    """Drop what ``create`` and ``build_indexes`` made: the collection only where it is empty."""
    collection = job.destination.collection(job.part.target)
    if created and collection.find_one({}, {"_id": True}) is None:
        collection.drop()
        return
    present = collection.index_information() if exists(job.destination, collection.name) else {}
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
