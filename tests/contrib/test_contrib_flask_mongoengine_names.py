"""What an application that comes from flask-mongoengine asks its object ``db`` for."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import mongoengine
import pytest
from flask_applications import application, clean_environment

import datalayer.documents
from datalayer.connections.registry import registry
from datalayer.contrib.flask import DataLayer as MongoEngine
from datalayer.errors import ConfigurationError

__all__ = ["clean_environment"]

CONNECTING = {"connect", "disconnect", "disconnect_all", "register_connection"}


def test_a_moved_application_changes_its_imports_alone(uris: dict[str, str]) -> None:
    db: Any = MongoEngine()

    class Author(db.Document):  # type: ignore[misc]
        name = db.StringField(required=True)

    class Comment(db.EmbeddedDocument):  # type: ignore[misc]
        text = db.StringField()

    class Post(db.Document):  # type: ignore[misc]
        author = db.ReferenceField(Author, reverse_delete_rule=db.CASCADE)
        comments = db.EmbeddedDocumentListField(Comment)

    app = application(None, **uris)
    db.init_app(app)

    @app.post("/posts")
    def add() -> dict[str, Any]:
        author = Author(name="Ada").save()
        Post(author=author, comments=[Comment(text="first")]).save()
        return {"found": Post.objects(db.Q(comments__text="first")).count()}

    @app.delete("/posts")
    def delete() -> dict[str, Any]:
        Author.objects.delete()
        return {"left": Post.objects.count()}

    client = app.test_client()
    assert client.post("/posts").json == {"found": 1}
    assert client.delete("/posts").json == {"left": 0}
    found = Post.objects.with_id(Post(comments=[]).save().pk)
    assert set(found.to_mongo()) <= {"_id", "comments"}, "nothing of ours comes into the data"


@pytest.mark.parametrize("name", sorted(set(mongoengine.__all__) - CONNECTING))
def test_every_name_of_mongoengine_is_there(name: str) -> None:
    db: Any = MongoEngine()
    ours = getattr(datalayer.documents, name, None)
    assert getattr(db, name) is (ours or getattr(mongoengine, name))


def test_the_querysets_are_datalayer_s() -> None:
    db: Any = MongoEngine()
    assert db.BaseQuerySet is db.QuerySet is datalayer.documents.QuerySet


@pytest.mark.parametrize("name", sorted(CONNECTING))
def test_what_connects_is_refused(name: str) -> None:
    with pytest.raises(AttributeError, match=r"has no \w+\(\): it connects by itself"):
        getattr(MongoEngine(), name)


@pytest.mark.parametrize("name", ["StirngField", "_private", "conect_now", "__deepcopy__"])
def test_what_nobody_has_is_no_attribute(name: str) -> None:
    assert not hasattr(MongoEngine(), name)


def test_making_a_copy_asks_for_no_names() -> None:
    db = MongoEngine.__new__(MongoEngine)
    with pytest.raises(AttributeError):
        copy.copy(db)._given  # noqa: B018
    with pytest.raises(AttributeError):
        pickle.loads(pickle.dumps(db))._given  # noqa: B018


def test_connection_gives_the_client_of_each_alias(uris: dict[str, str]) -> None:
    app = application(None, **uris)
    db = MongoEngine(app)
    with app.app_context():
        assert registry.settings is None
        clients = db.connection
    assert set(clients) == {"default", "database1"}
    name = uris["MONGODB_URI"].rpartition("/")[2].partition("?")[0]
    assert clients["default"][name]["notes"].count_documents({}) == 0


def test_connection_needs_an_application(uris: dict[str, str]) -> None:
    db = MongoEngine(application(None, **uris))
    with pytest.raises(ConfigurationError, match="there is no current Flask application"):
        _ = db.connection
