"""``--databases PATTERN``: a command in each database of a server, whichever of them fail."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from running import Run
from shared_servers import shared_server
from waiting import wait_until

from datalayer import db, migrations
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings

MODELS = """
from mongoengine.fields import IntField, StringField
from datalayer import BusinessDocument

class Order(BusinessDocument):
    number = StringField(unique=True)
    count = IntField()
    meta = {"collection": "orders", "timestamps": False}
"""
MIGRATION = """
def apply(m):
    m.update("orders", {"lit": None}, {"$set": {"lit": True}})


def undo(m):
    m.update("orders", {"lit": True}, {"$unset": {"lit": 1}})
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "shop_models.py").write_text(MODELS)
    yield "shop_models"
    sys.modules.pop("shop_models", None)
    db.tenants()


@pytest.fixture
def client(configured: Settings) -> Iterator[MongoClient[Any]]:
    with MongoClient[dict[str, Any]](configured["default"].uri) as client:
        yield client


@pytest.fixture(scope="module")
def second_mongod() -> Iterator[EmbeddedMongo]:
    with shared_server() as server:
        yield server


@pytest.fixture
def other_server(
    second_mongod: EmbeddedMongo, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MongoClient[Any]]:
    """The server of `database1`, another than that of `default`."""
    monkeypatch.setenv("DATABASE1_URI", second_mongod.uri_for(f"{database_name}_1"))
    with MongoClient[dict[str, Any]](second_mongod.uri) as client:
        yield client
        for name in client.list_database_names():
            if name.startswith(database_name):
                client.drop_database(name)


@pytest.fixture
def tenants(client: MongoClient[Any], database_name: str) -> list[str]:
    """Three, whose databases hold an order each."""
    names = [f"{database_name}_t{number}" for number in range(3)]
    for name in names:
        client[name].orders.insert_one({"number": "1", "count": 1})
    return names


def indexes_of(client: MongoClient[Any], name: str) -> list[str]:
    return sorted(client[name].orders.index_information())


def test_indexes_are_compared_and_built_in_each(
    run: Run, shop: str, tenants: list[str], client: MongoClient[Any], database_name: str
) -> None:
    of_all = ("--databases", f"{database_name}_t*", "--models", shop)
    differs = run("indexes", "diff", *of_all)
    assert differs.code == 3
    assert [name for name in tenants if f"{name}:" in differs.stdout] == tenants
    assert "3 of 3 databases were gone through, 3 of them with something" in differs.stderr
    assert run("indexes", "sync", *of_all).code == 0
    assert [indexes_of(client, name) for name in tenants] == [["_id_", "number_1"]] * 3
    assert "orders" not in client[database_name].list_collection_names()
    assert run("indexes", "diff", *of_all).code == 0


def test_the_others_go_on_where_one_fails(
    run: Run, shop: str, tenants: list[str], client: MongoClient[Any], database_name: str
) -> None:
    client[tenants[1]].orders.insert_one({"number": "1"})
    outcome = run("indexes", "sync", "--databases", f"{database_name}_t*", "--models", shop)
    assert outcome.code == 1
    assert "1 of 3 databases failed" in outcome.stderr
    assert tenants[1] in outcome.stdout
    assert [len(indexes_of(client, name)) for name in tenants] == [2, 1, 2]


def test_it_tells_all_as_one_json_document(
    run: Run, shop: str, tenants: list[str], client: MongoClient[Any], database_name: str
) -> None:
    client[tenants[1]].orders.insert_one({"number": "1"})
    words = ("--databases", f"{database_name}_t*", "--models", shop, "--json")
    document = run("indexes", "sync", *words).document
    assert sorted(document["databases"]) == [tenants[0], tenants[2]]
    assert list(document["failed"]) == [tenants[1]]


def test_it_goes_on_after_a_database(
    run: Run, shop: str, tenants: list[str], client: MongoClient[Any], database_name: str
) -> None:
    words = ("--databases", f"{database_name}_t*", "--after", tenants[0], "--models", shop)
    assert run("indexes", "sync", *words).code == 0
    assert [len(indexes_of(client, name)) for name in tenants] == [1, 2, 2]


