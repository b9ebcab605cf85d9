"""``datalayer outbox``: deliver what waits, and tell what waits."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
from fresh_databases import model_registry
from mongoengine import IntField
from pymongo import MongoClient
from running import Run, installed
from waiting import wait_until

from datalayer import db
from datalayer.documents import Document
from datalayer.settings import Settings


class Heard(Document):
    number = IntField()
    meta = {"db_alias": "database1"}


@pytest.fixture
def with_one_waiting(configured: Settings) -> Iterator[Settings]:
    with model_registry(Heard):
        with db.connected(configured):
            db.outbox.add(Heard(number=1))
        yield configured


def heard(settings: Settings) -> int:
    with MongoClient[dict[str, object]](settings["database1"].uri) as client:
        return client[settings["database1"].database].heard.count_documents({})


def test_show_tells_what_waits(run: Run, with_one_waiting: Settings) -> None:
    outcome = run("outbox", "show", "--json")
    assert (outcome.code, outcome.document["waiting"]) == (3, 1)
    assert outcome.document["oldest_seconds"] < 60


def test_run_once_delivers_and_ends(run: Run, with_one_waiting: Settings) -> None:
    outcome = run("outbox", "run", "--once", "--json")
    assert (outcome.code, outcome.document) == (0, {"delivered": 1, "refused": 0})
    assert heard(with_one_waiting) == 1
    assert run("outbox", "show").code == 0


def test_run_goes_on_until_it_is_told_to_end(with_one_waiting: Settings) -> None:
    with installed("outbox", "run", "--json") as process:
        wait_until(lambda: heard(with_one_waiting) == 1)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert '"delivered": 1' in stdout


def test_run_tells_once_of_what_it_cannot_deliver_and_goes_on(
    with_one_waiting: Settings,
) -> None:
    settings = with_one_waiting["default"]
    with MongoClient[dict[str, object]](settings.uri) as client:
        stored = client[settings.database].datalayer_outbox
        stored.insert_one({"_id": {"number": 1}, "note": "canary"})
        with installed("outbox", "run", "--json") as process:
            # More than one attempt, so that a second line would have been written by then.
            wait_until(lambda: stored.count_documents({"failure.attempts": {"$gte": 3}}))
            process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3
    assert json.loads(stdout) == {"delivered": 1, "refused": 1}
    assert stderr.count("\n") == stderr.count("no entry") == 1
    assert "canary" not in stderr
