"""The demonstration, played in this process on a small scale."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ports import SilentServer
from pymongo import MongoClient
from running_programs import installed

from datalayer import ConfigurationError, Settings, db
from datalayer.cli.demo import run
from datalayer.cli.demo.data import World
from datalayer.cli.demo.queries import index_used
from datalayer.embedded import EmbeddedMongo

SCALE = 0.05
DOCUMENTS = {
    "User": 100,
    "Profile": 100,
    "Advertisement": 75,
    "Conversation": 25,
    "ChatMessage": 250,
    "Transaction": 150,
    "AnalyticsEvent": 400,
    "Metric": 100,
}
DATABASES = ("datalayer_demo", "datalayer_demo_analytics")


@pytest.fixture(scope="module")
def listener() -> Iterator[SilentServer]:
    """Counts who connects to it."""
    with SilentServer() as server:
        yield server


@pytest.fixture(scope="module")
def played(
    listener: SilentServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """One run with a server configured in the environment and another in ``.env``."""
    home = tmp_path_factory.mktemp("home")
    (home / ".env").write_text(f"DATABASE1_URI={listener.uri}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MONGODB_URI", listener.uri)
        patch.setenv("MONGODB_MAX_POOL_SIZE", "not a number")
        patch.setenv("TMPDIR", str(home))
        patch.setattr("tempfile.tempdir", None)
        patch.chdir(home)
        threads = set(threading.enumerate())
        output, messages = io.StringIO(), io.StringIO()
        code = run(scale=SCALE, json=True, output=output, messages=messages)
        yield {
            "code": code,
            "summary": json.loads(output.getvalue()),
            "messages": messages.getvalue(),
            "files": sorted(path.name for path in home.iterdir()),
            "processes": processes_naming(home),
            "threads": still_alive(set(threading.enumerate()) - threads),
        }


def still_alive(threads: set[threading.Thread]) -> list[str]:
    """The threads that don't end; the driver tells its own to end and doesn't wait for them."""
    for thread in threads:
        thread.join(60)
    return [thread.name for thread in threads if thread.is_alive()]


def processes_naming(directory: Path) -> list[str]:
    """The command lines with ``directory`` in them: the servers' data are there."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            lines.append(file.read_bytes().replace(b"\0", b" ").decode())
    return [line for line in lines if str(directory) in line]


