"""One runner at a time: who waits, who is refused, and what is left by one that was stopped."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from migration_files import Write

from datalayer import migrations
from datalayer.connections.registry import registry
from datalayer.errors import MigrationError
from datalayer.lease import Lease
from datalayer.migrations import api
from datalayer.migrations.history import LEASE, History, collection, entries
from datalayer.settings import Settings

COUNT = """
    def apply(m):
        for _ in range(3):
            m.update("lamps", {}, {"$inc": {"times": 1}})
    def undo(m):
        m.update("lamps", {}, {"$inc": {"times": -3}})
"""


@pytest.fixture
def lamps(databases: Settings, write: Write) -> Any:
    write("0001_count", COUNT)
    lamps = registry.connection("default").database.lamps
    lamps.insert_many([{"_id": number, "times": 0} for number in range(10)])
    return lamps


def times(lamps: Any) -> list[int]:
    found: list[int] = lamps.distinct("times")
    return found


@pytest.fixture
def other(databases: Settings) -> History:
    """Another runner, which has the lease."""
    history = History()
    history.ensure()
    history.acquire(30)
    return history


def test_a_second_runner_is_refused_and_told_who_is_at_work(lamps: Any, other: History) -> None:
    with pytest.raises(MigrationError, match="is at work on the migrations") as caught:
        migrations.apply()
    assert "its lease runs out in" in caught.value.message
    assert times(lamps) == [0]


def test_a_second_runner_can_wait(lamps: Any, other: History) -> None:
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        migrations.apply(wait_seconds=30)

    thread = threading.Thread(target=wait)
    thread.start()
    begun.wait()
    other.release()
    thread.join()
    assert times(lamps) == [3]


def test_many_that_wait_apply_each_migration_once(lamps: Any) -> None:
    done: list[int] = []
    threads = [
        threading.Thread(target=lambda: done.append(len(migrations.apply(wait_seconds=60))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 0, 0, 1]
    assert times(lamps) == [3]


def test_one_that_is_told_to_stop_ends_after_a_batch_and_is_gone_on_with(lamps: Any) -> None:
    stopping = threading.Event()
    with pytest.raises(MigrationError, match="the migrations have stopped, as asked"):
        migrations.apply(on_progress=lambda *_: stopping.set(), stopping=stopping.is_set)
    assert (times(lamps), migrations.status()[0].state) == ([1], "applying")
    (done,) = migrations.apply()
    assert (times(lamps), done.resumed, migrations.status()[0].state) == ([3], True, "applied")


def test_one_that_was_told_before_it_begins_does_nothing(lamps: Any) -> None:
    with pytest.raises(MigrationError, match="as asked"):
        migrations.apply(stopping=lambda: True)
    assert (times(lamps), migrations.status()[0].state) == ([0], "pending")


def test_one_that_waits_can_be_told_to_stop(lamps: Any, other: History) -> None:
    asked: list[bool] = []
    with pytest.raises(MigrationError, match="as asked"):
        migrations.apply(wait_seconds=600, stopping=lambda: asked.append(True) or True)
    assert (times(lamps), asked) == ([0], [True])


def test_what_a_migration_catches_does_not_keep_it_from_stopping(lamps: Any, write: Write) -> None:
    write("0001_count", """
        def apply(m):
            try:
                m.update("lamps", {}, {"$inc": {"times": 1}})
            except Exception:
                pass
            m.update("lamps", {}, {"$inc": {"times": 1}})
    """)  # fmt: skip
    stopping = threading.Event()
    with pytest.raises(MigrationError, match="as asked"):
        migrations.apply(on_progress=lambda *_: stopping.set(), stopping=stopping.is_set)
    assert times(lamps) == [1]


def test_an_undo_is_gone_on_with(lamps: Any) -> None:
    migrations.apply()
    stopping = threading.Event()
    with pytest.raises(MigrationError, match="as asked"):
        migrations.undo(on_progress=lambda *_: stopping.set(), stopping=stopping.is_set)
    assert migrations.status()[0].state == "undoing"
    (done,) = migrations.undo()
    assert (times(lamps), done.resumed) == ([0], True)


def test_a_runner_that_has_lost_its_lease_writes_nothing_over_the_later_one(
    lamps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases: list[Lease[Any]] = []

    class Noted(Lease[Any]):
        def start(self) -> None:
            leases.append(self)  # and is never renewed

        def stop(self) -> None:
            pass

    monkeypatch.setattr(api, "Lease", Noted)
    later = History()

    def take_over(*_: Any) -> None:
        leases[0]._until = 0.0
        collection().update_one({"_id": LEASE}, {"$set": {"until": None}})
        later.acquire(30)
        (entry,) = entries().values()
        later.write(entry.name, entry, {"state": "applied"})

    with pytest.raises(MigrationError, match=r"^this runner has lost its lease"):
        migrations.apply(on_progress=take_over)
    assert times(lamps) == [1]
    assert migrations.status()[0].state == "applied"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write_number", [1, 2, 3, 4])
def test_one_that_dies_around_a_note_in_the_history_is_gone_on_with(
    lamps: Any, monkeypatch: pytest.MonkeyPatch, when: str, write_number: int
) -> None:
    real, calls = History.write, itertools.count(1)

    def mortal(*args: Any, **options: Any) -> None:
        number = next(calls)
        if (number, when) == (write_number, "before"):
            raise Death
        real(*args, **options)
        if (number, when) == (write_number, "after"):
            raise Death

    with monkeypatch.context() as patch:
        patch.setattr(History, "write", mortal)
        with pytest.raises(Death):
            apply_and_undo()
    undone = write_number >= 3
    if undone:
        migrations.undo(0)
    else:
        migrations.apply()
    assert times(lamps) == [0 if undone else 3]
    assert migrations.status()[0].state == ("pending" if undone else "applied")


def apply_and_undo() -> None:
    migrations.apply()
    migrations.undo()


class Death(BaseException):
    """As if the process had ended here."""


def test_a_server_that_goes_away_in_the_middle_is_told_and_gone_on_with(
    lamps: Any, write: Write
) -> None:
    write("0001_count", """
        from datalayer import db
        def apply(m):
            m.update("lamps", {}, {"$inc": {"times": 1}})
            with db.deadline(0.2):
                m.database().log.insert_one({"_id": 1})
    """)  # fmt: skip
    admin = registry.connection("default").client.admin
    fault = {"failCommands": ["insert"], "closeConnection": True}
    admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=fault)
    try:
        with pytest.raises(MigrationError, match="0001_count has stopped in apply"):
            migrations.apply()
    finally:
        admin.command("configureFailPoint", "failCommand", mode="off")
    assert migrations.status()[0].state == "failed"
    migrations.apply()
    assert (times(lamps), migrations.status()[0].state) == ([1], "applied")


def test_a_status_tells_who_is_at_work(lamps: Any) -> None:
    seen: list[Any] = []
    migrations.apply(on_progress=lambda *_: seen.append(migrations.status()[0]))
    assert seen[0].state == "applying"
    assert seen[0].holder is not None
    assert migrations.status()[0].holder is None
