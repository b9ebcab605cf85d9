"""The benchmark of spans: that its command works, in small."""

from __future__ import annotations

from paths import ROOT
from running_programs import python


def test_the_command_shows_what_both_kinds_of_spans_add() -> None:
    done = python("-m", "benchmarks.traces", "--seconds", "0", cwd=ROOT)
    assert done.stderr == ""
    for row in ("and pymongo's spans", "and our spans", "ours to theirs"):
        assert f"| {row} | " in done.stdout
