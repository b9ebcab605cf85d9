"""Whose code the log of leaks shows: the application's, wherever it lies."""

from __future__ import annotations

import traceback
from pathlib import Path
from traceback import FrameSummary, StackSummary

import gridfs
import mongoengine
import pymongo
import pytest

import datalayer
from datalayer.monitoring.leaks import LeakMonitor, _own_part

LIBRARIES = [
    str(Path(datalayer.__file__).parent / "documents" / "collection.py"),
    str(Path(datalayer.__file__)),
    str(Path(pymongo.__file__).parent / "synchronous" / "pool.py"),
    str(Path(mongoengine.__file__).parent / "queryset" / "base.py"),
    str(Path(gridfs.__file__).parent / "synchronous" / "grid_file.py"),
]


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/datalayer/app/views.py",
        "/home/me/datalayer/datalayer_app.py",
        "/srv/pymongo/views.py",
        "/srv/mongoengine/app/views.py",
        "C:\\work\\datalayer\\app\\views.py",
        str(Path(datalayer.__file__).parent) + "_app/views.py",
        "<stdin>",
    ],
)
def test_the_code_of_an_application_is_known_by_what_it_is_not(path: str) -> None:
    taken = [FrameSummary(library, 1, "call", line="...") for library in LIBRARIES]
    stack = StackSummary.from_list([*taken, FrameSummary(path, 7, "view", line="...")])
    assert [(frame.filename, frame.lineno) for frame in _own_part(stack)] == [(path, 7)]


def test_where_all_of_it_is_the_libraries_they_are_shown() -> None:
    stack = StackSummary.from_list([FrameSummary(each, 1, "call", line="") for each in LIBRARIES])
    assert [frame.filename for frame in _own_part(stack)] == LIBRARIES[::-1]


def test_the_packages_own_calls_are_recognised_as_they_are_in_a_stack() -> None:
    """The paths that are compared are those that Python puts into frames."""
    monitor = LeakMonitor("default", 60.0)
    seen: list[StackSummary] = []

    class Event:
        connection_id = 1

        @property
        def address(self) -> tuple[str, int]:
            seen.append(traceback.extract_stack())
            return ("localhost", 27017)

    monitor.connection_checked_out(Event())  # type: ignore[arg-type]
    monitor.stop()
    (stack,) = seen
    assert any(frame.name == "connection_checked_out" for frame in stack)
    newest_first = StackSummary.from_list(list(stack)[::-1])
    assert "connection_checked_out" not in [frame.name for frame in _own_part(newest_first)]
