"""What the ODM benchmark makes of the times: its arithmetic, table, plot and JSON."""

from __future__ import annotations

import importlib
import sys
import xml.etree.ElementTree as ET

import pytest
from paths import ROOT

pytestmark = pytest.mark.applications

sys.path.append(str(ROOT))  # `benchmarks` is not installed with the package

figures = importlib.import_module("benchmarks.odm.figures")
memory = importlib.import_module("benchmarks.odm.memory")
measuring = importlib.import_module("benchmarks.odm.measuring")
plotting = importlib.import_module("benchmarks.odm.plot")
report = importlib.import_module("benchmarks.odm.report")
tasks = importlib.import_module("benchmarks.odm.tasks")

TASKS = {task.name: task for task in tasks.TASKS}


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


def test_a_multiple_of_two_takes_twice_the_time_of_the_iteration_beside_it() -> None:
    assert figures.multiple([1.0, 9.0, 5.0], [2.0, 18.0, 6.0]) == 2.0


def test_the_fastest_choice_has_the_lowest_median() -> None:
    assert figures.fastest({100: [3.0, 1.0, 3.0], 250: [2.0, 2.0, 9.0], 500: [4.0]}) == 250


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


def test_processor_times_stand_in_brackets_beside_the_shares() -> None:
    shares = {"find": {"pymongo": 1.0, "ours": 0.876}, "create": {"pymongo": 1.0}}
    times = {"find": {"pymongo": 1.0, "ours": 11.5}, "create": {"pymongo": 1.0}}

    assert figures.table(shares, ["pymongo", "ours"], times) == (
        "| task   |     pymongo |         ours |\n"
        "|--------|------------:|-------------:|\n"
        "| find   | 1.00 (1.00) | 0.88 (11.50) |\n"
        "| create | 1.00 (1.00) |            - |"
    )


def test_the_json_has_both_times_of_each_iteration_and_what_a_library_chose() -> None:
    measured = measuring.Measured(TASKS["small_list"], 10, choices={"b": {"batch_size": 250}})
    for seconds, processor_seconds in ((1.0, 0.5), (3.0, 0.25)):
        measured.add("a", {"seconds": seconds, "processor_seconds": processor_seconds})
        measured.add("b", {"seconds": 2 * seconds, "processor_seconds": 3 * processor_seconds})

    run = report.content([measured], {"a": {}, "b": {}}, {}, "a")

    assert report.shares(run) == {"small: list, read a field": {"a": 1.0, "b": 0.5}}
    assert report.processor_times(run) == {"small: list, read a field": {"a": 1.0, "b": 3.0}}
    found = run["tasks"][0]["libraries"]["b"]
    assert (found["seconds"], found["processor_seconds"]) == ([2.0, 6.0], [1.5, 0.75])
    assert found["choices"] == {"batch_size": 250}


def test_the_plot_stays_narrow_where_a_share_is_large_and_keeps_the_line_at_one() -> None:
    root = ET.fromstring(plotting.plot({"a": {"pymongo": 1.0, "x": 12.0}}, ["pymongo", "x"]))

    svg = "{http://www.w3.org/2000/svg}"
    assert float(root.get("viewBox", "").split()[2]) < 1000
    assert [line.get("class") for line in root.iter(f"{svg}line")].count("one") == 1
    assert len(list(root.iter(f"{svg}line"))) < 10


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
    begin, end = "<!-- odm benchmark: begin -->", "<!-- odm benchmark: end -->"
    page = f"before\n\n{begin}\n\nold\n\n{end}\n\nafter\n"

    renewed = report.renewed(page, "new")

    assert renewed == f"before\n\n{begin}\n\nnew\n\n{end}\n\nafter\n"
    assert report.renewed(renewed, "new") == renewed


def test_each_table_of_a_page_has_marks_of_its_own() -> None:
    page = "<!-- one: begin -->1<!-- one: end --> <!-- other: begin -->2<!-- other: end -->"

    renewed = report.renewed(page, "new", "other")

    assert renewed == (
        "<!-- one: begin -->1<!-- one: end --> <!-- other: begin -->\n\nnew\n\n<!-- other: end -->"
    )


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="odm benchmark"):
        report.renewed("nothing here", "new")


def test_the_table_of_memory_has_bytes_for_each_document() -> None:
    held = {
        "pymongo": {"documents": 10, "loaded": 20_000, "read": 20_000},
        "mongoengine": {"documents": 10, "loaded": 25_000, "read": 30_000},
        "datalayer": {"documents": 10, "loaded": 10_000, "read": 15_000},
    }

    assert memory.table({"small": held}).splitlines()[2:] == [
        "| small: loaded | 2,000 | 2,500 | 1,000 | 0.40 |",
        "| small: a field read | 2,000 | 3,000 | 1,500 | 0.50 |",
    ]
