"""What is found on a server, for the draft of a migration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fresh_databases import model_registry
from mongoengine import EmbeddedDocument
from mongoengine.fields import DictField, EmbeddedDocumentField, IntField, ListField, StringField

from datalayer.connections.registry import database
from datalayer.documents import BusinessDocument, utc_now
from datalayer.migrations.drift import Drift, draft, drift


@pytest.fixture(autouse=True)
def own_models() -> Iterator[None]:
    with model_registry():
        yield


def model(**fields: Any) -> Any:
    attributes = {"meta": {"collection": "users", "indexes": []}, **fields}
    return type(BusinessDocument)("User", (BusinessDocument,), attributes)


def stored(*documents: dict[str, Any]) -> None:
    database()["users"].insert_many([dict(each) for each in documents])


def lines(title: str, found: Drift) -> list[str]:
    return [line.strip() for line in draft(title, found).splitlines() if "m." in line]


@pytest.mark.usefixtures("databases")
def test_a_rename_is_guessed_from_the_documents() -> None:
    user = model(user_name=StringField(required=True), age=IntField())
    stored({"login": "a"}, {"login": "b"}, {"user_name": "c", "age": 1})
    found = drift([user])
    (unknown,) = found.unknown
    assert (unknown.path, unknown.documents) == ("login", 2)
    assert unknown.types == {"string"}
    assert unknown.lacking["user_name"] == 2
    assert '# m.rename_field("users", "login", "user_name")' in lines("Rename", found)


@pytest.mark.usefixtures("databases")
def test_a_rename_inside_an_embedded_document_is_guessed() -> None:
    address = type(EmbeddedDocument)("Address", (EmbeddedDocument,), {"zip_code": StringField()})
    user = model(address=EmbeddedDocumentField(address))
    stored({"address": {"zip": "8000"}})
    assert '# m.rename_field("users", "address.zip", "address.zip_code")' in lines(
        "Rename", drift([user])
    )


@pytest.mark.usefixtures("databases")
def test_defaults_are_those_of_the_model() -> None:
    user = model(
        country=StringField(required=True, default="CH"),
        tags=ListField(StringField(), required=True),
        facts=DictField(required=True),
        made=StringField(required=True, default=lambda: str(utc_now())),
    )
    stored({})
    found = lines("Defaults", drift([user]))
    assert 'm.set_default("users", "country", "CH")' in found
    assert '# m.set_default("users", "made", ...)' in found


@pytest.mark.usefixtures("databases")
def test_no_value_of_a_document_gets_into_the_file() -> None:
    user = model(user_name=StringField(required=True), age=IntField())
    stored({"login": "hunter2", "age": "hunter2", "hunter": "hunter2"})
    assert "hunter2" not in draft("Secrets", drift([user]))


@pytest.mark.usefixtures("databases")
def test_indexes_of_the_models_only_are_looked_at() -> None:
    user = model(meta={"collection": "users", "indexes": ["age"]}, age=IntField())
    database()["users"].create_index("old")
    database()["others"].create_index("old")
    found = lines("Indexes", drift([user]))
    assert 'm.build_index("users", [("age", 1)], name="age_1")' in found
    assert 'm.hide_index("users", "old_1")' in found
    assert not any("others" in line for line in found)


@pytest.mark.usefixtures("databases")
def test_where_all_fits_there_is_no_drift() -> None:
    user = model(age=IntField())
    database().create_collection("users")
    stored({"age": 1})
    assert drift([user]).is_empty
