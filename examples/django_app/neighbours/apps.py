"""The application: registers the path converter for MongoDB's ids, and the metrics."""

from __future__ import annotations

from bson import ObjectId
from django.apps import AppConfig
from django.urls import register_converter

from datalayer.contrib import prometheus


class ObjectIdConverter:
    """``<oid:key>`` in a path: 24 hexadecimal digits, so that no view sees another text."""

    regex = "[0-9a-f]{24}"

    def to_python(self, value: str) -> ObjectId:
        return ObjectId(value)

    def to_url(self, value: object) -> str:
        return str(value)


class NeighboursConfig(AppConfig):
    name = "neighbours"

    def ready(self) -> None:
        register_converter(ObjectIdConverter, "oid")
        prometheus.register()
