"""What waits in the outbox is counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fresh_databases import connected, model_registry, settings_for
from mongoengine import IntField, StringField
from pymongo.collection import Collection

from datalayer import db
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo


class Letter(Document):
    id = StringField(primary_key=True)
    number = IntField()
    meta = {"db_alias": "database1"}


@pytest.fixture(autouse=True)
def databases(mongod: EmbeddedMongo) -> Iterator[None]:
    with model_registry(Letter), connected(settings_for(mongod)):
        yield


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_server_whose_own_figure_is_off_since_it_was_killed_does_not_matter(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(*args: Any, **kwargs: Any) -> int:
        return number + 2

    monkeypatch.setattr(Collection, "estimated_document_count", off)
    for each in range(number):
        db.outbox.add(Letter(id=str(each), number=each))
    assert db.outbox.waiting().entries == number
