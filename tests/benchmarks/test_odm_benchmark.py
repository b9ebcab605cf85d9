"""The ODM benchmark: its documents, its command, and that each task does its work with each
library.

django-mongodb-backend and Bunnet need environments of their own: their lanes run only where
``python -m benchmarks.odm`` has made them.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT
from pymongo import MongoClient

from datalayer.embedded import EmbeddedMongo

pytestmark = pytest.mark.applications

sys.path.append(str(ROOT))  # `benchmarks` is not installed with the package

actions = importlib.import_module("benchmarks.odm.actions")
data = importlib.import_module("benchmarks.odm.data")
environments = importlib.import_module("benchmarks.odm.environments")
figures = importlib.import_module("benchmarks.odm.figures")
measuring = importlib.import_module("benchmarks.odm.measuring")
pymongo_dicts = importlib.import_module("benchmarks.odm.libraries.pymongo_dicts")
report = importlib.import_module("benchmarks.odm.report")
tasks = importlib.import_module("benchmarks.odm.tasks")
workers = importlib.import_module("benchmarks.odm.workers")

LIBRARIES = ("pymongo", "pymongo-best-batch", "mongoengine", "datalayer", "django", "bunnet")
TASKS = {task.name: task for task in tasks.TASKS}


# The documents


@pytest.mark.parametrize("kind", ["small", "large", "nested"])
def test_generated_documents_have_the_shape_of_mongodbs(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if data.source() == "generated":
        pytest.skip("the benchmark's documents are not at hand")
    original = data.document(kind)
    monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path))
    data.document.cache_clear()

    try:
        generated = data.document(kind)
        assert data.source() == "generated"
    finally:
        data.document.cache_clear()

    assert shape_of(generated) == shape_of(original)


def test_without_the_variable_the_documents_are_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(data.DATA_VARIABLE, raising=False)

    assert data.source() == "generated"


def test_each_nested_document_has_unique_ids_of_its_own() -> None:
    one, other = data.fresh("nested"), data.fresh("nested")

    assert one["embedded_str_doc_1"]["unique_id"] != other["embedded_str_doc_1"]["unique_id"]
    assert "unique_id" not in data.document("nested")["embedded_str_doc_1"]


def shape_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape_of(part) for name, part in value.items()}
    return [shape_of(part) for part in value] if isinstance(value, list) else type(value)


# The tasks, with a few documents, on a real server


@pytest.fixture(scope="module")
def client(mongod: EmbeddedMongo) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        yield client


@pytest.fixture(scope="module")
def start(mongod: EmbeddedMongo) -> Iterator[Callable[[str], Any]]:
    """The worker of a library; each starts once."""
    started: dict[str, Any] = {}

    def start(library: str) -> Any:
        if library not in started:
            place = ROOT / ".benchmarks"
            if library in environments.PACKAGES and not (place / library).is_dir():
                pytest.skip(f"there is no environment for {library}")
            python = environments.python_for(library, place)
            started[library] = workers.Worker(library, python, mongod.uri_for(library), 60.0)
        return started[library]

    yield start
    for worker in started.values():
        worker.close()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("task", TASKS)
def test_a_library_does_the_task(
    task: str,
    library: str,
    start: Callable[[str], Any],
    client: MongoClient[dict[str, Any]],
) -> None:
    """The worker itself checks what was written and found."""
    few = dataclasses.replace(TASKS[task], least=2)

    measured = measuring.measure(few, [start(library)], client, seconds=0, documents=3, rounds=2)

    assert measured.documents == 3
    assert len(measured.seconds[library]) == 2
    assert min(measured.seconds[library]) > 0
    assert len(measured.processor_seconds[library]) == 2
    assert min(measured.processor_seconds[library]) > 0


def test_libraries_take_turns_and_another_begins_each_time(
    client: MongoClient[dict[str, Any]],
) -> None:
    order: list[str] = []

    class Noting:
        def __init__(self, library: str) -> None:
            self.library = library

        def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
            if do == "run":
                order.append(self.library)
            return {"seconds": 0.001, "processor_seconds": 0.001} if do == "run" else {}

    noting = [Noting("one"), Noting("two"), Noting("three")]
    measuring.measure(TASKS["small_find"], noting, client, seconds=0, documents=1)

    pilot = 2 * 3
    assert order[pilot : pilot + 7] == ["one", "two", "three", "two", "three", "one", "three"]
    assert len(order) == pilot + 30 * 3


@pytest.mark.parametrize(("asked", "used"), [(None, 7), (3, 3), (9, 7)])
def test_a_task_with_a_number_of_documents_takes_no_more(
    asked: int | None, used: int, client: MongoClient[dict[str, Any]]
) -> None:
    task = dataclasses.replace(TASKS["small_list_many"], least=2, documents=7)
    stored: list[int] = []

    class Counting:
        library = "counting"

        def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
            if do == "prepare":
                stored.append(client[self.library]["small"].count_documents({}))
                assert arguments["documents"] == stored[-1]
            return {"seconds": 0.001, "processor_seconds": 0.001} if do == "run" else {}

    measured = measuring.measure(task, [Counting()], client, seconds=0, documents=asked)

    assert (measured.documents, stored) == (used, [2, used])
    assert len(measured.seconds["counting"]) == 5


def test_the_new_lists_are_long() -> None:
    assert TASKS["small_list_many"].documents == 100_000
    assert TASKS["nested_list_many"].documents == 10_000


# PyMongo with its best batch size


def test_the_best_batch_size_is_the_one_that_was_the_fastest_of_several_turns(
    mongod: EmbeddedMongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = pymongo_dicts.BestBatch(mongod.uri_for("best_batch"))
    now, turns = [0.0], []
    monkeypatch.setattr(pymongo_dicts, "perf_counter", lambda: now[0])

    def run() -> None:
        size = library._batch_size
        lucky = size == 2000 and len(turns) < 5  # once, which tells nothing
        turns.append(size)
        now[0] += 0.1 if lucky else abs(size - 500) / 1000 + 0.5

    try:
        chosen = library.adapt(run)
    finally:
        library.close()

    assert chosen == {"batch_size": 500}
    assert library._batch_size == 500
    assert turns == [100, 250, 500, 1000, 2000] * 3


def test_the_best_batch_size_is_for_tasks_of_lists_only() -> None:
    suited = {name for name, task in TASKS.items() if task.suits("pymongo-best-batch")}

    assert suited == {name for name in TASKS if "list" in name} - {"nested_update_list"}
    assert all(task.suits("datalayer") for task in TASKS.values())


def test_the_worker_tells_which_batch_size_was_chosen(
    start: Callable[[str], Any], client: MongoClient[dict[str, Any]]
) -> None:
    few = dataclasses.replace(TASKS["small_list"], least=2)
    library = "pymongo-best-batch"

    measured = measuring.measure(few, [start(library)], client, seconds=0, documents=3, rounds=2)

    assert measured.choices[library]["batch_size"] in (100, 250, 500, 1000, 2000)


@pytest.mark.parametrize("kind", ["small", "nested"])
def test_a_worker_grows_by_the_documents_that_it_holds(
    kind: str, mongod: EmbeddedMongo, client: MongoClient[dict[str, Any]], database_name: str
) -> None:
    measuring.fill(client[database_name], kind, 3000)

    with workers.Worker("pymongo", sys.executable, mongod.uri_for(database_name)) as worker:
        held = worker.ask("hold", kind=kind)

    assert held["documents"] == 3000
    assert held["loaded"] > 3000 * 200


def test_a_worker_that_ends_is_an_error_that_names_it(mongod: EmbeddedMongo) -> None:
    with pytest.raises(workers.WorkerError, match="worker of unheard-of has ended"):
        workers.Worker("unheard-of", sys.executable, mongod.uri_for("unheard"), 60.0)


class DoingNothing:
    """A library that is very fast."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: None

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [{}, {}]

    def list_small(self) -> list[Any]:
        return []

    def list_nested(self) -> list[Any]:
        return []

    def every_field_reader(self) -> Callable[[Any], Any]:
        return lambda each: None


