"""The ODM benchmark: its arithmetic, and that each task does its work with each library.

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
plotting = importlib.import_module("benchmarks.odm.plot")
report = importlib.import_module("benchmarks.odm.report")
tasks = importlib.import_module("benchmarks.odm.tasks")
workers = importlib.import_module("benchmarks.odm.workers")

LIBRARIES = ("pymongo", "mongoengine", "datalayer", "django", "bunnet")
TASKS = {task.name: task for task in tasks.TASKS}


# The arithmetic


def test_a_percentile_is_the_nearest_rank_of_the_specification() -> None:
    times = [float(time) for time in range(200, 0, -1)]

    assert figures.percentiles(times) == {
        "10": 20.0,
        "25": 50.0,
        "50": 100.0,
        "75": 150.0,
        "90": 180.0,
        "95": 190.0,
        "98": 196.0,
        "99": 198.0,
    }


def test_a_percentile_of_few_times_is_one_of_them() -> None:
    assert figures.percentile([3.0, 1.0, 2.0], 10) == 1.0


def test_the_median_of_an_even_number_is_the_lower_one() -> None:
    assert figures.median([4.0, 1.0, 3.0, 2.0]) == 2.0


def test_the_score_is_the_size_by_the_median() -> None:
    assert figures.score(2.5, [0.4, 0.5, 9.0]) == 6.25


def test_a_share_of_one_half_takes_twice_the_time_of_the_iteration_beside_it() -> None:
    assert figures.share([1.0, 9.0, 5.0], [2.0, 18.0, 6.0]) == 0.5


def test_ten_thousand_small_documents_are_two_and_a_half_megabytes() -> None:
    assert TASKS["small_create"].megabytes(10_000) == 2.5
    assert TASKS["small_update"].megabytes(10_000) == 0.13


def test_the_table_has_a_row_for_a_task_and_a_hyphen_for_what_is_missing() -> None:
    shares = {"small: create": {"pymongo": 1.0, "ours": 0.876}, "large": {"pymongo": 1.0}}

    assert figures.table(shares, ["pymongo", "ours"]) == (
        "| task          | pymongo |  ours |\n"
        "|---------------|--------:|------:|\n"
        "| small: create |    1.00 |  0.88 |\n"
        "| large         |    1.00 |     - |"
    )


def test_the_plot_has_a_bar_for_each_share_but_the_baselines() -> None:
    shares = {"a & b": {"pymongo": 1.0, "x": 0.5, "y": 1.2}, "c": {"pymongo": 1.0, "x": 0.25}}

    root = ET.fromstring(plotting.plot(shares, ["pymongo", "x", "y"]))

    svg = "{http://www.w3.org/2000/svg}"
    bars = [bar for bar in root.iter(f"{svg}rect") if bar.find(f"{svg}title") is not None]
    assert [bar.findtext(f"{svg}title") for bar in bars] == [
        "a & b, x: 0.50",
        "a & b, y: 1.20",
        "c, x: 0.25",
    ]
    lengths = [float(bar.get("width", "")) for bar in bars]
    assert lengths[0] == 2 * lengths[2]
    assert lengths[0] < lengths[1]


def test_the_plot_has_colours_for_dark_pages() -> None:
    assert "prefers-color-scheme: dark" in plotting.plot({"a": {"x": 1.0}}, ["x"])


def test_the_page_gets_the_new_table_and_keeps_its_text() -> None:
    page = f"before\n\n{report.BEGIN}\n\nold\n\n{report.END}\n\nafter\n"

    renewed = report.renewed(page, "new")

    assert renewed == f"before\n\n{report.BEGIN}\n\nnew\n\n{report.END}\n\nafter\n"
    assert report.renewed(renewed, "new") == renewed


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="odm benchmark"):
        report.renewed("nothing here", "new")


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
            return {"seconds": 0.001}

    noting = [Noting("one"), Noting("two"), Noting("three")]
    measuring.measure(TASKS["small_find"], noting, client, seconds=0, documents=1)

    pilot = 2 * 3
    assert order[pilot : pilot + 7] == ["one", "two", "three", "two", "three", "one", "three"]
    assert len(order) == pilot + 30 * 3


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
    assert report.shares(run)["small: find by filter"]["pymongo"] == 1.0
    ET.fromstring((tmp_path / "out.svg").read_text(encoding="utf-8"))
