"""``datalayer outbox list``, ``retry``, ``set-aside`` and ``put-back``: entries in trouble are
shown without their contents, and a person decides about them without losing any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from canaries import CANARY, found_in
from fresh_databases import model_registry
from mongoengine import IntField, StringField
from pymongo import MongoClient
from running import Run

from datalayer import db
from datalayer.documents import Document
from datalayer.settings import Settings

KEY = f"{CANARY}@example.org"


class Letter(Document):
    number = IntField()
    code = StringField(unique=True, sparse=True)
    meta = {"db_alias": "database1"}


@pytest.fixture
def with_one_refused(configured: Settings) -> Iterator[Settings]:
    """The second of three with one key; and one with another."""
    with model_registry(Letter):
        with db.connected(configured):
            Letter(number=0, code=CANARY).save()
            for number, code in ((1, None), (2, CANARY), (3, None)):
                db.outbox.add(Letter(number=number, code=code), key=KEY)
            db.outbox.add(Letter(number=9), key="other")
            assert db.outbox.deliver().delivered == 2
        yield configured


def arrived(settings: Settings) -> list[int]:
    with MongoClient[dict[str, Any]](settings["database1"].uri) as client:
        found = client[settings["database1"].database].letter.find({"number": {"$ne": 0}})
        return [each["number"] for each in found.sort("$natural", 1)]


def make_room(settings: Settings) -> None:
    """Take away what the refused one was a duplicate of."""
    with MongoClient[dict[str, Any]](settings["database1"].uri) as client:
        client[settings["database1"].database].letter.delete_one({"number": 0})


def refused(run: Run) -> str:
    found: str = run("outbox", "list", "--json").document[0]["id"]
    return found


def test_list_shows_what_waits_and_why(run: Run, with_one_refused: Settings) -> None:
    outcome = run("outbox", "list", "--json")
    assert outcome.code == 3
    first, second = outcome.document
    assert (first["state"], first["reason"]) == ("refused", "DuplicateKey (error 11000)")
    assert (first["target"], first["attempts"]) == ("database1.letter", 1)
    assert None not in (first["failing_since"], first["added_at"])
    assert (second["state"], second["reason"], second["attempts"]) == ("waits", None, 0)


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_list_shows_neither_documents_nor_keys(
    run: Run, with_one_refused: Settings, words: tuple[str, ...]
) -> None:
    outcome = run("outbox", "list", *words)
    assert found_in(outcome.stdout + outcome.stderr) is None


def test_list_finds_the_entries_of_a_key(run: Run, with_one_refused: Settings) -> None:
    assert len(run("outbox", "list", "--json", "--key", KEY).document) == 2
    outcome = run("outbox", "list", "--json", "--key", "other")
    assert (outcome.code, outcome.document) == (0, [])


def test_list_says_when_there_is_more(run: Run, with_one_refused: Settings) -> None:
    outcome = run("outbox", "list", "--json", "--limit", "1")
    assert len(outcome.document) == 1
    assert "--limit" in outcome.stderr


def test_list_makes_escape_codes_harmless(run: Run, with_one_refused: Settings) -> None:
    with MongoClient[dict[str, Any]](with_one_refused["default"].uri) as client:
        stored = client[with_one_refused["default"].database].datalayer_outbox
        stored.update_many({}, {"$set": {"collection": "\x1b[2J", "failure.reason": "\x1b]0;"}})
    outcome = run("outbox", "list")
    assert "\x1b" not in outcome.stdout


def test_list_knows_an_alias_that_nobody_is_connected_to(
    run: Run, with_one_refused: Settings
) -> None:
    with MongoClient[dict[str, Any]](with_one_refused["default"].uri) as client:
        stored = client[with_one_refused["default"].database].datalayer_outbox
        stored.update_many({}, {"$set": {"alias": "elsewhere"}})
    states = {each["state"] for each in run("outbox", "list", "--json").document}
    assert states == {"unknown alias"}


def test_show_counts_what_fails_and_what_was_set_aside(
    run: Run, with_one_refused: Settings
) -> None:
    report = run("outbox", "show", "--json").document
    assert (report["waiting"], report["failing"], report["set_aside"]) == (2, 1, 0)
    run("outbox", "set-aside", refused(run))
    report = run("outbox", "show", "--json").document
    assert (report["waiting"], report["failing"], report["set_aside"]) == (1, 0, 1)


def test_retry_delivers_when_the_cause_is_gone(run: Run, with_one_refused: Settings) -> None:
    entry = refused(run)
    outcome = run("outbox", "retry", entry, "--json")
    assert (outcome.code, outcome.document["delivered"]) == (3, 0)
    make_room(with_one_refused)
    outcome = run("outbox", "retry", entry, "--json")
    assert (outcome.code, outcome.document) == (0, {"delivered": 2, "failed": 0})
    assert arrived(with_one_refused) == [1, 9, 2, 3]


def test_set_aside_lets_those_behind_go_on(run: Run, with_one_refused: Settings) -> None:
    entry = refused(run)
    assert run("outbox", "set-aside", entry).code == 0
    assert run("outbox", "run", "--once", "--json").document["delivered"] == 1
    assert arrived(with_one_refused) == [1, 9, 3]
    outcome = run("outbox", "list", "--json")
    (aside,) = outcome.document
    assert (outcome.code, aside["id"], aside["state"]) == (0, entry, "set aside")
    assert aside["reason"] == "DuplicateKey (error 11000)"


def test_what_was_put_back_arrives_last(run: Run, with_one_refused: Settings) -> None:
    entry = refused(run)
    run("outbox", "set-aside", entry)
    run("outbox", "run", "--once")
    make_room(with_one_refused)
    assert run("outbox", "put-back", entry).code == 0
    assert run("outbox", "run", "--once", "--json").document == {"delivered": 1, "refused": 0}
    assert arrived(with_one_refused) == [1, 9, 3, 2]
    assert run("outbox", "list", "--json").document == []


def test_set_aside_on_hold_lets_those_behind_wait(run: Run, with_one_refused: Settings) -> None:
    entry = refused(run)
    make_room(with_one_refused)
    assert run("outbox", "set-aside", "--hold", entry).code == 0
    outcome = run("outbox", "run", "--once", "--json")
    assert (outcome.code, outcome.document["delivered"]) == (3, 0)
    assert run("outbox", "list", "--json").document[0]["state"] == "held"
    assert run("outbox", "retry", entry).code == 0
    assert arrived(with_one_refused) == [1, 9, 2, 3]


@pytest.mark.parametrize("command", ["retry", "set-aside"])
def test_a_dry_run_changes_nothing(run: Run, with_one_refused: Settings, command: str) -> None:
    make_room(with_one_refused)
    before = run("outbox", "list", "--json").document
    outcome = run("outbox", command, before[0]["id"], "--dry-run", "--json")
    assert (outcome.code, [each["id"] for each in outcome.document]) == (0, [before[0]["id"]])
    assert "nothing was changed" in outcome.stderr
    assert run("outbox", "list", "--json").document == before
    assert arrived(with_one_refused) == [1, 9]


@pytest.mark.parametrize("command", ["retry", "set-aside", "put-back"])
def test_an_entry_that_is_not_there_is_a_mistake_in_the_command(
    run: Run, with_one_refused: Settings, command: str
) -> None:
    outcome = run("outbox", command, "0" * 24 + "-1")
    assert outcome.code == 2
    assert "datalayer outbox list" in outcome.stderr


def test_none_is_changed_when_one_is_not_there(run: Run, with_one_refused: Settings) -> None:
    assert run("outbox", "set-aside", refused(run), "0" * 24 + "-1").code == 2
    assert run("outbox", "show", "--json").document["set_aside"] == 0


def test_what_is_no_entry_can_be_set_aside_and_put_back(
    run: Run, with_one_refused: Settings
) -> None:
    make_room(with_one_refused)
    run("outbox", "run", "--once")
    with MongoClient[dict[str, Any]](with_one_refused["default"].uri) as client:
        stored = client[with_one_refused["default"].database].datalayer_outbox
        stored.insert_one({"_id": {"number": 1}, "note": CANARY})
    (broken,) = run("outbox", "list", "--json").document
    assert broken["state"] == "unreadable"
    assert run("outbox", "set-aside", broken["id"]).code == 0
    assert run("outbox", "run", "--once").code == 0
    assert run("outbox", "put-back", broken["id"]).code == 0
    assert run("outbox", "list", "--json").document[0]["id"] == broken["id"]


def test_what_the_first_version_left_can_be_set_aside_and_put_back(
    run: Run, with_one_refused: Settings
) -> None:
    make_room(with_one_refused)
    run("outbox", "run", "--once")
    with MongoClient[dict[str, Any]](with_one_refused["default"].uri) as client:
        stored = client[with_one_refused["default"].database].datalayer_outbox
        stored.insert_one(
            {
                "_id": {"key": KEY, "number": 1},
                "alias": "database1",
                "collection": "letter",
                "document": {"_id": 7, "number": 7},
                "ordered": True,
            }
        )
    (entry,) = run("outbox", "list", "--json").document
    assert run("outbox", "set-aside", entry["id"]).code == 0
    assert run("outbox", "run", "--once", "--json").document["delivered"] == 0
    assert run("outbox", "put-back", entry["id"]).code == 0
    assert run("outbox", "run", "--once", "--json").document["delivered"] == 1
    assert arrived(with_one_refused)[-1] == 7
