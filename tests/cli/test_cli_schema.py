"""``datalayer schema``, with the models of an application."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from mongoengine.base.common import _document_registry
from pymongo.database import Database
from running import Run

from datalayer.settings import Settings

MODELS = """
from mongoengine.fields import IntField, ReferenceField, StringField
from datalayer import AnalyticsDocument, BusinessDocument

class Order(BusinessDocument):
    number = StringField(required=True, max_length=5, unique=True)
    meta = {"collection": "orders", "timestamps": False, "validator": "model"}

class Visit(AnalyticsDocument):
    page = StringField()
    order = ReferenceField(Order)
    meta = {"collection": "visits", "timestamps": False}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """Options that name an application's models, in the working directory."""
    _document_registry.clear()  # the models of other tests; brought back after this one
    (tmp_path / "shop_models.py").write_text(MODELS)
    yield ("--models", "shop_models")
    sys.modules.pop("shop_models", None)


@pytest.fixture
def stored(configured: Settings) -> Iterator[Database[Any]]:
    with pymongo.MongoClient(configured["default"].uri) as client:
        yield client[configured["default"].database]


def visits(stored: Database[Any]) -> Any:
    return stored.client[f"{stored.name}_1"].visits


def test_check_counts_what_breaks_a_rule_and_exits_with_3(
    run: Run, shop: tuple[str, ...], stored: Database[Any]
) -> None:
    stored.orders.insert_many([{"_id": 1, "number": "canary-12"}, {"number": "1", "old": 1}])
    outcome = run("schema", "check", *shop, "--json")
    assert outcome.code == 3
    found = [(each["path"], each["rule"], each["documents"]) for each in outcome.document]
    assert sorted(found) == [
        ("_id", "wrong_type", 1),
        ("number", "too_long", 1),
        ("old", "unknown_field", 1),
    ]
    assert outcome.document[0]["ids"] == [1]
    assert "canary" not in outcome.stdout + outcome.stderr


def test_check_shows_a_table(run: Run, shop: tuple[str, ...], stored: Database[Any]) -> None:
    stored.orders.insert_one({"number": "too long"})
    outcome = run("schema", "check", *shop)
    lines = [line.split()[:5] for line in outcome.stdout.splitlines()]
    assert ["number", "too_long", "1", "maxLength", "5;"] in lines
    assert ["default.orders"] in lines
    assert "1 rules are broken, in 1 collections" in outcome.stderr


@pytest.mark.usefixtures("stored")
def test_check_of_documents_that_keep_the_rules_exits_with_0(
    run: Run, shop: tuple[str, ...]
) -> None:
    outcome = run("schema", "check", *shop, "--read-from", "primaryPreferred", "--deadline", "5")
    assert (outcome.code, outcome.stderr) == (0, "all documents keep the rules of their models\n")


def test_references_are_looked_for_into_databases_that_are_not_looked_at(
    run: Run, shop: tuple[str, ...], stored: Database[Any]
) -> None:
    stored.orders.insert_one({"_id": "kept", "number": "1"})
    visits(stored).insert_many([{"order": "kept"}, {"order": "gone"}])
    words = ("schema", "check", *shop, "--alias", "database1", "--references", "--json")
    found = [each for each in run(*words).document if each["rule"] == "dangling_reference"]
    assert [(each["collection"], each["path"], each["documents"]) for each in found] == [
        ("visits", "order", 1)
    ]


def test_collection_limits_it_to_one(
    run: Run, shop: tuple[str, ...], stored: Database[Any]
) -> None:
    stored.orders.insert_one({})
    assert run("schema", "check", *shop, "--collection", "visits").code == 0
    assert run("schema", "check", *shop, "--collection", "orders").code == 3


@pytest.mark.usefixtures("stored")
def test_a_collection_without_a_model_is_a_usage_error(run: Run, shop: tuple[str, ...]) -> None:
    outcome = run("schema", "check", *shop, "--collection", "letters")
    assert outcome.code == 2
    assert "no model that is known describes the collection 'letters'" in outcome.stderr


@pytest.mark.usefixtures("stored")
def test_an_unknown_alias_is_a_usage_error(run: Run, shop: tuple[str, ...]) -> None:
    outcome = run("schema", "diff", *shop, "--alias", "archive")
    assert outcome.code == 2
    assert "'archive'; there are default, database1" in outcome.stderr


@pytest.mark.usefixtures("stored")
def test_an_unknown_way_of_reading_is_a_usage_error(run: Run, shop: tuple[str, ...]) -> None:
    outcome = run("schema", "check", *shop, "--read-from", "anywhere")
    assert outcome.code == 2
    assert "there is no read preference 'anywhere'" in outcome.stderr


@pytest.mark.usefixtures("stored")
def test_diff_exits_with_3_until_apply_has_set_the_validator(
    run: Run, shop: tuple[str, ...]
) -> None:
    differing = run("schema", "diff", *shop)
    assert differing.code == 3
    assert "1 of 1 declared validators are not as declared" in differing.stderr
    applied = run("schema", "apply", *shop, "--yes", "--json")
    assert (applied.code, applied.document[0]["outcome"]) == (0, "created")
    again = run("schema", "diff", *shop, "--json")
    assert (again.code, [each["state"] for each in again.document]) == (0, ["same", "none"])
    assert "all validators are as declared" in run("schema", "apply", *shop).stderr


@pytest.mark.usefixtures("stored")
def test_apply_asks_before_it_writes(run: Run, shop: tuple[str, ...]) -> None:
    outcome = run("schema", "apply", *shop)
    assert outcome.code == 2
    assert "confirm it with --yes" in outcome.stderr


def test_diff_shows_a_line_for_each_rule_that_differs(
    run: Run, shop: tuple[str, ...], stored: Database[Any]
) -> None:
    stored.create_collection("orders", validator={"$jsonSchema": {"required": ["old"]}})
    lines = [line.split()[:5] for line in run("schema", "diff", *shop).stdout.splitlines()]
    assert ["default.orders", "different", "declared", "number:", "too_long"] in lines
    assert ["default.orders", "different", "there", "old:", "missing"] in lines


def test_apply_refuses_what_stored_documents_break_and_exits_with_3(
    run: Run, shop: tuple[str, ...], stored: Database[Any]
) -> None:
    stored.orders.insert_one({})
    outcome = run("schema", "apply", *shop, "--yes")
    assert outcome.code == 3
    assert "default.orders: stored documents break the validator" in outcome.stderr
    assert "missing" in outcome.stdout
    assert stored.orders.options() == {}
    assert run("schema", "apply", *shop, "--yes", "--anyway").code == 0
    assert "validator" in stored.orders.options()


def test_show_needs_no_server(
    run: Run, shop: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("MONGODB_URI", f"mongodb://127.0.0.1:{closed_port}/shop")
    monkeypatch.setenv("DATABASE1_URI", f"mongodb://127.0.0.1:{closed_port}/events")
    outcome = run("schema", "show", *shop)
    order, _ = outcome.document
    assert (outcome.code, order["collection"]) == (0, "orders")
    assert order["schema"]["properties"]["number"] == {"bsonType": "string", "maxLength": 5}
    assert ("number", "unique") in {(e["path"], e["rule"]) for e in order["unexpressed"]}


@pytest.mark.usefixtures("stored")
def test_show_has_the_dialect_of_api_documentation(run: Run, shop: tuple[str, ...]) -> None:
    words = ("schema", "show", *shop, "--dialect", "2020-12", "--collection", "orders", "--json")
    (order,) = run(*words).document
    assert order["schema"]["properties"]["number"]["type"] == "string"
