"""A model whose alias no setting names is told of at connect and at use, with what there is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import mongoengine
import pytest
from fresh_databases import model_registry
from mongoengine import StringField

from datalayer import db, models
from datalayer.connections.registry import client
from datalayer.documents import BusinessDocument, Document
from datalayer.errors import NotConnectedError
from datalayer.settings import Settings

REMEDY = (
    "there are default; add 'stats' to DATALAYER_ALIASES and set STATS_URI, or name one of those"
)


@pytest.fixture(autouse=True)
def own_models() -> Iterator[None]:
    with model_registry():
        yield


@pytest.fixture
def settings(uri: str) -> Settings:
    return Settings(databases={"default": uri})


def visit(base: type = Document, name: str = "Visit") -> Any:
    return type(base)(
        name,
        (base,),
        {"__module__": __name__, "path": StringField(), "meta": {"db_alias": "stats"}},
    )


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "datalayer.db"]


@pytest.mark.parametrize("base", [Document, mongoengine.Document])
def test_connecting_warns_once_of_the_models_and_says_how_to_configure_their_alias(
    settings: Settings, base: type, caplog: pytest.LogCaptureFixture
) -> None:
    visit(base)
    visit(base, "Click")
    with caplog.at_level(logging.WARNING, "datalayer.db"):
        db.connect_all(settings)
        db.connect_all(settings)
    assert told(caplog) == [
        f"no database has the alias 'stats', which Click, Visit names in its meta: {REMEDY}"
    ]


def test_the_warning_names_the_alias_for_a_filter(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    visit()
    with caplog.at_level(logging.WARNING, "datalayer.db"):
        db.connect_all(settings)
    (record,) = [each for each in caplog.records if each.name == "datalayer.db"]
    assert (record.alias, record.event) == ("stats", "settings")


def test_models_of_configured_aliases_are_not_warned_of(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    type(BusinessDocument)("Sale", (BusinessDocument,), {"__module__": __name__})
    with caplog.at_level(logging.WARNING, "datalayer.db"):
        db.connect_all(settings)
    assert told(caplog) == []


def test_the_models_of_the_package_are_not_warned_of(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with model_registry(models.LogEntry), caplog.at_level(logging.WARNING, "datalayer.db"):
        db.connect_all(settings)
    assert told(caplog) == []


def test_an_alias_that_other_code_connected_is_not_warned_of(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    visit(mongoengine.Document)
    mongoengine.connect(alias="stats", host=settings["default"].uri, uuidRepresentation="standard")
    try:
        with caplog.at_level(logging.WARNING, "datalayer.db"):
            db.connect_all(settings)
    finally:
        mongoengine.disconnect("stats")
    assert told(caplog) == []


def in_a_transaction() -> None:
    with db.transaction("stats"):
        pass


def through(model: Any) -> None:
    with db.using(default="stats"):
        model.objects.first()


def routed(model: Any) -> None:
    db.router(lambda asked: "stats")
    try:
        model.objects.first()
    finally:
        db.router(None)


USES: dict[str, Callable[[Any], object]] = {
    "reading": lambda model: model.objects.first(),
    "writing": lambda model: model(path="/").save(),
    "its database": lambda model: model._get_db(),
    "switch_db": lambda model: model(path="/").switch_db("stats"),
    "using": through,
    "a router": routed,
    "a transaction": lambda model: in_a_transaction(),
    "the client": lambda model: client("stats"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_using_it_says_which_aliases_there_are(
    settings: Settings, use: Callable[[Any], object]
) -> None:
    model = visit()
    db.connect_all(settings)
    with pytest.raises(NotConnectedError) as caught:
        use(model)
    assert caught.value.message == f"no database has the alias 'stats': {REMEDY}"
    assert caught.value.alias == "stats"


@pytest.mark.parametrize("when", ["before", "after"])
def test_without_a_connection_the_error_says_to_connect(settings: Settings, when: str) -> None:
    model = visit()
    if when == "after":
        db.connect_all(settings)
        db.disconnect_all()
    with pytest.raises(NotConnectedError, match=r"not connected; call db\.connect_all"):
        model.objects.first()


def test_a_configured_alias_that_was_closed_is_no_unknown_one(settings: Settings) -> None:
    db.connect_all(settings)
    db.database.disconnect()
    with pytest.raises(NotConnectedError, match="'default' is not connected"):
        client("default")
