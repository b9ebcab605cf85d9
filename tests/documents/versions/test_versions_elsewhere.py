"""Versions in tenants' databases, and over mongomock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mongoengine as me
import pytest
from fresh_databases import connected, model_registry

from datalayer import db
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import StaleDocumentError, TenantError
from datalayer.settings import Settings


class Account(Document):
    key = me.IntField(primary_key=True)
    balance = me.IntField(default=0)
    meta = {"versioned": True}


@pytest.fixture(autouse=True)
def only_this_model() -> Iterator[None]:
    with model_registry(Account):
        yield


def add_one(account: Any) -> None:
    account.balance += 1


def test_each_tenant_has_its_own_versions(mongod: EmbeddedMongo, database_name: str) -> None:
    first, second = f"{database_name}_a", f"{database_name}_b"
    with connected(Settings(databases={"default": mongod.uri_for(database_name)})):
        for name in (first, second):
            with db.using(database=name):
                Account(key=1).save()
        with db.using(database=first):
            stale = Account.objects.get()
            assert Account.change(1, add_one).version == 2
            stale.balance = 7
            with pytest.raises(StaleDocumentError):
                stale.save()
        with db.using(database=second):
            assert Account.objects.get().version == 1
            for operation in (stale.save, stale.delete, lambda: stale.update(set__balance=7)):
                with pytest.raises(TenantError):
                    operation()


def test_over_mongomock_too_nothing_is_written_over() -> None:
    db.connect_all(Settings(databases={"default": "mongomock://default"}))
    Account.objects.delete()
    account = Account(key=1).save()
    stale = Account.objects.only("balance").get()
    assert Account.change(1, add_one).version == 2
    stale.balance = 7
    for operation in (stale.save, stale.delete, lambda: stale.modify(set__balance=7)):
        with pytest.raises(StaleDocumentError, match="version 1 was loaded, 2 is there"):
            operation()
    account.reload()
    account.update(inc__balance=1)
    account.delete()
    assert Account.objects.count() == 0
