"""``indexes sync --hide``, ``unhide`` and ``drop``, with the models of an application."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from mongoengine.base.common import _document_registry
from pymongo.collection import Collection
from running import Run

from datalayer.cli.output import Output
from datalayer.settings import Settings

MODELS = """
from mongoengine.fields import StringField
from datalayer import BusinessDocument

class Order(BusinessDocument):
    number = StringField(unique=True)
    meta = {"collection": "orders"}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """The name of a module with an application's models, in the working directory."""
    _document_registry.clear()
    (tmp_path / "hidden_models.py").write_text(MODELS)
    yield "hidden_models"
    sys.modules.pop("hidden_models", None)


@pytest.fixture
def orders(configured: Settings) -> Iterator[Collection[Any]]:
    """Orders, with an index that no model declares."""
    with pymongo.MongoClient[dict[str, Any]](configured["default"].uri) as client:
        found = client[configured["default"].database].orders
        found.create_index("colour", unique=True)
        yield found


def hidden_in(collection: Collection[Any]) -> list[str]:
    return [each["name"] for each in collection.list_indexes() if each.get("hidden")]


def hide(run: Run, shop: str) -> None:
    assert run("indexes", "sync", "--models", shop, "--hide").code == 0


def test_hide_hides_an_unknown_index_and_says_what_goes_on(
    run: Run, shop: str, orders: Collection[Any]
) -> None:
    outcome = run("indexes", "sync", "--models", shop, "--hide")
    assert outcome.code == 0
    assert ["default", "orders", "hide_index", "colour_1"] in [
        line.split() for line in outcome.stdout.splitlines()
    ]
    assert "colour_1 is hidden, and still refuses duplicates" in outcome.stderr
    assert "left as they are" not in outcome.stderr
    assert hidden_in(orders) == ["colour_1"]


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("words", [["sync", "--hide"], ["drop"]])
def test_what_removes_wants_the_models_named(run: Run, words: list[str]) -> None:
    outcome = run("indexes", *words)
    assert (outcome.code, "name them with --models" in outcome.stderr) == (2, True)


@pytest.mark.usefixtures("configured")
def test_hide_and_drop_exclude_each_other(run: Run, shop: str) -> None:
    outcome = run("indexes", "sync", "--models", shop, "--hide", "--drop")
    assert (outcome.code, "not allowed with argument --hide" in outcome.stderr) == (2, True)


def test_unhide_takes_it_back(run: Run, shop: str, orders: Collection[Any]) -> None:
    hide(run, shop)
    outcome = run("indexes", "unhide", "colour_1", "--json")
    assert outcome.code == 0
    assert outcome.document["actions"][0]["kind"] == "unhide_index"
    assert hidden_in(orders) == []


def test_unhide_of_an_unknown_name_tells_those_that_are_hidden(
    run: Run, shop: str, orders: Collection[Any]
) -> None:
    hide(run, shop)
    outcome = run("indexes", "unhide", "color_1")
    assert outcome.code == 2
    assert "hidden are: 'colour_1' of orders" in outcome.stderr


def test_unhide_asks_which_one_is_meant(run: Run, orders: Collection[Any]) -> None:
    for collection in (orders, orders.database.archive):
        collection.create_index("size", hidden=True)
    unclear = run("indexes", "unhide", "size_1")
    assert (unclear.code, "choose with --collection" in unclear.stderr) == (2, True)
    assert run("indexes", "unhide", "size_1", "--collection", "archive").code == 0
    assert hidden_in(orders) == ["size_1"]


def test_an_index_that_was_just_hidden_stays_and_the_command_says_why(
    run: Run, shop: str, orders: Collection[Any]
) -> None:
    hide(run, shop)
    outcome = run("indexes", "drop", "--models", shop, "--yes", "--json")
    assert outcome.code == 3
    assert "known to be hidden for 0 days, not 14" in outcome.document["kept"][0]["reason"]
    assert hidden_in(orders) == ["colour_1"]


def test_an_index_that_was_hidden_for_long_enough_is_dropped(
    run: Run, shop: str, orders: Collection[Any]
) -> None:
    hide(run, shop)
    outcome = run("indexes", "drop", "--models", shop, "--hidden-for", "0", "--yes")
    assert (outcome.code, "dropped" in outcome.stdout) == (0, True)
    assert "colour_1" not in orders.index_information()


def test_dropping_has_to_be_confirmed(run: Run, shop: str, orders: Collection[Any]) -> None:
    hide(run, shop)
    outcome = run("indexes", "drop", "--models", shop, "--hidden-for", "0")
    assert (outcome.code, "confirm it with --yes" in outcome.stderr) == (2, True)
    assert hidden_in(orders) == ["colour_1"]


def test_the_question_tells_what_a_dropped_index_no_longer_does(
    run: Run, shop: str, orders: Collection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(run, shop)
    asked: list[str] = []

    def refuse(_output: Output, question: str, **_options: Any) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(Output, "confirmed", refuse)
    outcome = run("indexes", "drop", "--models", shop, "--hidden-for", "0")
    assert "duplicates will no longer be refused" in asked[0]
    assert (outcome.code, "not confirmed" in outcome.stdout) == (3, True)
    assert hidden_in(orders) == ["colour_1"]


@pytest.mark.usefixtures("configured")
def test_where_nothing_is_hidden_the_command_says_so(run: Run, shop: str) -> None:
    outcome = run("indexes", "drop", "--models", shop)
    assert (outcome.code, "no index is hidden" in outcome.stderr) == (0, True)


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("days", ["-1", "4000", "soon"])
def test_a_time_that_is_none_is_refused(run: Run, shop: str, days: str) -> None:
    outcome = run("indexes", "drop", "--models", shop, "--hidden-for", days)
    assert (outcome.code, "--hidden-for" in outcome.stderr) == (2, True)


def test_a_commit_quorum_that_can_not_be_met_is_told(
    run: Run, shop: str, orders: Collection[Any]
) -> None:
    orders.insert_one({"number": "1"})
    outcome = run("indexes", "sync", "--models", shop, "--commit-quorum", "7")
    assert (outcome.code, "commit quorum" in outcome.stderr) == (1, True)


def test_a_question_is_answered_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for answer, agreed in (("y\n", True), ("Yes\n", True), ("\n", False), ("", False)):
        screen = Terminal()
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        output = Output(stderr=screen)
        assert output.confirmed("drop it?", yes=False, reason="it drops") is agreed
        assert screen.getvalue() == "drop it? [y/N] "
