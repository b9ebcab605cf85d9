"""A million documents are loaded, and many of them read, changed, written, copied or refused: no
object, no byte and no reference to what they have in common stays behind.

The part in C counts references by hand: one too many keeps memory for ever, and one too few frees
what is in use.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from paths import PROGRAMS
from running_programs import python

from datalayer.documents.engine import core

# How many documents are loaded in which build, which takes ten seconds of a processor together.
LOADS = {
    ("compiled", "bytes"): 1_000_000,
    ("compiled", "dictionaries"): 200_000,
    ("pure", "dictionaries"): 100_000,
}
ACTIONS = (
    "load", "read", "read_and_keep_the_part", "load_out_of_the_ordinary", "change",
    "validate_and_write", "construct_and_encode", "compare_and_copy", "refuse",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="memory is measured as Linux tells of it"
)


@pytest.fixture(scope="module", params=list(LOADS), ids="-".join)
def left(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """What stays behind of each action."""
    build, way = request.param
    environment = {
        "DATALAYER_PURE_PYTHON": "1" if build == "pure" else "",
        "PYTHONMALLOC": "pymalloc",  # which counts its blocks
        "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:quarantine_size_mb=0",
    }
    if build == "compiled" and core is None:
        pytest.skip("of the part in C")
    loads = str(LOADS[request.param])
    done = python(PROGRAMS / "loading.py", loads, way, environment=environment, check=True)
    found = map(json.loads, done.stdout.splitlines())
    return {each.pop("action"): each for each in found}


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_stays_behind(left: dict[str, dict[str, Any]], action: str) -> None:
    found = left[action]
    assert found["objects"] == {}
    assert abs(found["references"]) < 50  # what Python itself keeps for the next time
    assert found["blocks"] < 250
    assert found["kilobytes"] < 2048
