"""The facade: all databases connected, asked and closed together."""

from __future__ import annotations

import json
import logging
import multiprocessing
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mongoengine
import pytest
from fresh_databases import model_registry
from observing import NO_OTHER_LIMIT
from pymongo import MongoClient, timeout
from pymongo.errors import PyMongoError

from datalayer import Settings, db
from datalayer.connections.client import open_client
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConfigurationError, ConnectError, NotConnectedError

DEADLINE = 60.0


@pytest.fixture
def settings(mongod: EmbeddedMongo, database_name: str) -> Settings:
    return Settings(
        databases={
            "default": mongod.uri_for(database_name),
            "database1": mongod.uri_for(f"{database_name}_analytics"),
        }
    )


QUICK = {"server_selection_timeout_ms": 300, "retry_max_seconds": 0.6, "retry_attempts": 2}


def with_dead_analytics(settings: Settings, closed_port: int) -> Settings:
    return Settings(
        databases={
            "default": settings["default"],
            "database1": {"uri": f"mongodb://127.0.0.1:{closed_port}/events", **QUICK},
        }
    )


def test_connect_all_connects_both_and_returns_the_status(settings: Settings) -> None:
    status = db.connect_all(settings)
    assert {alias: one["connected"] for alias, one in status.items()} == {
        "default": True,
        "database1": True,
    }
    assert json.loads(json.dumps(status)) == status


def test_each_database_has_a_pool_of_its_own_size(settings: Settings) -> None:
    status = db.connect_all(settings)
    sizes = {a: (s["pool"]["max_size"], s["pool"]["min_size"]) for a, s in status.items()}
    assert sizes == {"default": (10, 2), "database1": (5, 1)}
    warm = {alias: one["pool"]["open"] >= one["pool"]["min_size"] for alias, one in status.items()}
    assert warm == {"default": True, "database1": True}


def test_equal_options_and_one_server_still_give_two_pools(
    mongod: EmbeddedMongo, database_name: str
) -> None:
    same = {"uri": mongod.uri_for(database_name), "max_pool_size": 3, "min_pool_size": 1}
    db.connect_all(Settings(databases={"default": same, "database1": same}))
    assert db.database.client is not db.database1.client


def test_connecting_again_changes_nothing(settings: Settings) -> None:
    db.connect_all(settings)
    client = db.database.client
    db.connect_all(settings)
    db.connect_all()
    assert db.database.client is client


