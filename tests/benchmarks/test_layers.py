"""The benchmark of layers: its turns, its arithmetic, and that its command works."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

pytestmark = pytest.mark.applications

sys.path.append(str(ROOT))  # `benchmarks` is not installed with the package

layers = importlib.import_module("benchmarks.layers")
DRIVER, CLIENT, COLLECTION, QUERYSET, DOCUMENT = layers.LAYERS


def test_a_layer_has_what_it_adds_to_the_one_below() -> None:
    find = layers.Operation("find", 1, {})
    find.seconds.update(
        {
            DRIVER: [100e-6, 900e-6, 110e-6],
            CLIENT: [130e-6],
            COLLECTION: [135e-6],
            QUERYSET: [155e-6],
            DOCUMENT: [150e-6],
        }
    )
    find.processor_seconds.update({DRIVER: [1500e-6], CLIENT: [1501e-6], DOCUMENT: [1600e-6]})

    assert layers.table([find]) == "\n".join(
        [
            "| microseconds | find | processor |",
            "|---|---:|---:|",
            "| the driver alone | 110 | 1,500 |",
            "| our client | +20 | +1 |",
            "| our collection | +5 | - |",
            "| queryset | +20 | - |",
            "| document | -5 | +99 |",
            "| together | 150 | 1,600 |",
        ]
    )


def test_layers_take_turns_and_another_begins_each_time() -> None:
    order: list[str] = []
    runs = {name: lambda name=name: order.append(name) for name in "abc"}
    operation = layers.Operation("any", 2, runs)

    layers.measure([operation], seconds=0)

    assert order[:3] == ["a", "b", "c"]  # warming
    blocks = ["".join(order[at : at + 6]) for at in range(3, len(order), 6)]
    assert blocks == ["aabbcc", "bbccaa", "ccaabb", "aabbcc", "bbccaa"]
    assert [len(operation.seconds[name]) for name in "abc"] == [5, 5, 5]
    assert [len(operation.processor_seconds[name]) for name in "abc"] == [5, 5, 5]


@pytest.mark.slow
def test_the_command_measures_all_layers_and_puts_the_table_into_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- layers: begin --><!-- layers: end -->\n", encoding="utf-8")
    command = [sys.executable, "-m", "benchmarks.layers", "--seconds", "0", "--page", str(page)]

    done = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=100
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in page.read_text(encoding="utf-8")
    rows = [line.split(" | ")[0].strip("| ") for line in done.stdout.splitlines()]
    assert rows[2:] == [*layers.LAYERS, "together"]
