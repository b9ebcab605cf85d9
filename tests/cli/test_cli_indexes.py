"""``indexes diff`` and ``indexes sync``, with the models of an application."""

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
from datalayer import AnalyticsDocument, BusinessDocument

class Order(BusinessDocument):
    number = StringField(unique=True)
    meta = {"collection": "orders"}

class Visit(AnalyticsDocument):
    page = StringField()
    meta = {"collection": "visits", "indexes": ["page"]}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """The name of a module with an application's models, in the working directory."""
    _document_registry.clear()  # the models of other tests; brought back after this one
    (tmp_path / "shop_models.py").write_text(MODELS)
    yield "shop_models"
    sys.modules.pop("shop_models", None)


@pytest.fixture
def orders(configured: Settings) -> Iterator[Collection[Any]]:
    with pymongo.MongoClient(configured["default"].uri) as client:
        yield client[configured["default"].database].orders


def names_of(collection: Collection[Any]) -> list[str]:
    return sorted(collection.index_information())


@pytest.mark.usefixtures("configured")
def test_diff_shows_what_is_missing_and_exits_with_3(run: Run, shop: str) -> None:
    outcome = run("indexes", "diff", "--models", shop)
    lines = [line.split()[:4] for line in outcome.stdout.splitlines()]
    assert outcome.code == 3
    assert ["default", "orders", "missing", "number_1"] in lines
    assert ["database1", "visits", "missing", "page_1"] in lines
    assert "default: 1 of 1 collections differ" in outcome.stderr


@pytest.mark.usefixtures("configured")
def test_diff_changes_nothing(run: Run, shop: str, orders: Collection[Any]) -> None:
    run("indexes", "diff", "--models", shop)
    assert names_of(orders) == []


@pytest.mark.usefixtures("configured")
def test_sync_builds_what_is_missing(run: Run, shop: str, orders: Collection[Any]) -> None:
    outcome = run("indexes", "sync", "--models", shop, "--json")
    done = [(action["kind"], action["name"]) for action in outcome.document["actions"]]
    assert outcome.code == 0
    assert ("create_index", "number_1") in done
    assert names_of(orders) == ["_id_", "number_1"]


@pytest.mark.usefixtures("configured")
def test_diff_after_sync_finds_nothing(run: Run, shop: str) -> None:
    run("indexes", "sync", "--models", shop)
    outcome = run("indexes", "diff", "--models", shop, "--json")
    assert (outcome.code, outcome.document) == (0, {"default": [], "database1": []})


@pytest.mark.usefixtures("configured")
def test_alias_limits_it_to_one_database(run: Run, shop: str) -> None:
    outcome = run("indexes", "diff", "--models", shop, "--alias", "database1", "--json")
    assert list(outcome.document) == ["database1"]


@pytest.mark.usefixtures("configured")
def test_an_unknown_alias_is_a_usage_error_that_names_the_known_ones(run: Run, shop: str) -> None:
    outcome = run("indexes", "diff", "--models", shop, "--alias", "archive")
    assert outcome.code == 2
    assert "'archive'; there are default, database1" in outcome.stderr


def test_an_unknown_index_stays_without_drop(run: Run, shop: str, orders: Collection[Any]) -> None:
    orders.create_index("colour")
    outcome = run("indexes", "sync", "--models", shop)
    assert outcome.code == 0
    assert "default.orders: left as they are: 1 unknown indexes" in outcome.stderr
    assert names_of(orders) == ["_id_", "colour_1", "number_1"]


def test_drop_removes_an_unknown_index(run: Run, shop: str, orders: Collection[Any]) -> None:
    orders.create_index("colour")
    assert run("indexes", "sync", "--models", shop, "--drop", "--yes").code == 0
    assert names_of(orders) == ["_id_", "number_1"]


def test_dropping_has_to_be_confirmed(run: Run, shop: str, orders: Collection[Any]) -> None:
    orders.create_index("colour")
    outcome = run("indexes", "sync", "--models", shop, "--drop")
    assert outcome.code == 2
    assert (
        "--drop would drop 'colour_1' of default.orders; confirm it with --yes" in outcome.stderr
    )
    assert names_of(orders) == ["_id_", "colour_1"]


def test_where_nothing_is_to_be_dropped_nothing_is_asked(
    run: Run, shop: str, orders: Collection[Any]
) -> None:
    assert run("indexes", "sync", "--models", shop, "--drop").code == 0
    assert names_of(orders) == ["_id_", "number_1"]


def test_a_person_may_say_no(
    run: Run, shop: str, orders: Collection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders.create_index("colour")
    monkeypatch.setattr(Output, "confirmed", lambda *_words, **_options: False)
    outcome = run("indexes", "sync", "--models", shop, "--drop")
    assert (outcome.code, "nothing was changed" in outcome.stderr) == (1, True)
    assert names_of(orders) == ["_id_", "colour_1"]


def test_a_changed_index_is_work_pending_without_drop(
    run: Run, shop: str, orders: Collection[Any]
) -> None:
    orders.create_index("number")
    outcome = run("indexes", "sync", "--models", shop)
    assert outcome.code == 3
    assert "unique" not in orders.index_information()["number_1"]


def test_drop_rebuilds_a_changed_index(run: Run, shop: str, orders: Collection[Any]) -> None:
    orders.create_index("number")
    assert run("indexes", "sync", "--models", shop, "--drop", "--yes").code == 0
    assert orders.index_information()["number_1"]["unique"] is True


def test_duplicates_under_a_unique_index_are_one_message_without_their_values(
    run: Run, shop: str, orders: Collection[Any]
) -> None:
    orders.insert_many([{"number": "hunter2"}, {"number": "hunter2"}])
    outcome = run("indexes", "sync", "--models", shop, "--verbose")
    assert outcome.code == 1
    assert "orders" in outcome.stderr.splitlines()[-1]
    assert "hunter2" not in outcome.stdout + outcome.stderr


@pytest.mark.usefixtures("configured")
def test_without_models_it_says_which_ones_it_takes(run: Run) -> None:
    outcome = run("indexes", "diff")
    assert "comparing the models of datalayer.models" in outcome.stderr


@pytest.mark.usefixtures("configured")
def test_drop_needs_to_be_told_the_models(run: Run) -> None:
    outcome = run("indexes", "sync", "--drop")
    assert outcome.code == 2
    assert "--models" in outcome.stderr


@pytest.mark.usefixtures("configured")
def test_models_that_can_not_be_imported_are_a_usage_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken_models.py").write_text("raise ValueError('hunter2')")
    missing = run("indexes", "diff", "--models", "no_such_module")
    broken = run("indexes", "diff", "--models", "broken_models")
    assert (missing.code, broken.code) == (2, 2)
    assert "there is no module 'no_such_module'" in missing.stderr
    assert "ValueError" in broken.stderr
    assert "hunter2" not in broken.stderr
