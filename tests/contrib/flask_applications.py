"""Small Flask applications for tests, and an environment without variables of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from fresh_databases import model_registry
from mongoengine import StringField

from datalayer import BusinessDocument, db

NOWHERE = "mongodb://127.0.0.1:1/app?serverSelectionTimeoutMS=200"
TOKEN = "a-token-of-more-than-16-characters"


__all__ = ["NOWHERE", "TOKEN", "Note", "application", "away", "clean_environment", "raising"]


class Note(BusinessDocument):
    text = StringField()


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in os.environ:
        if name.startswith(("MONGODB_", "DATABASE1_", "DATALAYER_", "FLASK_")) and name not in (
            "DATALAYER_MONGOD",
            "DATALAYER_WORKERS_DIRECTORY",
        ):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with model_registry(Note):
        yield
        db.disconnect_all()


def application(uri: str | None, name: str = "shop", **config: Any) -> Flask:
    app = Flask(name)
    app.config.update(config)
    if uri is not None:
        app.config["MONGODB_URI"] = uri

    @app.get("/count")
    def count() -> dict[str, int]:
        return {"notes": Note.objects.count()}

    return app


def raising(app: Flask, error: Exception) -> None:
    def view() -> str:
        raise error

    app.add_url_rule("/raise", "raise", view)


def away(app: Flask) -> None:
    """The server of ``app`` can't be reached, and nobody waits long for it."""
    app.config.update(
        MONGODB_RETRY_ATTEMPTS=1, MONGODB_RETRY_MAX_SECONDS=0.5, DATABASE1_RETRY_MAX_SECONDS=0.5
    )
