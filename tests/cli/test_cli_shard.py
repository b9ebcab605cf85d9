"""``shard show`` and ``shard sync``, with the models of an application and a simulated router."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Run
from simulated_router import SimulatedRouter

MODELS = """
from mongoengine.fields import StringField
from datalayer import AnalyticsDocument, BusinessDocument

class Order(BusinessDocument):
    tenant = StringField(required=True)
    meta = {"collection": "orders", "shard_key": ("tenant",)}

class Visit(AnalyticsDocument):
    page = StringField()
    meta = {"collection": "visits"}
"""
SHOP = ("--models", "shop_models", "--alias", "default")


@pytest.fixture(autouse=True)
def shop(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "shop_models.py").write_text(MODELS)
    yield
    sys.modules.pop("shop_models", None)


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedRouter]:
    with SimulatedRouter() as router:
        monkeypatch.setenv("MONGODB_URI", router.uri)
        monkeypatch.setenv("DATABASE1_URI", router.uri)
        yield router


def columns(line: str) -> list[str]:
    return [each.strip() for each in line.split("  ") if each.strip()]


@pytest.mark.usefixtures("router")
def test_show_tells_what_is_to_be_sharded_and_exits_with_3(run: Run) -> None:
    outcome = run("shard", "show", *SHOP)
    assert outcome.code == 3
    assert columns(outcome.stdout.splitlines()[-1]) == [
        "default",
        "orders",
        "tenant",
        "not sharded",
    ]


def test_show_changes_nothing(run: Run, router: SimulatedRouter) -> None:
    run("shard", "show", *SHOP)
    assert (router.collections, router.indexes) == ({}, [])


def test_sync_shards_and_exits_with_0(run: Run, router: SimulatedRouter) -> None:
    outcome = run("shard", "sync", *SHOP, "--json")
    assert outcome.code == 0
    assert json.loads(outcome.stdout) == {
        "actions": [
            {
                "alias": "default",
                "collection": "orders",
                "action": "sharded",
                "key": {"tenant": 1},
            }
        ],
        "left": [],
    }
    assert router.collections == {"shop.orders": {"key": {"tenant": 1.0}}}


def test_show_counts_each_shard_s_documents(run: Run, router: SimulatedRouter) -> None:
    router.collections["shop.orders"] = {"key": {"tenant": 1.0}}
    outcome = run("shard", "show", *SHOP)
    assert outcome.code == 0
    assert columns(outcome.stdout.splitlines()[-1])[-2:] == [
        "as declared",
        "shard-a: 3, shard-b: 4",
    ]


def test_sync_never_reshards(run: Run, router: SimulatedRouter) -> None:
    router.collections["shop.orders"] = {"key": {"_id": "hashed"}}
    outcome = run("shard", "sync", *SHOP)
    assert outcome.code == 3
    assert "left as it is, sharded by (_id hashed) and declared by (tenant)" in outcome.stderr
    assert router.collections == {"shop.orders": {"key": {"_id": "hashed"}}}


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("command", ["show", "sync"])
def test_a_server_without_shards_is_refused(run: Run, command: str) -> None:
    outcome = run("shard", command, *SHOP)
    assert outcome.code == 2
    assert "is not the router (mongos) of a sharded cluster" in outcome.stderr