@pytest.fixture
def summary(played: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = played["summary"]
    return found


def test_it_succeeds(played: dict[str, Any]) -> None:
    assert (played["code"], played["summary"]["ok"]) == (0, True)


def test_it_never_connects_to_a_configured_server(
    played: dict[str, Any], listener: SilentServer
) -> None:
    assert listener.connections() == 0


def test_it_leaves_no_file_behind(played: dict[str, Any]) -> None:
    assert played["files"] == [".env"]


def test_it_leaves_no_process_behind(played: dict[str, Any]) -> None:
    assert played["processes"] == []


def test_it_leaves_no_thread_behind(played: dict[str, Any]) -> None:
    assert played["threads"] == []


def test_it_leaves_no_connection_behind(played: dict[str, Any]) -> None:
    assert {one["state"] for one in db.status().values()} == {"disconnected"}


def test_it_loads_what_it_says(summary: dict[str, Any]) -> None:
    loaded = {name: one["documents"] for name, one in summary["loaded"].items()}
    assert loaded == DOCUMENTS


def test_business_and_analytics_lie_in_their_databases(summary: dict[str, Any]) -> None:
    in_analytics = {n for n, one in summary["loaded"].items() if one["database"] == "database1"}
    assert in_analytics == {"AnalyticsEvent", "Metric"}


def test_every_question_is_answered_by_an_index(summary: dict[str, Any]) -> None:
    assert [one["question"] for one in summary["queries"] if one["index"] == "none"] == []


def test_both_databases_are_asked(summary: dict[str, Any]) -> None:
    assert {one["database"] for one in summary["queries"]} == {"default", "database1"}


def test_the_status_shows_two_databases_with_their_own_pools(summary: dict[str, Any]) -> None:
    pools = {alias: one["pool"]["max_size"] for alias, one in summary["status"].items()}
    assert pools == {"default": 10, "database1": 5}


def test_no_payment_fails_while_analytics_is_down(summary: dict[str, Any]) -> None:
    outage = summary["outage"]
    assert (outage["down"]["count"], outage["down"]["failed"]) == (100, 0)


def test_no_event_is_written_while_analytics_is_down(summary: dict[str, Any]) -> None:
    assert summary["outage"]["down"]["events"]["written"] == 0


def test_the_status_says_that_analytics_is_down(summary: dict[str, Any]) -> None:
    states = {alias: one["state"] for alias, one in summary["outage"]["status_down"].items()}
    assert states == {"default": "connected", "database1": "unavailable"}


def test_analytics_joins_again_and_takes_events(summary: dict[str, Any]) -> None:
    outage = summary["outage"]
    assert outage["rejoined_seconds"] > 0
    assert outage["back"]["events"]["written"] > 0


def test_the_progress_is_told_on_the_other_stream(played: dict[str, Any]) -> None:
    told = [line.split(":")[0].strip() for line in played["messages"].splitlines()]
    assert told == list(DOCUMENTS)


def test_the_story_tells_its_six_chapters_in_readable_lines(mongod: EmbeddedMongo) -> None:
    output = io.StringIO()
    assert run(uri=mongod.uri, scale=0.01, output=output, messages=io.StringIO()) == 0
    lines = output.getvalue().splitlines()
    assert [line[0] for line in lines if line[:1].isdigit()] == list("123456")
    assert max(map(len, lines)) <= 100


def test_the_same_seed_makes_the_same_people() -> None:
    now = datetime(2024, 2, 29, tzinfo=UTC)

    def emails(seed: int) -> list[str]:
        world = World(scale=SCALE, seed=seed, now=now)
        return [user.email for user in world.batches()[0].make()]

    assert emails(1) == emails(1)
    assert emails(1) != emails(2)


def test_a_given_server_is_clean_afterwards(mongod: EmbeddedMongo) -> None:
    run(uri=mongod.uri, scale=0.01, json=True, output=io.StringIO(), messages=io.StringIO())
    assert names_on(mongod).isdisjoint(DATABASES)


def test_a_given_server_is_not_stopped(mongod: EmbeddedMongo) -> None:
    output = io.StringIO()
    run(uri=mongod.uri, scale=0.01, json=True, output=output, messages=io.StringIO())
    assert json.loads(output.getvalue())["outage"] is None


def test_kept_data_stay_and_the_next_demo_replaces_them(mongod: EmbeddedMongo) -> None:
    run(uri=mongod.uri, scale=0.01, keep=True, output=io.StringIO(), messages=io.StringIO())
    kept = names_on(mongod) & set(DATABASES)
    run(uri=mongod.uri, scale=0.01, output=io.StringIO(), messages=io.StringIO())
    assert (kept, names_on(mongod) & set(DATABASES)) == (set(DATABASES), set())


def test_a_database_with_other_data_is_refused_and_left_alone(mongod: EmbeddedMongo) -> None:
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client[DATABASES[1]].precious.insert_one({"_id": 1})
        try:
            with pytest.raises(ConfigurationError, match="datalayer_demo_analytics"):
                run(uri=mongod.uri, output=io.StringIO(), messages=io.StringIO())
            left = {name: client[name].list_collection_names() for name in DATABASES}
        finally:
            client.drop_database(DATABASES[1])
    assert left == {"datalayer_demo": [], "datalayer_demo_analytics": ["precious"]}


@pytest.mark.parametrize("uri", ["localhost:27017", "embedded://x", "mongodb://u:p/w@h/x"])
def test_a_bad_uri_is_refused_without_repeating_it(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="--uri") as caught:
        run(uri=uri, output=io.StringIO(), messages=io.StringIO())
    assert uri not in str(caught.value)


def test_the_credentials_of_a_uri_without_a_database_work(auth_mongod: EmbeddedMongo) -> None:
    uri = auth_mongod.uri.replace("&authSource=admin", "")
    assert run(uri=uri, scale=0.01, output=io.StringIO(), messages=io.StringIO()) == 0


def test_a_process_that_is_connected_keeps_its_connections(uri: str) -> None:
    with db.connected(Settings(databases={"default": uri})):
        with pytest.raises(ConfigurationError, match="one of its own"):
            run(output=io.StringIO(), messages=io.StringIO())
        assert db.database.ping() > 0


def test_without_rich_the_command_prints_plain_lines(
    tmp_path: Path, mongod: EmbeddedMongo
) -> None:
    # In front of the real one: as if rich were not installed.
    (tmp_path / "rich.py").write_text("raise ImportError('no rich')\n")
    done = subprocess.run(
        [installed("datalayer"), "demo", "--scale", "0.01", "--uri", mongod.uri],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, "\x1b" in done.stdout + done.stderr) == (0, False)


def test_an_index_is_found_in_a_plan() -> None:
    plan = {"queryPlanner": {"winningPlan": {"inputStage": {"indexName": "email_1"}}}}
    assert index_used(plan) == "email_1"


def test_a_plan_that_reads_all_documents_uses_no_index() -> None:
    rejected = [{"indexName": "email_1"}]
    plan = {"queryPlanner": {"winningPlan": {"stage": "COLLSCAN"}, "rejectedPlans": rejected}}
    assert index_used(plan) == "none"


def names_on(server: EmbeddedMongo) -> set[str]:
    with MongoClient[dict[str, Any]](server.uri) as client:
        return set(client.list_database_names())
