"""MongoEngine's documents: stock, and with datalayer's engine switched on for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import mongoengine
from mongoengine.fields import (
    BinaryField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    IntField,
    ReferenceField,
    StringField,
)

from benchmarks.odm.data import document
from benchmarks.odm.libraries.base import Objects, built
from benchmarks.odm.tasks import Kind

__all__ = ["Accelerated", "MongoEngine", "with_the_engine"]

_FIELDS = {str: StringField, int: IntField, bytes: BinaryField}


class MongoEngine(Objects):
    """Models on the base classes ``base`` and ``embedded_base``."""

    packages = ("mongoengine", "pymongo")
    base: Any = mongoengine.Document
    embedded_base: Any = mongoengine.EmbeddedDocument

    def __init__(self, uri: str) -> None:
        self._define()
        self._connect(uri)

    def _connect(self, uri: str) -> None:
        mongoengine.connect(host=uri, uuidRepresentation="standard")

    def _define(self) -> None:
        nested = document("nested")
        texts = _fields({"unique_id": "", **nested["embedded_str_doc_1"]})
        self._texts = type("Texts", (self.embedded_base,), texts)
        numbers = _fields(nested["embedded_int_doc_8"])
        self._numbers = type("Numbers", (self.embedded_base,), numbers)
        self._foreign = self._model("Foreign", "foreign", {"name": StringField()})
        refers = {**_fields(document("small")), "field_fk": ReferenceField(self._foreign)}
        self._models = {
            "small": self._model("Small", "small", _fields(document("small"))),
            "small_fk": self._model("SmallForeignKey", "small_fk", refers),
            "large": self._model("Large", "large", _fields(document("large"))),
            "nested": self._model("Nested", "nested", self._parts(nested)),
        }
        self._small = self._models["small"]
        self._small_fk = self._models["small_fk"]
        self._nested = self._models["nested"]

    def _model(self, name: str, collection: str, fields: dict[str, Any]) -> Any:
        return type(name, (self.base,), {**fields, "meta": {"collection": collection}})

    def _parts(self, nested: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, part in nested.items():
            if isinstance(part, list):
                fields[name] = EmbeddedDocumentListField(self._texts)
            elif name.startswith("embedded_str"):
                fields[name] = EmbeddedDocumentField(self._texts)
            else:
                fields[name] = EmbeddedDocumentField(self._numbers)
        return fields

    def _built(self, kind: Kind, source: Mapping[str, Any]) -> Any:
        if kind == "nested":
            return self._nested(**built(source, self._texts, self._numbers))
        return self._models[kind](**source)

    def create(self, kind: Kind, source: Mapping[str, Any]) -> None:
        self._built(kind, source).save()

    def insert(self, kind: Kind, sources: Iterable[Mapping[str, Any]]) -> None:
        instances = [self._built(kind, source) for source in sources]
        # Without load_bulk=False, MongoEngine reads all of them back.
        self._models[kind].objects.insert(instances, load_bulk=False)

    def update(self, instance: Any, value: str) -> None:
        instance.field1 = value
        instance.save()

    def update_embedded(self, instance: Any, value: str) -> None:
        instance.embedded_str_doc_1.field1 = value
        instance.save()

    def update_in_list(self, instance: Any, value: str) -> None:
        instance.embedded_str_doc_array[0].field1 = value
        instance.save()

    def find(self, key: Any) -> Any:
        return self._small.objects(id=key).first()

    def find_by_foreign_key(self, key: Any) -> Any:
        return self._small_fk.objects(field_fk=key).first()

    def find_by_embedded(self, unique_id: str) -> Any:
        return self._nested.objects(embedded_str_doc_1__unique_id=unique_id).first()

    def find_by_array(self, unique_id: str) -> Any:
        return self._nested.objects(embedded_str_doc_array__unique_id=unique_id).first()

    def all(self, kind: Kind) -> Iterable[Any]:
        # A queryset would keep what it has read.
        return self._models[kind].objects.no_cache()

    def list_small(self) -> list[Any]:
        return [document.field1 for document in self._small.objects.no_cache()]

    def list_nested(self) -> list[Any]:
        return [document.embedded_str_doc_1.field1 for document in self._nested.objects.no_cache()]

    def read_embedded(self, key: Any) -> Any:
        return self._nested.objects(id=key).first().embedded_str_doc_1.field1

    def value(self, instance: Any, *path: str | int) -> Any:
        found = super().value(instance, *path)
        return found.id if isinstance(found, mongoengine.Document) else found

    def close(self) -> None:
        mongoengine.disconnect_all()


class Accelerated(MongoEngine):
    """MongoEngine's own classes and connection, with the engine of ``accelerate()``."""

    packages = ("mongoengine-datalayer", "mongoengine", "pymongo")

    def __init__(self, uri: str) -> None:
        from datalayer import documents

        if not hasattr(documents, "accelerate"):
            raise NotImplementedError("this version of datalayer has no accelerate()")
        documents.accelerate()
        super().__init__(uri)

    def versions(self) -> dict[str, str]:
        return with_the_engine(super().versions())


def with_the_engine(versions: dict[str, str]) -> dict[str, str]:
    """The versions, which say whether datalayer's loops in C were at work."""
    from datalayer.documents.engine.compile.c_core import is_compiled

    kind = "core in C" if is_compiled() else "pure Python"
    return {**versions, "mongoengine-datalayer": f"{versions['mongoengine-datalayer']} ({kind})"}


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _FIELDS[type(value)]() for name, value in values.items()}
