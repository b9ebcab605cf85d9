"""What a new user meets: each mistake gives one clear message in time, the documented exit code,
and never the password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pymongo
import pytest
from running import Run

from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConnectError

PASSWORD = "hunter2"
OTHER = ("--database1-uri", "mongomock://numbers")

UNHEALTHY_WITH = {"status": 3, "ping": 3, "top --once": 3, "indexes diff": 1, "indexes sync": 1}
CONNECTING = tuple(UNHEALTHY_WITH)


@dataclass(frozen=True)
class Trouble:
    uri: str
    says: str
    timeout: float = 0.5

    @property
    def words(self) -> tuple[str, ...]:
        return ("--uri", self.uri, "--timeout", str(self.timeout), *OTHER)


@pytest.fixture(params=["wrong password", "unknown host", "closed port", "silent server"])
def trouble(
    request: pytest.FixtureRequest, auth_mongod: EmbeddedMongo, closed_port: int, silent_port: int
) -> Trouble:
    """A server that can't be used, and what the message has to say about it."""
    (host,) = auth_mongod.hosts
    return {
        "wrong password": Trouble(
            f"mongodb://joe:{PASSWORD}@{host}/shop?directConnection=true",
            "the server refused the credentials",
            timeout=20,  # which a server that answers needs on a busy machine only
        ),
        "unknown host": Trouble(
            f"mongodb://joe:{PASSWORD}@nowhere.invalid/shop", "the host name does not resolve"
        ),
        "closed port": Trouble(
            f"mongodb://joe:{PASSWORD}@127.0.0.1:{closed_port}/shop",
            "the host refuses connections on this port",
        ),
        "silent server": Trouble(
            f"mongodb://joe:{PASSWORD}@127.0.0.1:{silent_port}/shop", "the host does not answer"
        ),
    }[request.param]


@pytest.mark.parametrize("command", CONNECTING)
def test_a_server_that_can_not_be_used(run: Run, trouble: Trouble, command: str) -> None:
    words = (*command.split(), *trouble.words)
    outcome = run(*words)
    assert outcome.code == UNHEALTHY_WITH[command]
    assert trouble.says in (outcome.stdout if command.startswith("top") else outcome.stderr)
    assert PASSWORD not in outcome.stdout + outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("command", ["status", "indexes diff"])
def test_it_is_told_with_a_traceback_and_without_the_password_when_verbose(
    run: Run, trouble: Trouble, command: str
) -> None:
    words = (*command.split(), *trouble.words)
    outcome = run(*words, "--verbose")
    assert trouble.says in outcome.stderr
    assert PASSWORD not in outcome.stdout + outcome.stderr


def test_it_is_part_of_the_document_with_json(run: Run, trouble: Trouble) -> None:
    document = run("status", "--json", *trouble.words).document
    entry = document["default"]
    assert (entry["connected"], entry["state"], entry["database"]) == (
        False,
        "unavailable",
        "shop",
    )
    assert trouble.says in entry["last_error"]
    assert PASSWORD not in str(document)


def test_one_database_that_is_away_does_not_hide_the_other(
    run: Run, uri: str, closed_port: int
) -> None:
    away = f"mongodb://127.0.0.1:{closed_port}/numbers"
    outcome = run("status", "--json", "--uri", uri, "--database1-uri", away, "--timeout", "0.5")
    assert outcome.code == 3
    assert {alias: entry["state"] for alias, entry in outcome.document.items()} == {
        "default": "connected",
        "database1": "unavailable",
    }
    assert outcome.stderr.startswith("database1: optional and unavailable (")


MISTAKES = {
    "no URI": ({}, "MONGODB_URI is not set"),
    "an empty URI": ({"MONGODB_URI": ""}, "MONGODB_URI is empty"),
    "no database": ({"MONGODB_URI": "mongodb://localhost"}, "MONGODB_URI names no database"),
    "minimum above maximum": (
        {
            "MONGODB_URI": "mongodb://localhost/shop",
            "MONGODB_MIN_POOL_SIZE": "20",
            "MONGODB_MAX_POOL_SIZE": "10",
        },
        "MONGODB_MIN_POOL_SIZE (20) is above MONGODB_MAX_POOL_SIZE (10)",
    ),
    "misspelt variable": (
        {"MONGODB_URI": "mongodb://localhost/shop", "MONGODB_MAX_POOLSIZE": "3"},
        "did you mean MONGODB_MAX_POOL_SIZE?",
    ),
    "unescaped password": (
        {"MONGODB_URI": f"mongodb://joe:{PASSWORD}/@localhost/shop"},
        "escape the password with urllib.parse.quote_plus(password)",
    ),
}


@pytest.mark.parametrize("command", ["config", *CONNECTING])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_wrong_settings(
    run: Run, monkeypatch: pytest.MonkeyPatch, mistake: str, command: str
) -> None:
    variables, says = MISTAKES[mistake]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    outcome = run(*command.split())
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("datalayer: ")
    assert says in outcome.stderr
    assert PASSWORD not in outcome.stderr


def test_config_lists_all_problems_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://localhost")
    monkeypatch.setenv("MONGODB_SLOW_MS", "fast")
    monkeypatch.setenv("DATABASE1_AUTO_INDX", "true")
    outcome = run("config", "--json")
    problems = outcome.document["error"]["problems"]
    assert (outcome.code, len(problems)) == (2, 3)
    assert all(problem in outcome.stderr for problem in problems)


def test_options_that_the_driver_refuses_are_a_matter_of_settings(run: Run, uri: str) -> None:
    outcome = run("status", "--uri", f"{uri}&tlsCAFile=/no/such/file&tls=true")
    assert outcome.code == 2


def test_without_the_privilege_top_shows_what_it_may(run: Run, auth_mongod: EmbeddedMongo) -> None:
    with pymongo.MongoClient(auth_mongod.uri) as client:
        client.shop.command("createUser", "clerk", pwd=PASSWORD, roles=["readWrite"])
    (host,) = auth_mongod.hosts
    outcome = run(
        "top", "--once", "--json", "--uri", f"mongodb://clerk:{PASSWORD}@{host}/shop",
        "--database1-uri", "mongomock://numbers",
    )  # fmt: skip
    entry = outcome.document["databases"]["default"]
    assert (outcome.code, entry["state"]) == (0, "connected")
    assert entry["server"]["problem"] == "the user lacks the role clusterMonitor"


@pytest.mark.parametrize("words", [("outbox", "show"), ("outbox", "run", "--once")], ids=" ".join)
def test_the_outbox_waits_as_long_as_it_is_told(
    run: Run, closed_port: int, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    waited: list[float] = []

    def opened(_settings: Any, *, timeout: float, required: bool) -> Any:
        waited.append(timeout)
        raise ConnectError("the server is away", alias="default")

    monkeypatch.setattr("datalayer.cli.commands.outbox.opened", opened)
    outcome = run(*words, "--timeout", "1.5", "--uri", f"mongodb://127.0.0.1:{closed_port}/shop")
    assert (outcome.code, waited) == (1, [1.5])
    assert outcome.stderr.startswith("datalayer: the server is away")
