"""``status``, ``ping``, ``config`` and ``top`` with databases that are well."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.collection import Collection
from pymongo.errors import OperationFailure
from running import Run, installed
from waiting import wait_until

from datalayer import db
from datalayer.cli.output import Output
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings


@pytest.mark.usefixtures("configured")
def test_status_shows_a_line_for_each_database(run: Run) -> None:
    outcome = run("status")
    lines = outcome.stdout.splitlines()
    assert (outcome.code, outcome.stderr, len(lines)) == (0, "", 3)
    assert [line.split()[:2] for line in lines[1:]] == [
        ["default", "connected"],
        ["database1", "connected"],
    ]


@pytest.mark.usefixtures("configured")
def test_status_as_json_is_what_the_facade_says(run: Run) -> None:
    document = run("status", "--json").document
    db.connect_all()
    assert {alias: set(entry) for alias, entry in document.items()} == {
        alias: set(entry) for alias, entry in db.status().items()
    }
    assert document["default"]["pool"]["max_size"] == 10
    assert document["default"]["required"] is True
    assert document["database1"]["required"] is False


def test_status_covers_further_aliases(
    run: Run, configured: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATALAYER_ALIASES", "archive")
    monkeypatch.setenv("ARCHIVE_URI", configured["default"].uri)
    assert list(run("status", "--json").document) == ["default", "database1", "archive"]


def test_status_builds_nothing(run: Run, configured: Settings) -> None:
    import datalayer.models  # noqa: F401 - registers models that could be built

    assert run("status").code == 0
    with pymongo.MongoClient(configured["default"].uri) as client:
        assert configured["default"].database not in client.list_database_names()


@pytest.mark.usefixtures("configured")
def test_nothing_stays_connected_after_a_command(run: Run) -> None:
    run("status")
    assert {entry["state"] for entry in db.status().values()} == {"disconnected"}


def test_a_command_leaves_the_applications_connections_alone(configured: Settings) -> None:
    from datalayer.cli.commands.ping import ping

    with db.connected(configured):
        assert ping(Output(), configured, times=1) == 0
        assert db.database.is_connected


def test_the_uri_options_take_the_place_of_the_variables(run: Run, mongod: EmbeddedMongo) -> None:
    words = ("--uri", mongod.uri_for("shop"), "--database1-uri", mongod.uri_for("numbers"))
    document = run("status", "--json", *words).document
    assert [entry["database"] for entry in document.values()] == ["shop", "numbers"]


@pytest.mark.usefixtures("configured")
def test_ping_tells_minimum_median_and_maximum(run: Run) -> None:
    outcome = run("ping", "--count", "3", "--json")
    assert (outcome.code, list(outcome.document)) == (0, ["default", "database1"])
    entry = outcome.document["default"]
    assert (entry["sent"], entry["answered"], entry["error"]) == (3, 3, None)
    assert 0 < entry["min_ms"] <= entry["median_ms"] <= entry["max_ms"]


def test_config_shows_values_with_their_sources(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://joe:hunter2@localhost/shop?maxPoolSize=7")
    (tmp_path / ".env").write_text("MONGODB_SLOW_MS=250\n")
    outcome = run("config", "--json")
    rows = {row["variable"]: (row["value"], row["source"]) for row in outcome.document["settings"]}
    assert outcome.code == 0
    assert {name: rows[name] for name in rows if name in EXPECTED_ROWS} == EXPECTED_ROWS


EXPECTED_ROWS = {
    "MONGODB_URI": ("mongodb://***@localhost/shop?maxPoolSize=7", "environment"),
    "MONGODB_MAX_POOL_SIZE": ("7", "URI"),
    "MONGODB_MIN_POOL_SIZE": ("2", "default"),
    "MONGODB_SLOW_MS": ("250", ".env"),
}


def test_config_tells_warnings_as_messages(run: Run) -> None:
    outcome = run("config", "--uri", "mongodb://db.example.com/shop")
    assert outcome.code == 0
    assert "warning: MONGODB_URI connects without TLS" in outcome.stderr
    assert "warning" not in outcome.stdout


@pytest.mark.usefixtures("configured")
def test_top_once_shows_pools_connections_and_operations(run: Run) -> None:
    outcome = run("top", "--once", "--json")
    entry = outcome.document["databases"]["default"]
    assert outcome.code == 0
    assert entry["pool"]["open"] >= 1
    assert entry["server"]["connections"]["current"] >= 1
    assert (entry["server"]["running"], entry["server"]["problem"]) == ([], None)


@pytest.mark.usefixtures("configured")
def test_top_writes_a_document_a_line(run: Run) -> None:
    outcome = run("top", "--count", "3", "--interval", "0.1", "--json")
    views = [json.loads(line) for line in outcome.stdout.splitlines()]
    rates = [view["databases"]["default"]["server"]["operations_per_second"] for view in views]
    assert rates[0] is None
    assert all(rate > 0 for rate in rates[1:])


@pytest.mark.usefixtures("configured")
def test_top_in_plain_text_names_its_tables(run: Run) -> None:
    titles = ("databases at", "connections of the servers", "running operations")
    outcome = run("top", "--once")
    assert [title for title in titles if title not in outcome.stdout] == []


@pytest.fixture
def busy(configured: Settings) -> Iterator[None]:
    """A query that goes on until the end of the test."""
    settings = configured["default"]
    with pymongo.MongoClient(settings.uri) as client:
        people = client[settings.database].people
        people.insert_one({"name": "hunter2"})
        reader = threading.Thread(target=read_until_killed, args=(people,))
        reader.start()
        wait_until(lambda: operations_on(people))
        yield
        for operation in operations_on(people):
            client.admin.command("killOp", op=operation["opid"])
        reader.join(60)


def read_until_killed(collection: Collection[Any]) -> None:
    with pytest.raises(OperationFailure):
        list(collection.find({"name": "hunter2", "$where": "sleep(60000) || true"}))


def operations_on(collection: Collection[Any]) -> list[dict[str, Any]]:
    stages = [{"$currentOp": {}}, {"$match": {"ns": collection.full_name, "active": True}}]
    return list(collection.database.client.admin.aggregate(stages))


@pytest.mark.usefixtures("busy")
def test_top_names_a_running_operation_without_its_contents(run: Run) -> None:
    outcome = run("top", "--once", "--json")
    (operation,) = outcome.document["databases"]["default"]["server"]["running"]
    assert operation.pop("seconds") >= 0
    assert operation == {"operation": "find", "collection": "people"}
    assert "hunter2" not in outcome.stdout


@pytest.mark.usefixtures("configured")
def test_ctrl_c_is_the_usual_end_of_top() -> None:
    process = installed("top", "--interval", "60")
    assert process.stdout is not None
    with process:
        assert process.stdout.readline().startswith("databases at ")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")


def test_top_takes_over_a_terminal_and_gives_it_back() -> None:
    screen = on_a_terminal("top", "--count", "2", "--interval", "0.1", "--uri", "mongomock://shop")
    assert "\x1b[?1049h" in screen
    assert screen.index("\x1b[?1049h") < screen.index("mongomock has no server")
    assert screen.rindex("\x1b[?1049l") > screen.rindex("mongomock has no server")


def test_colours_are_for_terminals_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("status", "--uri", "mongomock://shop", "--database1-uri", "mongomock://numbers")
    green = "\x1b[32mconnected"
    assert green in on_a_terminal(*words)
    assert green not in run(*words).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert green not in on_a_terminal(*words)


def on_a_terminal(*words: str) -> str:
    """What the command writes to a terminal of 160 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    with installed(*words, stdout=theirs, env=environment) as process, open(ours, "rb") as screen:
        os.close(theirs)
        written = b""
        # Linux reports the end of a terminal as an error.
        with contextlib.suppress(OSError):
            while part := screen.read1():
                written += part
        assert process.wait(60) == 0
    return written.decode()
