"""Replies that get lost: a versioned document is written once, and never over a later change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mongoengine as me
import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import connected, model_registry
from mongoengine.errors import NotUniqueError

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import OutcomeUnknownError, StaleDocumentError
from datalayer.settings import Settings


class Account(Document):
    owner = me.StringField()
    balance = me.IntField(default=0)
    meta = {"versioned": True}


@pytest.fixture(scope="module")
def line(mongod: EmbeddedMongo) -> Iterator[FaultyProxy]:
    uri = "&heartbeatFrequencyMS=500"
    with FaultyProxy(mongod.hosts[0]) as proxy:
        settings = Settings(databases={"default": proxy.uri_for("test_lost_replies") + uri})
        with model_registry(Account), connected(settings):
            yield proxy


@pytest.fixture
def proxy(line: FaultyProxy) -> Iterator[FaultyProxy]:
    raw().delete_many({})
    yield line
    line.restore()


def raw() -> Any:
    return registry.connection("default").database["account"]


def add_one(account: Any) -> None:
    account.balance += 1


def save(account: Any) -> None:
    account.balance += 1
    account.save()


WRITES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "save": ("update", save),
    "update": ("update", lambda account: account.update(inc__balance=1)),
    "modify": ("findAndModify", lambda account: account.modify(inc__balance=1)),
    "change": ("update", lambda account: Account.change(account.pk, add_one)),
}


@pytest.mark.parametrize("lost", [1, 3])
@pytest.mark.parametrize("how", WRITES)
def test_a_change_is_made_once_and_nothing_is_written_over(
    proxy: FaultyProxy, how: str, lost: int
) -> None:
    command, write = WRITES[how]
    mine = Account(owner="a").save()
    proxy.swallow_reply(command, times=lost)
    is_unknown = False
    try:
        write(mine)
    except OutcomeUnknownError:
        is_unknown = True
    proxy.restore()
    stored = raw().find_one()
    assert (stored["balance"], stored["version"]) == (1, 2)
    if how == "change":
        return
    assert mine.version == (1 if is_unknown else 2)
    theirs = Account.objects.get()
    save(theirs)
    mine.owner = "b"
    with pytest.raises(StaleDocumentError):
        mine.save()
    assert raw().find_one()["balance"] == 2


@pytest.mark.parametrize("lost", [1, 3])
def test_a_deletion_whose_reply_is_lost_is_done(proxy: FaultyProxy, lost: int) -> None:
    mine = Account(owner="a").save()
    proxy.swallow_reply("delete", times=lost)
    try:
        mine.delete()
    except OutcomeUnknownError:
        proxy.restore()
        with pytest.raises(StaleDocumentError, match="not in the collection any more"):
            mine.delete()
    assert raw().count_documents({}) == 0


@pytest.mark.parametrize("lost", [1, 3])
def test_a_new_document_is_stored_once_and_may_be_saved_again(
    proxy: FaultyProxy, lost: int
) -> None:
    new = Account(owner="a")
    proxy.swallow_reply("insert", times=lost)
    try:
        new.save()
    except OutcomeUnknownError:
        proxy.restore()
        new.save()
    assert [each["version"] for each in raw().find()] == [new.version]


def test_a_new_document_that_is_saved_again_replaces_no_change(proxy: FaultyProxy) -> None:
    new = Account(owner="a")
    proxy.swallow_reply("insert", times=1000, cut=False)
    with pytest.raises(OutcomeUnknownError), db.deadline(0.5):
        new.save()
    proxy.restore()
    Account.change(new.pk, add_one)
    with pytest.raises(NotUniqueError):
        new.save()
    assert raw().find_one()["balance"] == 1
