"""Bunnet: documents that are Pydantic models, the synchronous twin of Beanie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bunnet import Document, Link, init_bunnet
from pydantic import BaseModel, create_model
from pymongo import MongoClient

from benchmarks.odm.data import document
from benchmarks.odm.libraries.base import Objects
from benchmarks.odm.tasks import Kind

__all__ = ["Bunnet"]


class Bunnet(Objects):
    packages = ("bunnet", "pydantic", "pymongo")

    def __init__(self, uri: str) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(uri)
        self._define()
        init_bunnet(
            database=self._client.get_default_database(),
            document_models=[self._foreign, *self._models.values()],
        )

    def _define(self) -> None:
        nested = document("nested")
        texts = {"unique_id": "", **nested["embedded_str_doc_1"]}
        self._texts: Any = create_model("Texts", __base__=BaseModel, **_fields(texts))
        numbers = _fields(nested["embedded_int_doc_8"])
        self._numbers: Any = create_model("Numbers", __base__=BaseModel, **numbers)
        self._foreign = _model("Foreign", "foreign", {"name": (str, ...)})
        refers = {**_fields(document("small")), "field_fk": (Link[self._foreign], ...)}
        self._models: dict[str, Any] = {
            "small": _model("Small", "small", _fields(document("small"))),
            "small_fk": _model("SmallForeignKey", "small_fk", refers),
            "large": _model("Large", "large", _fields(document("large"))),
            "nested": _model("Nested", "nested", self._parts(nested)),
        }
        self._small = self._models["small"]
        self._small_fk = self._models["small_fk"]
        self._nested = self._models["nested"]

    def _parts(self, nested: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, part in nested.items():
            if isinstance(part, list):
                fields[name] = (list[self._texts], ...)
            elif name.startswith("embedded_str"):
                fields[name] = (self._texts, ...)
            else:
                fields[name] = (self._numbers, ...)
        return fields

    def create(self, kind: Kind, source: Mapping[str, Any]) -> None:
        self._models[kind](**source).insert()

    def insert(self, kind: Kind, sources: Iterable[Mapping[str, Any]]) -> None:
        model = self._models[kind]
        model.insert_many([model(**source) for source in sources])

    # Bunnet's `set` changes the fields and reads the document back; `save` would write all of it.

    def update(self, instance: Any, value: str) -> None:
        instance.set({type(instance).field1: value})

    def update_embedded(self, instance: Any, value: str) -> None:
        instance.set({self._nested.embedded_str_doc_1.field1: value})

    def update_in_list(self, instance: Any, value: str) -> None:
        instance.set({"embedded_str_doc_array.0.field1": value})

    def find(self, key: Any) -> Any:
        return self._small.find_one(self._small.id == key).run()

    def find_by_foreign_key(self, key: Any) -> Any:
        return self._small_fk.find_one(self._small_fk.field_fk.id == key).run()

    def find_by_embedded(self, unique_id: str) -> Any:
        wanted = self._nested.embedded_str_doc_1.unique_id == unique_id
        return self._nested.find_one(wanted).run()

    def find_by_array(self, unique_id: str) -> Any:
        wanted = self._nested.embedded_str_doc_array.unique_id == unique_id
        return self._nested.find_one(wanted).run()

    def all(self, kind: Kind) -> Iterable[Any]:
        found: Iterable[Any] = self._models[kind].find_all()
        return found

    def list_small(self) -> list[Any]:
        return [each.field1 for each in self._small.find_all()]

    def list_nested(self) -> list[Any]:
        return [each.embedded_str_doc_1.field1 for each in self._nested.find_all()]

    def read_embedded(self, key: Any) -> Any:
        return self._nested.get(key).run().embedded_str_doc_1.field1

    def value(self, instance: Any, *path: str | int) -> Any:
        found = super().value(instance, *path)
        return found.ref.id if isinstance(found, Link) else found

    def close(self) -> None:
        self._client.close()


def _model(name: str, collection: str, fields: dict[str, Any]) -> Any:
    made: Any = create_model(name, __base__=Document, **fields)
    made.Settings = type("Settings", (), {"name": collection})
    return made


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: (type(value), ...) for name, value in values.items()}
