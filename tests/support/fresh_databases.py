"""Databases of a test's own, connected without going through the facade, and the registry of
models as it was before."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import pymongo
from mongoengine.base.common import _document_registry

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings


@contextlib.contextmanager
def model_registry(*models: type) -> Iterator[None]:
    """Only ``models`` are registered inside, and what is defined there is forgotten at the end:
    connecting builds the collections of all that the process has registered."""
    before = dict(_document_registry)
    kept = {model._class_name: model for model in models if hasattr(model, "_class_name")}
    try:
        _document_registry.clear()
        _document_registry.update(kept)
        yield
    finally:
        _document_registry.clear()
        _document_registry.update(before)


def settings_for(server: EmbeddedMongo, *aliases: str, **options: Any) -> Settings:
    """Those of fresh databases; of the two that every application has, unless told others."""
    run = uuid.uuid4().hex[:10]
    return Settings(
        databases={
            alias: {"uri": server.uri_for(f"test_{alias}_{run}"), **options}
            for alias in aliases or ("default", "database1")
        }
    )


_kept: list[Settings] = []  # what `connected` has connected, and will disconnect itself


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[Settings]:
    """Connect all, and leave nothing behind on the server. A fixture of a module's scope lets its
    tests share the connection: it stays from one to the next."""
    db.disconnect_all()
    _kept.append(settings)
    try:
        db.connect_all(settings)
        yield settings
    finally:
        _kept.pop()
        db.disconnect_all()
        drop(settings)


def disconnect_all_but_kept() -> None:
    """Close what a test has left open, where it shares no connection with others."""
    if not _kept:
        db.disconnect_all()


def emptied(settings: Settings) -> None:
    """As if just connected, for tests that share one connection: closing takes PyMongo half a
    second for each client whose events are listened to."""
    for alias in settings:
        connection = registry.connection(alias)
        for model, _ in connection.built_indexes:
            model._disconnect()
        for name in connection.database.list_collection_names():
            if not name.startswith("system."):
                # Without waiting for the majority, which waits for the disk.
                connection.database.command("drop", name, writeConcern={"w": 1})
        connection.built_indexes.clear()


def drop(settings: Settings) -> None:
    for alias in settings:
        with pymongo.MongoClient(settings[alias].secret_uri()) as client:
            client.drop_database(settings[alias].database)
