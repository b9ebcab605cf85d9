"""PyMongo with dicts: the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import MongoClient

from benchmarks.odm.libraries.base import Library
from benchmarks.odm.tasks import Kind

__all__ = ["PyMongo"]


class PyMongo(Library):
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
        return self._database[kind].find()

    def list_small(self) -> list[Any]:
        return [document["field1"] for document in self._small.find()]

    def list_nested(self) -> list[Any]:
        return [document["embedded_str_doc_1"]["field1"] for document in self._nested.find()]

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
