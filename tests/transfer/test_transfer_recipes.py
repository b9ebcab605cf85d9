"""Recipes: transfers to be run again and again, and the one for chat history."""

from __future__ import annotations

from datetime import timedelta

import pytest
from moving import Databases, raw

from datalayer import transfer
from datalayer.documents import utc_now
from datalayer.errors import ConfigurationError, TransferError
from datalayer.models import ChatMessage, Conversation, HistoryRecord, User
from datalayer.transfer import Plan, recipes
from datalayer.transfer.journal.journal import Journal

RECIPE = "history-chat-messages"


def tidy(name: str, *, below: str = "10") -> Plan:
    """A recipe of an application."""
    return transfer.plan(
        name, source="default", target="archive", collections=["messages"], move=True,
        filter={"number": {"$lt": int(below)}}, conflicts="skip", batch_size=5,
    )  # fmt: skip


@pytest.fixture
def chats(databases: Databases) -> dict[str, Conversation]:
    """One conversation that has been silent for two years, and one that goes on."""
    ann, bob = (User(email=f"{name}@example.com").save() for name in ("ann", "bob"))
    made = {}
    for title, age in (("old", timedelta(days=730)), ("new", timedelta(days=1))):
        chat = Conversation(participants=[ann, bob], title=title).save()
        for number in range(3):
            message = ChatMessage.send(chat, ann, f"{title} {number}")
            message.modify(sent_at=utc_now() - (timedelta(days=700) if title == "new" else age))
        chat.modify(last_message_at=utc_now() - age)
        made[title] = chat
    return made


def test_messages_of_silent_conversations_become_history(
    databases: Databases, chats: dict[str, Conversation]
) -> None:
    before = databases["default"].chat_messages.find_one({"conversation": chats["old"].pk})
    report = transfer.run_recipe(RECIPE, days="365")
    assert report is not None
    assert (report.name, report.state, report.deleted) == (f"{RECIPE}-1", "done", 3)
    assert ChatMessage.objects.distinct("text") == ["new 0", "new 1", "new 2"]
    assert before is not None
    record = HistoryRecord.about_id("default", "chat_messages", before["_id"]).get()
    assert (
        databases["database1"].history_records.find_one({"_id": record.pk})["snapshot"] == before
    )
    assert (record.operation, record.reason) == ("move", "silent for 365 days")


def test_running_it_twice_does_nothing_more(
    databases: Databases, chats: dict[str, Conversation]
) -> None:
    transfer.run_recipe(RECIPE)
    before = databases.state()
    assert transfer.run_recipe(RECIPE) is None
    assert databases.state() == before
    assert databases.journaled() == [f"{RECIPE}-1"]


def test_history_is_taken_back_as_it_was(
    databases: Databases, chats: dict[str, Conversation]
) -> None:
    before = databases.state()
    transfer.run_recipe(RECIPE)
    transfer.rollback(f"{RECIPE}-1")
    assert databases["default"].chat_messages.count_documents({}) == 6
    assert databases.state()["default"] == before["default"]
    assert raw(databases["database1"].history_records) == []


def test_the_next_run_goes_on_with_one_that_was_interrupted(databases: Databases) -> None:
    databases.fill(20)

    def interrupt(progress: transfer.Progress) -> None:
        if progress.phase == "verify":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer.run_recipe("test_transfer_recipes:tidy", on_progress=interrupt)
    report = transfer.run_recipe("test_transfer_recipes:tidy", below="15")
    assert report is not None
    assert (report.name, report.deleted) == ("test_transfer_recipes-tidy-1", 10)
    report = transfer.run_recipe("test_transfer_recipes:tidy", below="15")
    assert report is not None
    assert (report.name, report.deleted) == ("test_transfer_recipes-tidy-2", 5)


@pytest.mark.parametrize(
    ("recipe", "options", "says"),
    [
        ("nothing", {}, "there is no recipe 'nothing'; known are history-chat-messages"),
        (RECIPE, {"weeks": "3"}, "does not take these options: weeks"),
        (RECIPE, {"days": "many"}, "days is a whole number"),
    ],
)
def test_a_wrong_recipe_is_explained(
    databases: Databases, recipe: str, options: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        transfer.plan_recipe(recipe, **options)


def test_planning_a_recipe_writes_nothing(
    databases: Databases, chats: dict[str, Conversation]
) -> None:
    before = databases.state()
    made = transfer.plan_recipe(RECIPE)
    assert (made.count, made.recipe, made.move) == (3, RECIPE, True)
    assert (databases.state(), databases.journaled()) == (before, [])


def test_what_the_recipe_writes_is_what_it_takes_back() -> None:
    document = {"_id": 1, "snapshot": {"a": 1}}
    assert recipes.from_history(recipes.as_history(document)) == document


def test_a_recipe_asks_for_no_reports_of_other_transfers(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases.fill(20)
    transfer.run_recipe("test_transfer_recipes:tidy")
    monkeypatch.setattr(Journal, "totals", lambda *_: pytest.fail("nobody asked for a report"))
    assert transfer.run_recipe("test_transfer_recipes:tidy") is None


def test_a_recipe_that_is_at_work_is_not_begun_again(
    databases: Databases, chats: dict[str, Conversation]
) -> None:
    refused: list[str] = []

    def again(progress: transfer.Progress) -> None:
        if progress.phase == "verify" and not refused:
            with pytest.raises(TransferError, match="is at work"):
                transfer.run_recipe(RECIPE)
            refused.append(progress.name)

    transfer.run_recipe(RECIPE, on_progress=again)
    assert refused == [f"{RECIPE}-1"]
