"""By which right a step writes, on which servers, how fast, and in which database."""

from __future__ import annotations

from typing import Any

import pytest
from making_migrations import Migrate

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.errors import MigrationError
from datalayer.lease import Lease, holding
from datalayer.migrations.history import History
from datalayer.migrations.steps import Migration


def leased(run: str, lease: Any, **options: Any) -> Migration:
    return Migration("0001_change", run, "apply", lease=lease, **options)


def overtake(database: Any) -> None:
    """Let another runner have the lease, as if it had run out."""
    database.datalayer_migrations.update_many({}, {"$set": {"until": None}})
    other = History()
    other.acquire(30)
    with holding_already(other) as lease:
        leased("a", lease).update("members", {}, {"$inc": {"n": 1}})


class holding_already:
    """A lease that was acquired, and that nobody renews."""

    def __init__(self, history: History) -> None:
        self.lease = Lease(history, 30)

    def __enter__(self) -> Lease[History]:
        return self.lease

    def __exit__(self, *_: object) -> None:
        self.lease.document.release()


def test_a_runner_that_was_overtaken_writes_nothing_more(database: Any, migrate: Migrate) -> None:
    database.members.insert_many([{"_id": n, "n": 0} for n in range(20)])
    history = History()
    history.ensure()
    overtaken: list[bool] = []

    def tell(_: Any) -> None:
        if not overtaken:
            overtaken.append(True)
            overtake(database)

    with holding(Lease(history, 30), 30) as lease:
        m = leased("a", lease, batch=5, on_progress=tell)
        with pytest.raises(MigrationError, match="this runner has lost its lease"):
            m.update("members", {}, {"$inc": {"n": 1}})
    assert database.members.distinct("n") == [1]
    step = database.datalayer_migration_steps.find_one({})
    assert (step["token"], step["changed"]) == (2, 20)


def test_no_batch_begins_after_the_lease_has_run_out(database: Any, migrate: Migrate) -> None:
    database.members.insert_many([{"_id": n, "old": n} for n in range(2000)])
    history = History()
    history.ensure()
    with holding(Lease(history, 30), 30) as lease:

        def tell(_: Any) -> None:
            lease.stop()
            lease._until = 0.0  # as if this process had been stopped for long

        m = leased("a", lease, batch=5, on_progress=tell)
        with pytest.raises(MigrationError, match="this runner has lost its lease"):
            m.rename_field("members", "old", "new")
    assert 0 < database.members.count_documents({"new": {"$exists": True}}) < 2000


def test_the_present_database_of_an_alias_is_migrated(database: Any, migrate: Migrate) -> None:
    client = registry.connection("default").client
    name = f"{database.name}_tenant"
    client[name].members.insert_many([{"_id": n, "old": n} for n in range(5)])
    database.members.insert_one({"_id": 0, "old": 0})
    try:
        with db.using(database=name):
            m = migrate()
            m.rename_field("members", "old", "new")
            m.update("members", {}, {"$inc": {"new": 1}})
        assert client[name].members.distinct("new") == [1, 2, 3, 4, 5]
        assert client[name].datalayer_migration_steps.count_documents({}) == 2
        assert database.members.find_one({}) == {"_id": 0, "old": 0}
    finally:
        client.drop_database(name)


def test_a_rate_is_kept(database: Any, migrate: Migrate) -> None:
    database.members.insert_many([{"_id": n, "old": n} for n in range(60)])
    m = migrate(rate=100, batch=1000)
    sizes: list[int] = []
    m._steps.on_progress = lambda progress: sizes.append(progress.done)
    m.rename_field("members", "old", "new")
    assert sizes == [50, 60]  # half a second's share


def test_without_transactions_only_steps_that_limit_themselves_are_done(
    database: Any, migrate: Migrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datalayer.migrations.steps.targets.Target.has_transactions", False)
    database.members.insert_many([{"_id": n, "n": n} for n in range(5)])
    m = migrate()
    m.rename_field("members", "n", "m")
    m.update("members", {}, {"$set": {"x": 1}, "$unset": {"y": ""}})
    for step in (
        lambda: m.update("members", {}, {"$inc": {"m": 1}}),
        lambda: m.update("members", {}, [{"$set": {"m": {"$add": ["$m", 1]}}}]),
        lambda: m.convert("members", "m", str),
    ):
        with pytest.raises(MigrationError, match="needs transactions, so that each document"):
            step()
    with pytest.raises(MigrationError, match="needs transactions"):
        migrate(dry=True).convert("members", "m", str)
    assert database.members.distinct("m") == [0, 1, 2, 3, 4]
