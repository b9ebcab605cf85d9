"""Migrations are tried on a sample in a private server; the real databases stay as they are."""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import Binary
from fresh_databases import model_registry
from migration_files import Write

from datalayer.connections.registry import database, registry
from datalayer.errors import MigrationError
from datalayer.migrations import (
    FinishedMigration,
    PlannedMigration,
    StepOutcome,
    apply,
    status,
)
from datalayer.migrations.rehearsal import Rehearsal, Sample, rehearse
from datalayer.migrations.rehearsal.rehearse import modules_of_models, played_elsewhere, reported
from datalayer.migrations.rehearsal.stage import connect, play
from datalayer.settings import Settings

MODELS = """
import os
from mongoengine.fields import StringField
from datalayer import BusinessDocument

class User(BusinessDocument):
    user_name = StringField(required=True)
    meta = {"collection": "users", "versioned": True}

print("noise")
os.write(1, b"noise\\n")
"""
RENAME = """
    def apply(m):
        m.rename_field("users", "login", "user_name")

    def undo(m):
        m.rename_field("users", "user_name", "login")
"""


LOOK = """
    def look(m):
        # Of collections that aren't tried, it has what they are.
        assert m.database("database1")["measured"].options()["timeseries"]["timeField"] == "at"
"""


@pytest.fixture
def users(databases: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A collection of 30 documents whose field has its old name, and the module of its model."""
    with model_registry():
        monkeypatch.syspath_prepend(folder.parent)
        (folder.parent / "rehearsed_models.py").write_text(MODELS)
        __import__("rehearsed_models")
        found = database()["users"]
        found.insert_many([{"login": f"secret-{number}"} for number in range(30)])
        found.create_index("login")
        yield found
        sys.modules.pop("rehearsed_models", None)


def played(*numbers: int, undo: bool = True) -> dict[str, Any]:
    """What the other process would answer, by kind; on the connected databases."""
    answers: dict[str, Any] = {}
    order = {"package": "migrations", "databases": {"default": ""}, "numbers": numbers}
    play({**order, "undo": undo}, lambda kind, facts: answers.update({kind: facts}))
    return answers


def stored() -> tuple[Any, ...]:
    """All that is on the server, as far as names of databases and users go."""
    found = list(database()["users"].find({}))
    return found, set(registry.connection("default").client.list_database_names())


# In a process of its own


def test_migrations_are_tried_on_a_sample_and_the_real_databases_stay_as_they_are(
    users: Any, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://real.invalid/shop")
    database()["countries"].insert_one({"_id": Binary.from_uuid(uuid.uuid4())})
    options = {"timeseries": {"timeField": "at"}}
    database("database1").create_collection("measured", **options)
    write("0001_first")
    apply(package="migrations")
    write("0002_rename", RENAME.replace("(m):", "(m):\n        look(m)") + LOOK)
    before, phases = stored(), list[str]()
    also = [("default", "countries")]
    found = rehearse(package="migrations", sample=10, also=also, on_phase=phases.append)
    assert (found.problem, found.ok, found.undone) == (None, True, True)
    assert found.migrations == ("0002_rename",)
    assert [(each.collection, each.documents, each.total) for each in found.samples] == [
        ("countries", 1, 1), ("users", 10, 30),
    ]  # fmt: skip
    (step,) = found.steps
    assert (step.kind, step.matched, step.changed) == ("rename_field", 10, 10)
    assert step.whole_seconds == pytest.approx(step.seconds * 3)
    assert (found.findings_before > 0, found.findings) == (True, ())
    assert phases == ["plan", "sample", "apply", "check", "undo"]
    assert stored() == before
    assert status(package="migrations")[1].state == "pending"


def test_a_migration_that_fails_tells_why_and_nothing_of_documents(
    users: Any, write: Write
) -> None:
    write("0001_convert", 'def apply(m): m.convert("users", "login", int)\n')
    found = rehearse(package="migrations")
    assert found.problem is not None
    assert "0001_convert has stopped in apply(m)" in found.problem
    assert (found.ok, "secret" in repr(found)) == (False, False)


def test_django_is_set_up_before_its_modules_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("django")
    monkeypatch.syspath_prepend(tmp_path)
    applications = ["django.contrib.contenttypes", "django.contrib.sessions"]
    text = f"INSTALLED_APPS = {applications}\nSECRET_KEY = 'x'\n"
    (tmp_path / "rehearsal_settings.py").write_text(text)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "rehearsal_settings")
    modules = ["django.contrib.sessions.models"]
    order = {"path": sys.path, "django": True, "modules": modules, "databases": {}}
    (answer,) = played_elsewhere(order, 30.0, lambda _phase: None)
    assert "databases is empty" in answer["text"]  # it has got as far as connecting


def test_a_process_that_does_not_start_is_told(
    users: Any, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    order = {"databases": {}, "filler": "x" * 1_000_000}
    with pytest.raises(MigrationError, match="ended without an answer"):
        played_elsewhere(order, 30.0, lambda _phase: None)


# What is not begun


def test_where_nothing_is_pending_nothing_is_tried(users: Any, write: Write) -> None:
    write("0001_first")
    apply(package="migrations")
    assert rehearse(package="migrations") == Rehearsal((), (), (), 0, (), True, ())


def test_a_migration_that_is_underway_is_finished_first(users: Any, write: Write) -> None:
    write("0001_stop", 'def apply(m): m.convert("users", "login", int)\n')
    with pytest.raises(MigrationError):
        apply(package="migrations")
    with pytest.raises(MigrationError, match="0001_stop is not wholly applied"):
        rehearse(package="migrations")


def test_models_of_the_program_itself_can_not_be_had(users: Any) -> None:
    sys.modules["rehearsed_models"].User.__module__ = "__main__"
    with pytest.raises(MigrationError, match="put the models into a module"):
        modules_of_models(["default"])


def test_a_module_that_connects_elsewhere_when_it_is_imported_is_refused(users: Any) -> None:
    with pytest.raises(MigrationError, match="connects 'default' when it is imported"):
        connect({"default": "mongodb://private.invalid/shop"})


# What is tried there


def test_what_undoing_does_not_bring_back_is_told(users: Any, write: Write) -> None:
    write(
        "0001_clear",
        """
        def apply(m):
            m.update("users", {}, {"$unset": {"login": ""}})

        def undo(m):
            m.set_default("users", "login", "?")
        """,
    )
    ((alias, collection, what, documents, ids),) = played(1)["undone"]["not_restored"]
    assert (alias, collection, what, documents, len(ids)) == ("default", "users", "changed", 30, 5)


def test_the_order_of_fields_is_no_difference(users: Any, write: Write) -> None:
    users.insert_one({"_id": Binary.from_uuid(uuid.uuid4()), "login": "a"})
    users.update_many({}, {"$set": {"size": {"b": [1, {"y": 1, "x": 2}], "a": 1}}})
    write("0001_rename", RENAME)
    assert played(1)["undone"]["not_restored"] == []


def test_what_documents_count_by_themselves_needs_no_restoring(users: Any, write: Write) -> None:
    each = """
        from rehearsed_models import User
        def change(user): user.user_name = user.user_name[::-1]
        def apply(m): m.each(User, change)
        def undo(m): m.each(User, change)
    """
    users.update_many({}, {"$rename": {"login": "user_name"}})
    write("0001_each", each)
    assert played(1)["undone"]["not_restored"] == []
    assert {(each["version"], "updated_at" in each) for each in users.find()} == {(2, True)}


def test_an_index_that_undoing_leaves_is_told(users: Any, write: Write) -> None:
    write("0001_index", 'def apply(m): m.build_index("users", "age")\ndef undo(m): pass\n')
    assert played(1)["undone"]["not_restored"] == [["default", "users", "indexes", 0, []]]


def test_documents_that_undoing_leaves_or_loses_are_told(users: Any, write: Write) -> None:
    write(
        "0001_write",
        """
        def apply(m):
            m.database()["others"].insert_one({"_id": 1})
            m.database()["users"].delete_many({"login": "secret-1"})

        def undo(m): pass
        """,
    )
    left = {(each[1], each[2]): each[3] for each in played(1)["undone"]["not_restored"]}
    assert left == {("others", "new"): 1, ("users", "missing"): 1}


def test_what_models_say_afterwards_is_told(users: Any, write: Write) -> None:
    write("0001_first")
    checked = played(1)["checked"]
    assert {each["rule"] for each in checked["findings"]} == {"missing", "unknown_field"}
    assert checked["before"] == 2


def test_without_undo_nothing_is_undone(users: Any, write: Write) -> None:
    write("0001_rename", 'def apply(m): m.rename_field("users", "login", "user_name")\n')
    assert "undone" not in played(1, undo=False)
    assert users.count_documents({"user_name": {"$exists": True}}) == 30


# What is told of it


def outcome(matched: int) -> StepOutcome:
    return StepOutcome(1, "update", "default.users", matched, 0, 2.0, False)


def told(
    *,
    planned: int,
    tried: int,
    can_undo: bool = True,
    problem: str | None = None,
    took_ms: int = 2000,
) -> Rehearsal:
    plan = PlannedMigration(1, "0001_x", "apply", False, (outcome(planned),), problem)
    done = FinishedMigration(1, "0001_x", "apply", took_ms, False, (outcome(tried),))
    answers: list[dict[str, Any]] = [
        {"kind": "applied", "migration": done.as_dict()},
        {"kind": "checked", "before": 0, "findings": []},
    ]
    if can_undo:
        answers.append({"kind": "undone", "not_restored": []})
    return reported([plan], [Sample("default", "users", 10, 1000)], answers, can_undo=can_undo)


def test_the_time_of_the_whole_grows_with_the_collection() -> None:
    assert told(planned=1000, tried=10).whole_seconds == 200.0


def test_what_is_done_besides_steps_counts_for_the_whole_too() -> None:
    own = told(planned=1000, tried=10, took_ms=3100).steps[1]
    assert (own.number, own.kind) == (0, "own code")
    assert own.whole_seconds == pytest.approx(100 * own.seconds)
    assert own.seconds == pytest.approx(1.0)


def test_a_step_that_the_sample_says_nothing_of_is_told() -> None:
    (remark,) = told(planned=3, tried=0).remarks
    assert "the sample has none of the 3 documents of step 1 (update of default.users)" in remark


def test_a_migration_without_undo_is_told() -> None:
    found = told(planned=3, tried=3, can_undo=False)
    assert (found.ok, found.undone) == (True, False)
    assert "has no undo(m)" in found.remarks[0]


def test_a_plan_that_could_not_tell_all_collections_is_told() -> None:
    assert "name further ones" in told(planned=3, tried=3, problem="it reads").remarks[0]


def test_a_process_that_ends_in_the_middle_is_a_problem() -> None:
    found = reported([], [], [{"kind": "phase", "name": "apply"}], can_undo=True)
    assert "ended in the middle" in str(found.problem)
    assert found.ok is False
