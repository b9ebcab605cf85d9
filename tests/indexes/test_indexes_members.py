"""The use of an index on each member of a replica set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fresh_databases import connected, model_registry, settings_for
from mongoengine.fields import StringField

from datalayer import indexes
from datalayer.connections.registry import database
from datalayer.documents import BusinessDocument
from datalayer.embedded import EmbeddedMongo
from datalayer.indexes import HiddenIndex


@pytest.fixture(scope="module")
def things(shared_replset: EmbeddedMongo) -> Iterator[Any]:
    """A collection with a hidden index that no model declares."""
    with (
        model_registry(),
        connected(settings_for(shared_replset, "default", server_selection_timeout_ms=1000)),
    ):
        meta = {"collection": "things"}
        type(BusinessDocument)("Thing", (BusinessDocument,), {"a": StringField(), "meta": meta})
        database()["things"].create_index("old")
        indexes.sync("default", hide=True)
        yield database()["things"]


def only_hidden() -> HiddenIndex:
    (found,) = indexes.hidden("default")
    return found


def test_every_member_is_asked(things: Any, replset: EmbeddedMongo) -> None:
    found = only_hidden()
    assert (len(found.members), found.not_asked) == (len(replset.hosts), ())
    assert found.reason_to_keep(0) is None


def test_a_member_that_is_away_is_named(things: Any, replset: EmbeddedMongo) -> None:
    away = next(number for number in range(3) if number != replset.primary)
    replset.kill(away)
    found = only_hidden()
    assert (len(found.members), found.not_asked) == (2, (replset.hosts[away],))
