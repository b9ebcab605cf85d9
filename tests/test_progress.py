"""The progress bar for scripts."""

from __future__ import annotations

import io
import re

import pytest

from datalayer import progress as progress_module
from datalayer.progress import progress, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_one_line_at_the_end() -> None:
    stream = io.StringIO()
    with progress("users", 1500, stream=stream) as advance:
        advance(1000)
        advance(500)
    assert re.fullmatch(r"  users: 1,500 in \d+\.\d s \([\d,]+/s\)\n", stream.getvalue())


def test_a_long_job_gets_lines_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_SECONDS_BETWEEN_LINES", 0.0)
    stream = io.StringIO()
    with progress("users", 1500, stream=stream) as advance:
        advance(1000)
    assert stream.getvalue().splitlines()[0] == "  users: 1,000 of 1,500"


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    with progress("users", 20, stream=stream) as advance:
        advance(20)
    assert "20/20" in stream.getvalue()
    assert "\u2501" in stream.getvalue()


def test_a_terminal_without_rich_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "find_spec", lambda name: None)
    stream = Terminal()
    with progress("users", 20, stream=stream) as advance:
        advance(20)
    assert stream.getvalue().startswith("  users: 20 in ")


def test_without_a_stream_it_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("users", 20) as advance:
        advance(20)
    captured = capsys.readouterr()
    assert (captured.out, captured.err[:10]) == ("", "  users: 2")


def test_an_error_inside_passes_through_without_a_claim_to_be_done() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="broken"), progress("users", 20, stream=stream):
        raise ValueError("broken")
    assert stream.getvalue() == ""


def test_track_gives_every_item_and_counts_it() -> None:
    stream = io.StringIO()
    assert list(track("abc", "letters", 3, stream=stream)) == ["a", "b", "c"]
    assert stream.getvalue().startswith("  letters: 3 in ")