def test_it_says_where_it_was_stopped(
    run: Run,
    shop: str,
    tenants: list[str],
    database_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from datalayer import indexes

    sync = indexes.sync

    def interrupted(alias: str, **options: Any) -> Any:
        if db.database.name == tenants[1]:
            raise KeyboardInterrupt
        return sync(alias, **options)

    monkeypatch.setattr(indexes, "sync", interrupted)
    outcome = run("indexes", "sync", "--databases", f"{database_name}_t*", "--models", shop)
    assert outcome.code == 130
    assert f"stopped; --after {tenants[0]} goes on from there" in outcome.stderr


def test_a_command_that_a_signal_has_stopped_goes_into_no_other(
    run: Run,
    shop: str,
    tenants: list[str],
    client: MongoClient[Any],
    database_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_light_orders.py").write_text(MIGRATION)
    apply = migrations.apply

    def told_to_stop(*args: Any, stopping: Any, **options: Any) -> Any:
        if db.database.name == tenants[1]:
            signal.raise_signal(signal.SIGTERM)
            wait_until(stopping, 5, "it was heard")
        return apply(*args, stopping=stopping, **options)

    monkeypatch.setattr("datalayer.migrations.apply", told_to_stop)
    monkeypatch.setattr("datalayer.cli.commands.migrations.command.migrations.apply", told_to_stop)
    words = ("--databases", f"{database_name}_t*", "--models", shop)
    outcome = run("migrations", "apply", "--yes", *words)
    assert outcome.code == 1
    assert f"--after {tenants[0]} goes on" in outcome.stderr
    assert [client[name].orders.count_documents({"lit": True}) for name in tenants] == [1, 0, 0]


def test_documents_are_checked_in_each(
    run: Run, shop: str, tenants: list[str], client: MongoClient[Any], database_name: str
) -> None:
    client[tenants[2]].orders.insert_one({"number": "2", "count": "two"})
    words = ("--databases", f"{database_name}_t*", "--models", shop, "--json")
    outcome = run("schema", "check", *words)
    assert outcome.code == 3
    found = outcome.document["databases"]
    assert [len(found[name]) for name in tenants] == [0, 0, 1]
    assert found[tenants[2]][0]["database"] == tenants[2]


def test_migrations_are_applied_and_undone_in_each(
    run: Run,
    shop: str,
    tenants: list[str],
    client: MongoClient[Any],
    database_name: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_light_orders.py").write_text(MIGRATION)
    of_all = ("--databases", f"{database_name}_t*", "--models", shop)
    assert run("migrations", "check", *of_all).code == 3
    assert run("migrations", "apply", "--yes", *of_all).code == 0
    assert [client[name].orders.count_documents({"lit": True}) for name in tenants] == [1, 1, 1]
    assert client[tenants[0]].datalayer_migrations.count_documents({"state": "applied"}) == 1
    assert "datalayer_migrations" not in client[database_name].list_collection_names()
    assert run("migrations", "check", *of_all).code == 0
    assert run("migrations", "undo", "--yes", *of_all).code == 0
    assert [client[name].orders.count_documents({"lit": True}) for name in tenants] == [0, 0, 0]


def test_tenants_are_moved_to_another_server_and_back(
    run: Run,
    shop: str,
    tenants: list[str],
    client: MongoClient[Any],
    other_server: MongoClient[Any],
) -> None:
    of_all = ("--databases", f"{tenants[0][:-1]}*", "--to", "database1")
    moving = ("--name", "move", "--collection", "orders", "--from", "default", "--move", *of_all)
    assert run("transfer", "plan", *moving).code == 0
    assert run("transfer", "run", *moving, "--yes", "--after", tenants[1]).code == 0
    assert [client[name].orders.count_documents({}) for name in tenants] == [1, 1, 0]
    assert run("transfer", "run", *moving, "--yes").code == 0
    assert [client[name].orders.count_documents({}) for name in tenants] == [0, 0, 0]
    assert [other_server[name].orders.count_documents({}) for name in tenants] == [1, 1, 1]
    assert run("transfer", "verify", "move", *of_all).code == 0
    assert run("transfer", "rollback", "move", *of_all).code == 0
    assert [client[name].orders.count_documents({}) for name in tenants] == [1, 1, 1]


@pytest.mark.parametrize(
    "words",
    [("run", "--name", "a", "--to", "database1"), ("verify", "a"), ("run", "history-messages")],
)
def test_a_transfer_of_tenants_names_its_sides(
    run: Run, configured: Settings, words: tuple[str, ...]
) -> None:
    outcome = run("transfer", *words, "--databases", "*")
    assert (outcome.code, "--databases needs" in outcome.stderr) == (2, True)


def test_the_doctor_looks_at_each(
    run: Run, shop: str, tenants: list[str], database_name: str
) -> None:
    words = ("--databases", f"{database_name}_t[01]", "--models", shop, "--json")
    outcome = run("doctor", *words)
    assert sorted(outcome.document["databases"]) == tenants[:2]
    for name in tenants[:2]:
        found = outcome.document["databases"][name]["findings"]
        assert {each["alias"] for each in found} <= {"default", None}
        assert any("orders" in f"{each['saw']}" for each in found)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--databases", "nobody_*"), 1, "no database of 'default' matches"),
        (("--after", "a"), 2, "--after goes with --databases"),
        (
            ("--databases", "*", "--alias", "default", "--alias", "database1"),
            2,
            "the databases of one --alias",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    run: Run, shop: str, configured: Settings, words: tuple[str, ...], code: int, told: str
) -> None:
    outcome = run("indexes", "diff", "--models", shop, *words)
    assert (outcome.code, told in outcome.stderr) == (code, True)


def test_only_databases_that_operations_may_go_to(
    configured: Settings, tenants: list[str], database_name: str
) -> None:
    with db.connected(configured):
        found = db.databases("*")
        assert set(tenants) <= set(found)
        own = {each.database for each in configured.values()}
        assert not {*own, "admin", "local", "config"} & set(found)
        assert db.databases(f"{database_name}_t[01]") == tenants[:2]
        db.tenants(f"{database_name}_t2")
        assert db.databases() == tenants[2:]
        db.tenants()
