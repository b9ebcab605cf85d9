"""``datalayer migrations new --from-drift`` and ``rehearse``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mongoengine.base.common import _document_registry
from pymongo import MongoClient
from running import Run

from datalayer.cli.commands.migrations import rehearsing
from datalayer.migrations.rehearsal import NotRestored, Rehearsal, RehearsedStep, Sample
from datalayer.settings import Settings

MODELS = """
from mongoengine.fields import StringField
from datalayer import BusinessDocument

class Lamp(BusinessDocument):
    name = StringField(required=True)
    colour = StringField(required=True, default="white")
    meta = {"collection": "lamps", "indexes": ["name"]}
"""
SAMPLE = (Sample("default", "lamps", 10, 1000),)
STEP = (RehearsedStep("0001_x", 1, "update", "default.lamps", 10, 10, 0.5, 150.0),)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    _document_registry.clear()
    (tmp_path / "drift_models.py").write_text(MODELS)
    yield "drift_models"
    sys.modules.pop("drift_models", None)


@pytest.fixture
def lamps(configured: Settings) -> Iterator[Any]:
    with MongoClient[dict[str, Any]](configured["default"].uri) as client:
        collection = client.get_default_database().lamps
        collection.insert_many([{"label": "secret"} for _ in range(5)])
        yield collection


def test_a_draft_is_written_that_can_be_planned(run: Run, shop: str, lamps: Any) -> None:
    made = run("migrations", "new", "name lamps", "--from-drift", "--models", shop, "--json")
    path = Path(made.document["path"])
    assert (made.code, path.name) == (0, "0001_name_lamps.py")
    assert '# m.rename_field("lamps", "label", "name")' in path.read_text()
    assert "secret" not in path.read_text()
    (planned,) = run("migrations", "plan", "--json").document["migrations"]
    assert planned["problem"] is None
    assert [(each["kind"], each["matched"]) for each in planned["steps"]] == [
        ("set_default", 5), ("build_index", 5),
    ]  # fmt: skip


def test_a_draft_can_be_applied_and_undone(run: Run, shop: str, lamps: Any) -> None:
    run("migrations", "new", "name lamps", "--from-drift", "--models", shop)
    assert run("migrations", "apply", "--yes").code == 0
    assert lamps.count_documents({"colour": "white"}) == 5
    assert "name_1" in lamps.index_information()
    assert run("migrations", "undo", "--yes").code == 0
    assert "name_1" not in lamps.index_information()


@pytest.mark.usefixtures("lamps")
def test_without_drift_no_file_is_written(run: Run, shop: str, lamps: Any) -> None:
    lamps.delete_many({})
    lamps.insert_one({"name": "a", "colour": "red"})
    assert run("indexes", "sync", "--models", shop).code == 0
    made = run("migrations", "new", "nothing", "--from-drift", "--models", shop)
    assert (made.code, "no file was written" in made.stderr) == (0, True)
    assert not Path("migrations").exists()


@pytest.mark.usefixtures("configured")
def test_models_that_can_not_be_imported_are_a_usage_error(run: Run) -> None:
    made = run("migrations", "new", "x", "--from-drift", "--models", "no_such_module")
    assert (made.code, "no_such_module" in made.stderr) == (2, True)


def test_a_rehearsal_leaves_everything_as_it_is(run: Run, shop: str, lamps: Any) -> None:
    run("migrations", "new", "name lamps", "--from-drift", "--models", shop)
    before = list(lamps.find({}))
    done = run("migrations", "rehearse", "--sample", "3", "--models", shop)
    assert done.code == 3  # `label` and `name` are the author's to decide
    assert "undone: everything is as it was" in done.stderr
    assert "on all documents it would take about" in done.stderr
    assert "rules of models that documents break afterwards" in done.stdout
    assert "secret" not in done.stdout + done.stderr
    assert list(lamps.find({})) == before


@pytest.mark.usefixtures("lamps")
def test_where_nothing_is_pending_there_is_nothing_to_rehearse(run: Run, tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    done = run("migrations", "rehearse", "--json")
    assert (done.code, done.document["migrations"]) == (0, [])
    assert "there is nothing to rehearse" in done.stderr


@pytest.mark.usefixtures("lamps")
@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        (Rehearsal(("0001_x",), SAMPLE, STEP, 2, (), True, ()), 0, "2 before, 0 afterwards"),
        (Rehearsal(("0001_x",), SAMPLE, STEP, 0, (), False, (), "it broke"), 1, "it broke"),
        (
            Rehearsal(
                ("0001_x",), SAMPLE, STEP, 0, (), True,
                (NotRestored("default", "lamps", "changed", 2, ("1", "2")),),
            ),
            1,
            "not as it was after undoing",
        ),
        (Rehearsal(("0001_x",), (), STEP, 0, (), False, (), None, ("a remark",)), 0, "a remark"),
        (Rehearsal(("0001_x",), SAMPLE, STEP, 0, (), True, ()), 0, "about 2 min"),
    ],
)  # fmt: skip
def test_how_it_went_is_told(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    found: Rehearsal,
    code: int,
    words: str,
) -> None:
    (tmp_path / "migrations").mkdir()
    monkeypatch.setattr(rehearsing, "rehearsed", lambda *_words, **_options: found)
    done = run("migrations", "rehearse")
    assert (done.code, words in done.stdout + done.stderr) == (code, True)


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("words", [("--sample", "0"), ("--collection", "lamps")])
def test_options_that_mean_nothing_are_refused(run: Run, words: tuple[str, str]) -> None:
    done = run("migrations", "rehearse", *words)
    assert (done.code, words[0] in done.stderr) == (2, True)