def test_settings_come_from_the_environment(
    mongod: EmbeddedMongo, database_name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONGODB_URI", mongod.uri_for(database_name))
    monkeypatch.delenv("DATABASE1_URI", raising=False)
    status = db.connect_all()
    assert (status["default"]["database"], status["database1"]["database"]) == (
        database_name,
        "database1",
    )


def test_further_aliases_are_connected_too(
    mongod: EmbeddedMongo, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {
        "MONGODB_URI": mongod.uri_for(database_name),
        "DATALAYER_ALIASES": "archive,search",
        "ARCHIVE_URI": mongod.uri_for(f"{database_name}_archive"),
        "SEARCH_URI": mongod.uri_for(f"{database_name}_search"),
        "SEARCH_MAX_POOL_SIZE": "3",
    }
    status = db.connect_all(Settings.from_env(environ))
    assert list(status) == ["default", "database1", "archive", "search"]
    assert db.get("archive").name == f"{database_name}_archive"
    assert status["search"]["pool"]["max_size"] == 3
    db.disconnect_all()
    assert list(db.status()) == ["default", "database1"]


def test_an_unknown_alias_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ConfigurationError, match="no database has the alias 'archiv'"):
        db.get("archiv")


def test_thirty_two_threads_that_connect_at_once_make_one_client_per_alias(
    settings: Settings, mongod: EmbeddedMongo
) -> None:
    start = threading.Barrier(32, timeout=DEADLINE)
    clients: list[tuple[int, int]] = []
    errors: list[Exception] = []

    def connect() -> None:
        try:
            start.wait()
            db.connect_all(settings)
            clients.append((id(db.database.client), id(db.database1.client)))
        except Exception as exc:
            errors.append(exc)

    threads = [threading.Thread(target=connect) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert errors == []
    assert (len(clients), len(set(clients))) == (32, 1)


def test_threads_that_fail_to_connect_fail_together(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        databases={"default": {"uri": f"mongodb://127.0.0.1:{closed_port}/shop", **QUICK}}
    )
    errors: list[Exception] = []
    opened: list[object] = []
    calling = threading.Barrier(16)

    def open_and_count(*args: Any) -> Any:
        opened.append(args)
        return open_client(*args)

    monkeypatch.setattr("datalayer.connections.connection.open_client", open_and_count)

    def connect() -> None:
        calling.wait(DEADLINE)
        try:
            db.connect_all(settings)
        except ConnectError as exc:
            errors.append(exc)

    threads = [threading.Thread(target=connect) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert len(errors) == 16
    assert len(opened) < 8  # one, or a few where threads call when the others have failed


def test_when_a_required_database_fails_the_others_are_closed_again(
    settings: Settings, closed_port: int
) -> None:
    both = Settings(
        databases={
            "default": {"uri": f"mongodb://127.0.0.1:{closed_port}/shop", **QUICK},
            "database1": settings["database1"],
        }
    )
    with pytest.raises(ConnectError) as caught:
        db.connect_all(both)
    assert caught.value.alias == "default"
    assert {a: s["state"] for a, s in db.status().items() if a in both} == {
        "default": "disconnected",
        "database1": "disconnected",
    }


def test_a_dead_optional_database_does_not_stop_the_business(
    settings: Settings, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="datalayer"):
        status = db.connect_all(with_dead_analytics(settings, closed_port))
    assert (status["default"]["state"], status["database1"]["state"]) == (
        "connected",
        "unavailable",
    )
    assert [r.levelname for r in caplog.records] == ["ERROR"]
    assert db.database.client[db.database.name].things.find_one() is None


def test_after_a_failure_other_settings_may_be_tried(settings: Settings, closed_port: int) -> None:
    with pytest.raises(ConnectError):
        db.connect_all(
            Settings(
                databases={"default": {"uri": f"mongodb://127.0.0.1:{closed_port}/shop", **QUICK}}
            )
        )
    assert db.connect_all(settings)["default"]["connected"]


def test_disconnect_all_closes_everything_and_may_be_repeated(settings: Settings) -> None:
    db.connect_all(settings)
    client = db.database.client
    db.disconnect_all()
    db.disconnect_all()
    assert registry.aliases() == []
    with pytest.raises(PyMongoError):
        client.admin.command("ping")


def test_disconnect_all_closes_the_last_connected_first(settings: Settings) -> None:
    closed: list[str] = []
    services = (db.database, db.database1)

    def note(event: object) -> None:
        closed.append(event.alias)  # type: ignore[attr-defined]

    db.connect_all(settings)
    order = registry.aliases()
    for service in services:
        service.on("disconnected", note)
    db.disconnect_all()
    for service in services:
        service.off("disconnected", note)
    assert closed == list(reversed(order))


def test_one_failure_to_close_does_not_keep_the_others_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    db.connect_all(settings)

    def fails() -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as patched:
        patched.setattr(db.database1, "disconnect", fails)
        db.disconnect_all()
    assert registry.aliases() == ["database1"]
    assert "database1 did not close cleanly" in caplog.text


def test_closing_one_database_leaves_the_other_open(settings: Settings) -> None:
    db.connect_all(settings)
    db.database1.close()
    assert (db.database.is_connected, db.database1.is_connected) == (True, False)
    db.database1.connect(settings["database1"])
    assert db.database1.is_connected


def test_a_with_block_connects_and_disconnects(settings: Settings) -> None:
    with db.connected(settings) as status:
        assert status["default"]["connected"]
    assert registry.aliases() == []


def test_a_with_block_disconnects_after_an_error(settings: Settings) -> None:
    with pytest.raises(KeyError), db.connected(settings):
        raise KeyError
    assert registry.aliases() == []


def test_status_before_connecting_tells_of_both() -> None:
    status = db.status()
    assert (status["default"]["state"], status["database1"]["state"]) == (
        "disconnected",
        "disconnected",
    )
    assert (status["default"]["required"], status["database1"]["required"]) == (True, False)


@pytest.mark.stops_processes
def test_status_ends_within_its_time_when_a_server_hangs(
    settings: Settings, mongod: EmbeddedMongo
) -> None:
    uris = {alias: settings[alias].secret_uri() for alias in settings}
    patient = {alias: {"uri": uri, **NO_OTHER_LIMIT} for alias, uri in uris.items()}
    db.connect_all(Settings(databases=patient))
    mongod.pause(0)
    try:
        status = db.status(timeout=0.5)
    finally:
        mongod.resume(0)
    assert {a: (status[a]["connected"], status[a]["state"]) for a in settings} == {
        "default": (False, "unavailable"),
        "database1": (False, "unavailable"),
    }


def test_a_deadline_ends_a_slow_operation(settings: Settings) -> None:
    db.connect_all(settings)
    things = db.database.client[db.database.name].things
    things.insert_one({})
    with pytest.raises(PyMongoError), db.deadline(0.2):  # without one, it ends well
        things.find_one({"$where": "sleep(5000) || true"})


def test_a_deadline_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 0 seconds"):
        db.deadline(0)


def test_documents_of_other_code_use_the_connections(settings: Settings) -> None:
    with model_registry():

        class Plain(mongoengine.Document):
            name = mongoengine.StringField()

        db.connect_all(settings)
        Plain(name="Ada").save()
        found = db.database.client[db.database.name].plain.find_one()
    assert found["name"] == "Ada"


def test_a_run_time_model_lives_on_the_analytics_database(settings: Settings) -> None:
    db.connect_all(settings)
    with model_registry():
        views = db.database1.model(
            "PageView", {"path": mongoengine.StringField(required=True)}, indexes=["path"]
        )
        views(path="/").save()
        same = db.database1.model(
            "PageView", {"path": mongoengine.StringField(required=True)}, indexes=["path"]
        )
    collection = db.database1.client[db.database1.name][views._get_collection_name()]
    assert same is views
    assert collection.count_documents({"path": "/"}) == 1
    assert "path_1" in collection.index_information()


def test_embedded_uris_share_one_private_server_that_ends_with_them() -> None:
    db.connect_all(
        Settings(databases={"default": "embedded://shop", "database1": "embedded://events"})
    )
    status = db.status()
    assert status["default"]["hosts"] == status["database1"]["hosts"]
    (server,) = status["default"]["hosts"]
    db.disconnect_all()
    with (
        MongoClient(f"mongodb://{server}", serverSelectionTimeoutMS=300) as client,
        timeout(0.5),
        pytest.raises(PyMongoError),
    ):
        client.admin.command("ping")


def test_after_disconnecting_documents_say_that_nothing_is_connected(settings: Settings) -> None:
    from datalayer import BusinessDocument

    with model_registry():

        class Note(BusinessDocument):
            text = mongoengine.StringField()

        db.connect_all(settings)
        Note(text="one").save()
        db.disconnect_all()
        with pytest.raises(NotConnectedError, match=r"call db\.connect_all\(\) at start-up"):
            Note.objects.first()


# Forked children


def child_answers(queue: multiprocessing.Queue[Mapping[str, object]]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = db.database.client
        client.admin.command("ping")
        queue.put(
            {
                "client": id(client),
                "connected": db.status()["default"]["connected"],
                "commands": db.status()["default"]["commands"]["total"],
                "warnings": [str(w.message) for w in caught],
            }
        )
        db.disconnect_all()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_a_client_of_its_own_and_leaves_the_parents_alone(
    settings: Settings,
) -> None:
    db.connect_all(settings)
    parents = id(db.database.client)
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[Mapping[str, object]] = context.Queue()
    child = context.Process(target=child_answers, args=(queue,))
    child.start()
    answer = queue.get(timeout=DEADLINE)
    child.join(DEADLINE)
    assert child.exitcode == 0
    assert answer["connected"]
    assert answer["warnings"] == []
    assert answer["client"] != parents
    assert id(db.database.client) == parents
    assert db.database.ping() > 0


def test_a_child_that_ran_no_fork_handlers_is_noticed_by_its_mark(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.database.connect(settings["default"])
    with db.database.client as parents:
        monkeypatch.setattr(registry, "_mark", [False])
        assert db.database.client is not parents


def test_closing_does_not_wait_for_a_server_that_is_gone() -> None:
    with EmbeddedMongo(in_memory=True, journal=False) as server:
        uris = {"default": server.uri_for("shop"), "database1": server.uri_for("events")}
        db.connect_all(
            Settings(databases={a: {"uri": uri, **NO_OTHER_LIMIT} for a, uri in uris.items()})
        )
        for alias, uri in uris.items():
            db.get(alias).client[uri.rpartition("/")[2][:4]].things.find_one()
        server.kill(0)
        db.disconnect_all()
    assert registry.aliases() == []
