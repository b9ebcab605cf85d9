"""PyMongo with dicts: the baseline, and again with the batch size that is best for a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import Any

from pymongo import MongoClient

from benchmarks.odm.figures import fastest
from benchmarks.odm.libraries.base import Library
from benchmarks.odm.tasks import Kind

__all__ = ["BestBatch", "PyMongo"]

_BATCH_SIZES = (100, 250, 500, 1000, 2000)
_ROUNDS = 3


class PyMongo(Library):
    _batch_size = 0  # the driver's default: a batch is 16 MB

    def __init__(self, uri: str) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(uri)
        self._database = self._client.get_default_database()
        self._small = self._database["small"]
        self._nested = self._database["nested"]

    def create(self, kind: Kind, source: Mapping[str, Any]) -> None:
        self._database[kind].insert_one(dict(source))

    def insert(self, kind: Kind, sources: Iterable[Mapping[str, Any]]) -> None:
        self._database[kind].insert_many([dict(source) for source in sources])

    def update(self, instance: Any, value: str) -> None:
        collection = self._small if "field250" not in instance else self._database["large"]
        collection.update_one({"_id": instance["_id"]}, {"$set": {"field1": value}})

    def update_embedded(self, instance: Any, value: str) -> None:
        change = {"$set": {"embedded_str_doc_1.field1": value}}
        self._nested.update_one({"_id": instance["_id"]}, change)

    def update_in_list(self, instance: Any, value: str) -> None:
        change = {"$set": {"embedded_str_doc_array.0.field1": value}}
        self._nested.update_one({"_id": instance["_id"]}, change)

    def find(self, key: Any) -> Any:
        return self._small.find_one({"_id": key})

    def find_by_foreign_key(self, key: Any) -> Any:
        return self._database["small_fk"].find_one({"field_fk": key})

    def find_by_embedded(self, unique_id: str) -> Any:
        return self._nested.find_one({"embedded_str_doc_1.unique_id": unique_id})

    def find_by_array(self, unique_id: str) -> Any:
        return self._nested.find_one({"embedded_str_doc_array.unique_id": unique_id})

    def all(self, kind: Kind) -> Iterable[Any]:
        return self._database[kind].find(batch_size=self._batch_size)

    def list_small(self) -> list[Any]:
        found = self._small.find(batch_size=self._batch_size)
        return [document["field1"] for document in found]

    def list_nested(self) -> list[Any]:
        found = self._nested.find(batch_size=self._batch_size)
        return [document["embedded_str_doc_1"]["field1"] for document in found]

    def read_embedded(self, key: Any) -> Any:
        return self._nested.find_one({"_id": key})["embedded_str_doc_1"]["field1"]

    def subscript(self) -> tuple[str, str]:
        return '["', '"]'

    def value(self, instance: Any, *path: str | int) -> Any:
        for step in path:
            instance = instance["_id" if step == "id" else step]
        return instance

    def close(self) -> None:
        self._client.close()


class BestBatch(PyMongo):
    """PyMongo, for whose lists several batch sizes are tried in turns, and the fastest taken."""

    def adapt(self, run: Callable[[], None]) -> dict[str, Any]:
        seconds: dict[int, list[float]] = {size: [] for size in _BATCH_SIZES}
        for _ in range(_ROUNDS):
            for self._batch_size in _BATCH_SIZES:
                begun = perf_counter()
                run()
                seconds[self._batch_size].append(perf_counter() - begun)
        self._batch_size = fastest(seconds)
        return {"batch_size": self._batch_size}