@pytest.mark.parametrize("task", TASKS)
def test_a_library_that_does_nothing_is_found_out(
    task: str, client: MongoClient[dict[str, Any]], database_name: str
) -> None:
    chosen = TASKS[task]
    collection = client[database_name][chosen.kind]
    if chosen.filled:
        collection.insert_many([data.fresh(chosen.kind) for _ in range(2)])
    action = actions.ACTIONS[task](DoingNothing(), chosen, collection, 2)

    action.run(0)

    with pytest.raises(AssertionError, match="wrong: "):
        action.check(0)


# The command


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_json_and_a_plot(tmp_path: Path) -> None:
    chosen = ["--tasks", "small_find", "small_list", "--libraries", "mongoengine"]
    files = ["--json", tmp_path / "out.json", "--svg", tmp_path / "out.svg"]
    command = [sys.executable, "-m", "benchmarks.odm", "--seconds", "0", *chosen, *files]

    done = subprocess.run(
        [*command, "--documents", "5"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split("|")[1].strip() for line in lines if "|" in line][2:] == [
        "small: find by filter",
        "small: list, read a field",
    ]
    run = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert set(run["libraries"]) == {"pymongo", "mongoengine"}
    assert run["libraries"]["mongoengine"]["mongoengine"] == "0.29.3"
    found = run["tasks"][0]["libraries"]["pymongo"]
    assert len(found["seconds"]) >= 10
    assert found["percentiles"] == figures.percentiles(found["seconds"])
    assert len(found["processor_seconds"]) == len(found["seconds"])
    assert report.shares(run)["small: find by filter"]["pymongo"] == 1.0
    assert "1.00 (1.00)" in done.stdout
    ET.fromstring((tmp_path / "out.svg").read_text(encoding="utf-8"))
