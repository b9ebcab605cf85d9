"""datalayer: the same models on its base classes, connected as an application connects."""

from __future__ import annotations

from benchmarks.odm.libraries.mongoengine_documents import MongoEngine, with_the_engine
from datalayer import Settings, db
from datalayer.documents import Document, EmbeddedDocument

__all__ = ["Datalayer"]


class Datalayer(MongoEngine):
    packages = ("mongoengine-datalayer", "mongoengine", "pymongo")
    base = Document
    embedded_base = EmbeddedDocument

    def _connect(self, uri: str) -> None:
        db.connect_all(Settings(databases={"default": {"uri": uri}}))

    def versions(self) -> dict[str, str]:
        return with_the_engine(super().versions())

    def close(self) -> None:
        db.disconnect_all()
