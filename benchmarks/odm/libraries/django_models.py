"""django-mongodb-backend: Django's models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import django
from django.conf import settings
from django.db import connections, models
from django_mongodb_backend.fields import EmbeddedModelArrayField, EmbeddedModelField

from benchmarks.odm.data import document
from benchmarks.odm.libraries.base import Objects, built
from benchmarks.odm.tasks import Kind

__all__ = ["Django"]


class Django(Objects):
    packages = ("django-mongodb-backend", "Django", "pymongo")

    def __init__(self, uri: str) -> None:
        name = uri.partition("?")[0].rpartition("/")[2]
        database = {"ENGINE": "django_mongodb_backend", "HOST": uri, "NAME": name}
        automatic = "django_mongodb_backend.fields.ObjectIdAutoField"
        settings.configure(DATABASES={"default": database}, DEFAULT_AUTO_FIELD=automatic)
        django.setup()
        self._define()

    def _define(self) -> None:
        # Importable only when Django is set up.
        from django_mongodb_backend.models import EmbeddedModel

        nested = document("nested")
        texts = _fields({"unique_id": "", **nested["embedded_str_doc_1"]})
        self._texts = _model("Texts", EmbeddedModel, texts)
        numbers = _fields(nested["embedded_int_doc_8"])
        self._numbers = _model("Numbers", EmbeddedModel, numbers)
        name = {"name": models.CharField(max_length=100)}
        foreign = _model("Foreign", models.Model, name, "foreign")
        key = models.ForeignKey(foreign, models.DO_NOTHING, db_column="field_fk")
        small_fk = {**_fields(document("small")), "field_fk": key}
        self._models: dict[str, Any] = {
            "small": _model("Small", models.Model, _fields(document("small")), "small"),
            "small_fk": _model("SmallForeignKey", models.Model, small_fk, "small_fk"),
            "large": _model("Large", models.Model, _fields(document("large")), "large"),
            "nested": _model("Nested", models.Model, self._parts(nested), "nested"),
        }
        self._small = self._models["small"]
        self._small_fk = self._models["small_fk"]
        self._nested = self._models["nested"]

    def _parts(self, nested: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, part in nested.items():
            if isinstance(part, list):
                fields[name] = EmbeddedModelArrayField(self._texts)
            elif name.startswith("embedded_str"):
                fields[name] = EmbeddedModelField(self._texts)
            else:
                fields[name] = EmbeddedModelField(self._numbers)
        return fields

    def _built(self, kind: Kind, source: Mapping[str, Any]) -> Any:
        if kind == "nested":
            return self._nested(**built(source, self._texts, self._numbers))
        return self._models[kind](**source)

    def create(self, kind: Kind, source: Mapping[str, Any]) -> None:
        self._built(kind, source).save()

    def insert(self, kind: Kind, sources: Iterable[Mapping[str, Any]]) -> None:
        self._models[kind].objects.bulk_create([self._built(kind, each) for each in sources])

    # Without update_fields Django would write all fields.

    def update(self, instance: Any, value: str) -> None:
        instance.field1 = value
        instance.save(update_fields=["field1"])

    def update_embedded(self, instance: Any, value: str) -> None:
        instance.embedded_str_doc_1.field1 = value
        instance.save(update_fields=["embedded_str_doc_1"])

    def update_in_list(self, instance: Any, value: str) -> None:
        instance.embedded_str_doc_array[0].field1 = value
        instance.save(update_fields=["embedded_str_doc_array"])

    def find(self, key: Any) -> Any:
        return self._small.objects.get(id=key)

    def find_by_foreign_key(self, key: Any) -> Any:
        return self._small_fk.objects.get(field_fk=key)

    def find_by_embedded(self, unique_id: str) -> Any:
        return self._nested.objects.get(embedded_str_doc_1__unique_id=unique_id)

    def find_by_array(self, unique_id: str) -> Any:
        return self._nested.objects.get(embedded_str_doc_array__unique_id=unique_id)

    def all(self, kind: Kind) -> Iterable[Any]:
        found: Iterable[Any] = self._models[kind].objects.iterator()
        return found

    def list_small(self) -> list[Any]:
        return [each.field1 for each in self._small.objects.iterator()]

    def list_nested(self) -> list[Any]:
        return [each.embedded_str_doc_1.field1 for each in self._nested.objects.iterator()]

    def read_embedded(self, key: Any) -> Any:
        return self._nested.objects.get(id=key).embedded_str_doc_1.field1

    def value(self, instance: Any, *path: str | int) -> Any:
        if path == ("field_fk",):
            return instance.field_fk_id
        found = super().value(instance, *path)
        return bytes(found) if isinstance(found, memoryview) else found

    def close(self) -> None:
        connections.close_all()


def _model(name: str, base: Any, fields: dict[str, Any], collection: str = "") -> Any:
    options: dict[str, Any] = {"app_label": "odm"}
    if collection:
        options["db_table"] = collection
    body = {**fields, "__module__": __name__, "Meta": type("Meta", (), options)}
    return type(name, (base,), body)


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _field(value) for name, value in values.items()}


def _field(value: Any) -> Any:
    if isinstance(value, str):
        return models.CharField(max_length=100)
    return models.IntegerField() if isinstance(value, int) else models.BinaryField()
