"""Migrations applied and undone: what is done, what the history says, and what is refused before
anything is written."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from migration_files import Write

from datalayer import db, migrations
from datalayer.connections.registry import registry
from datalayer.errors import MigrationError
from datalayer.migrations.runner import Runner
from datalayer.settings import Settings

INSERT = """
    def apply(m): m.database().log.insert_one({{"_id": {0}}})
    def undo(m): m.database().log.delete_one({{"_id": {0}}})
"""
COUNTED = """
    def apply(m): m.update("lamps", {"lit": None}, {"$set": {"lit": True}})
    def undo(m): m.update("lamps", {"lit": True}, {"$unset": {"lit": 1}})
"""


def log() -> list[Any]:
    return [each["_id"] for each in registry.connection("default").database.log.find()]


def states() -> list[str]:
    return [each.state for each in migrations.status()]


def stored(name: str) -> Any:
    found = registry.connection("default").database.datalayer_migrations.find_one({"_id": name})
    assert found is not None
    return found


def refusal(call: Any, *args: Any) -> str:
    before = log()
    with pytest.raises(MigrationError) as caught:
        call(*args)
    assert log() == before
    return caught.value.message


@pytest.fixture
def three(databases: Settings, write: Write) -> None:
    for number, name in enumerate(("first", "second", "third"), 1):
        write(f"000{number}_{name}", INSERT.format(number))


def test_pending_ones_are_applied_in_their_order_and_once(three: None) -> None:
    assert states() == ["pending"] * 3
    done = migrations.apply()
    assert [(each.name, each.direction) for each in done] == [
        ("0001_first", "apply"), ("0002_second", "apply"), ("0003_third", "apply"),
    ]  # fmt: skip
    assert (log(), states()) == ([1, 2, 3], ["applied"] * 3)
    assert migrations.apply() == ()


def test_they_are_applied_until_a_number(three: None) -> None:
    assert [each.number for each in migrations.apply(2)] == [1, 2]
    assert states() == ["applied", "applied", "pending"]


def test_the_last_one_is_undone(three: None) -> None:
    migrations.apply()
    assert [each.name for each in migrations.undo()] == ["0003_third"]
    assert (log(), states()) == ([1, 2], ["applied", "applied", "pending"])


@pytest.mark.parametrize(("to", "left"), [(1, [1]), (0, []), (3, [1, 2, 3])])
def test_they_are_undone_until_a_number(three: None, to: int, left: list[int]) -> None:
    migrations.apply()
    migrations.undo(to)
    assert log() == left


def test_what_was_undone_is_applied_again(three: None) -> None:
    migrations.apply()
    before = stored("0003_third")["run"]
    migrations.undo()
    assert [each.name for each in migrations.apply()] == ["0003_third"]
    assert (log(), stored("0003_third")["run"] != before) == ([1, 2, 3], True)


def test_the_history_says_what_was_done_and_by_which_version(
    databases: Settings, write: Write
) -> None:
    lamps = registry.connection("default").database.lamps
    lamps.insert_many([{"_id": number} for number in range(5)])
    write("0001_light", COUNTED)
    (done,) = migrations.apply()
    assert (done.documents, done.resumed) == (5, False)
    (found,) = migrations.status()
    assert (found.documents, found.version, found.can_undo) == (5, "0.1.0", True)
    assert found.applied_at is not None
    assert found.applied_at.tzinfo is not None
    assert found.took_ms is not None


def test_what_was_done_is_logged(three: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "datalayer.migrations")
    migrations.apply(1)
    migrations.undo()
    told = [record.getMessage() for record in caplog.records if "0001_first" in record.message]
    assert [text.partition(",")[0] for text in told] == [
        "0001_first is applied", "0001_first is undone",
    ]  # fmt: skip


def test_a_plan_counts_and_writes_nothing(databases: Settings, write: Write) -> None:
    database = registry.connection("default").database
    database.lamps.insert_many([{"_id": number} for number in range(5)])
    write("0001_light", COUNTED)
    (planned,) = migrations.plan()
    assert [step.matched for step in planned.steps] == [5]
    assert database.list_collection_names() == ["lamps"]
    assert states() == ["pending"]


def test_a_plan_of_undoing(three: None) -> None:
    migrations.apply()
    assert [each.name for each in migrations.plan(1, undo=True)] == ["0003_third", "0002_second"]


def test_what_is_shown_is_confirmed_before_anything_is_written(three: None) -> None:
    assert migrations.apply(confirm=lambda planned: len(planned) != 3) == ()
    assert (log(), states()) == ([], ["pending"] * 3)


def test_one_that_fails_stays_where_it_was_and_is_gone_on_with(
    databases: Settings, write: Write
) -> None:
    write("0001_first", INSERT.format(1))
    write("0002_second", "def apply(m):\n    m.database().log.insert_one({'_id': 2})\n    1 / 0\n")
    with pytest.raises(MigrationError) as caught:
        migrations.apply()
    assert caught.value.message.startswith(
        "0002_second has stopped in apply(m): ZeroDivisionError in line 3. What it has done is"
    )
    assert (log(), states()) == ([1, 2], ["applied", "failed"])
    assert migrations.status()[1].error == "ZeroDivisionError in line 3"
    run = stored("0002_second")["run"]
    write("0002_second", "def apply(m): m.database().log.insert_one({'_id': 3})\n")
    (done,) = migrations.apply()
    assert (done.resumed, stored("0002_second")["run"], states()) == (True, run, ["applied"] * 2)


def test_an_error_of_the_server_is_told_without_its_text(
    databases: Settings, write: Write
) -> None:
    write("0001_first", "def apply(m):\n    for _ in 1, 2:\n"
          "        m.database().log.insert_one({'_id': 'secret'})\n")  # fmt: skip
    with pytest.raises(MigrationError) as caught:
        migrations.apply()
    assert "a value that has to be unique is there twice (DuplicateKeyError in line 3)" in str(
        caught.value
    )
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_undo_that_is_not_there_is_refused_for_the_whole_range(
    three: None, write: Write
) -> None:
    write("0002_second", "def apply(m): m.database().log.insert_one({'_id': 2})\n")
    migrations.apply()
    message = refusal(migrations.undo, 0)
    assert message.startswith("0002_second can't be undone, as it has no function undo(m)")
    assert states() == ["applied"] * 3


def test_an_applied_file_that_was_edited_is_refused(three: None, write: Write) -> None:
    migrations.apply(2)
    write("0001_first", INSERT.format(7))
    assert refusal(migrations.apply).startswith("0001_first was edited after it was applied")
    assert refusal(migrations.undo).startswith("0001_first was edited after it was applied")
    assert states() == ["edited", "applied", "pending"]
    assert migrations.resolve(1, "applied").state == "applied"
    assert [each.number for each in migrations.apply()] == [3]


def test_an_applied_file_that_is_gone_is_refused(three: None, write: Write) -> None:
    migrations.apply()
    write("0002_other").with_name("0002_second.py").unlink()
    assert refusal(migrations.apply).startswith("0002_second is applied, and its file is gone")
    assert states() == ["applied", "pending", "missing", "applied"]


def test_what_later_code_has_applied_is_no_hindrance(three: None, write: Write) -> None:
    migrations.apply()
    write("0003_third").unlink()
    assert migrations.apply() == ()
    assert migrations.check().newer == ("0003_third",)
    assert migrations.check().is_current
    assert refusal(migrations.undo).startswith("0003_third is applied, and has no file here")


def test_nothing_is_put_below_what_later_code_has_applied(three: None, write: Write) -> None:
    migrations.apply(1)
    migrations.resolve(3, "applied")
    write("0003_third").unlink()
    assert refusal(migrations.apply).startswith("0003_third is applied, and has no file here")


def test_what_is_applied_without_what_it_requires_is_told(three: None) -> None:
    migrations.resolve(2, "applied")
    assert refusal(migrations.apply).startswith(
        "0002_second is applied, and 0001_first, which it requires, is not"
    )


def test_a_number_that_is_not_there_is_told(three: None) -> None:
    assert refusal(migrations.apply, 9) == "there is no migration 9; the last one is 3"
    assert refusal(migrations.resolve, 9, "applied").startswith("there is no migration 9, neither")


def test_an_alias_that_is_not_connected_is_told_before_anything_is_written(
    three: None, write: Write
) -> None:
    write("0003_third", "transaction = ('default', 'archive')\ndef apply(m): pass\n")
    assert refusal(migrations.apply).startswith("0003_third writes to 'archive' in its transac")
    assert states() == ["pending"] * 3


def test_a_step_of_an_alias_that_is_not_connected_is_told_before_anything_is_written(
    three: None, write: Write
) -> None:
    write("0003_third", "def apply(m): m.update(('archive', 'log'), {}, {'$set': {'a': 1}})\n")
    assert refusal(migrations.apply).startswith(
        "0003_third goes to the database 'archive', which is not connected; there are"
    )
    assert states() == ["pending"] * 3


@pytest.mark.parametrize(
    "step", ["update('nowhere', {}, {'$set': {'a': 1}})", "update('lamps', {}, {'a': 1})"]
)
def test_a_step_that_can_not_be_done_is_told_before_anything_is_written(
    databases: Settings, write: Write, step: str
) -> None:
    registry.connection("default").database.lamps.insert_one({"_id": 1})
    write("0001_first", f"def apply(m): m.{step}\n")
    assert refusal(migrations.apply).startswith("0001_first can't begin: ")
    assert states() == ["pending"]


def test_one_that_needs_what_the_one_before_it_makes_is_applied_after_it(
    databases: Settings, write: Write
) -> None:
    registry.connection("default").database.lamps.insert_one({"_id": 1})
    write("0001_first", "def apply(m): m.database().switches.insert_one({'_id': 1})\n")
    write("0002_second", "def apply(m): m.set_default('switches', 'on', True)\n")
    assert [each.problem is None for each in migrations.plan()] == [False, False]
    migrations.apply()
    assert states() == ["applied", "applied"]


def test_one_transaction_of_two_databases_is_all_or_nothing(
    databases: Settings, write: Write
) -> None:
    text = (
        "transaction = ('default', 'database1')\n"
        "def apply(m):\n"
        "    m.update('lamps', {}, {'$set': {'lit': 1}})\n"
        "    m.update(('database1', 'lamps'), {}, {'$set': {'lit': 1}})\n"
    )
    for alias in ("default", "database1"):
        registry.connection(alias).database.lamps.insert_one({"_id": 1})
    write("0001_light", text + "    1 / 0\n")
    with pytest.raises(MigrationError):
        migrations.apply()
    assert lit() == [None, None]
    back = text.partition("\n")[2].replace("apply", "undo").replace("1}", "0}")
    write("0001_light", f"{text}{back}    1 / 0\n")
    migrations.apply()
    assert (lit(), states()) == ([1, 1], ["applied"])
    with pytest.raises(MigrationError):
        migrations.undo()
    assert (lit(), states()) == ([1, 1], ["failed"])
    write("0001_light", f"{text}{back}")
    migrations.undo()
    assert (lit(), states()) == ([0, 0], ["pending"])


def test_a_transaction_without_the_history_is_not_done_again_where_its_runner_died(
    databases: Settings, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        """As if the process had ended between the commit and the note in the history."""

    def die(*_: Any, **__: Any) -> None:
        raise Death

    lamps = registry.connection("database1").database.lamps
    lamps.insert_one({"_id": 1, "times": 0})
    write("0001_count", """
        transaction = ("database1",)
        def apply(m):
            m.update(("database1", "lamps"), {}, {"$inc": {"times": 1}})
    """)  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(Runner, "_end", die)
        with pytest.raises(Death):
            migrations.apply()
    assert states() == ["applying"]
    (done,) = migrations.apply()
    assert (lamps.find_one(), done.documents, states()) == (
        {"_id": 1, "times": 1}, 1, ["applied"],
    )  # fmt: skip


def test_a_file_that_exits_has_failed(databases: Settings, write: Write) -> None:
    write("0001_first", "import sys\ndef apply(m): m.dry or sys.exit(0)\n")
    with pytest.raises(MigrationError, match="SystemExit in line 2"):
        migrations.apply()
    assert states() == ["failed"]


def lit() -> list[Any]:
    return [
        (registry.connection(alias).database.lamps.find_one() or {}).get("lit")
        for alias in ("default", "database1")
    ]


def test_one_that_is_resolved_is_as_a_person_says(three: None) -> None:
    assert migrations.resolve(1, "applied").state == "applied"
    assert [each.number for each in migrations.apply(2)] == [2]
    assert migrations.resolve(2, "not-applied").state == "pending"
    assert (log(), states()) == ([2], ["applied", "pending", "pending"])


def test_an_entry_whose_file_is_gone_for_good_can_be_forgotten(three: None, write: Write) -> None:
    migrations.apply(1)
    write("0001_first").rename(write("0001_other"))
    with pytest.raises(MigrationError, match="the number 1 is that of 0001_first and 0001_other"):
        migrations.resolve(1, "not-applied")
    assert migrations.resolve("0001_first", "not-applied").state == "pending"
    assert states() == ["pending"] * 3


def test_a_half_applied_one_is_not_undone(three: None, write: Write) -> None:
    write("0003_third", "def apply(m): 1 / 0\ndef undo(m): pass\n")
    with pytest.raises(MigrationError):
        migrations.apply()
    assert refusal(migrations.undo).startswith("0003_third is not wholly applied")


def test_one_that_fails_to_be_undone_is_not_applied(three: None, write: Write) -> None:
    write("0003_third", "def apply(m): pass\ndef undo(m): 1 / 0\n")
    migrations.apply()
    with pytest.raises(MigrationError, match="ZeroDivisionError"):
        migrations.undo()
    assert refusal(migrations.apply).startswith("0003_third is being undone")
    assert states() == ["applied", "applied", "failed"]


def test_it_is_refused_inside_a_transaction(three: None) -> None:
    with db.transaction():
        assert refusal(migrations.apply).startswith("migrations can't run inside a transaction")


@pytest.mark.parametrize(
    "damage", [{"state": "lost"}, {"run": None, "direction": 3}, {"steps": [{"changed": "all"}]}]
)
def test_a_damaged_entry_is_told(three: None, damage: dict[str, Any]) -> None:
    migrations.apply()
    registry.connection("default").database.datalayer_migrations.update_one(
        {"_id": "0002_second"}, {"$set": damage}
    )
    assert refusal(migrations.apply).startswith("the entry '0002_second' of 'datalayer_mig")


def test_a_check_tells_what_makes_a_difference(three: None, write: Write) -> None:
    migrations.apply(2)
    write("0001_first", INSERT.format(7))
    found = migrations.check()
    assert (found.pending, found.edited, found.is_current) == (
        ("0003_third",), ("0001_first",), False,
    )  # fmt: skip
    assert found.problems == (
        "not applied: 0003_third",
        "edited since they were applied: 0001_first",
    )
