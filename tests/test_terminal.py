"""What a terminal would obey is shown as it is written."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from datalayer.logs import configure_logging
from datalayer.progress import progress
from datalayer.terminal import printable, printable_json, printable_lines

SHOWN = {
    "\x1b[2J\x1b]0;title\x07": r"\x1b[2J\x1b]0;title\x07",
    "a\nb\tc\rd\x08": r"a\nb\tc\rd\x08",
    "del\x7f csi\x9b31m": r"del\x7f csi\x9b31m",
    "\u202egnp.exe\u2066": r"\u202egnp.exe\u2066",
    "a\u2028b": r"a\u2028b",
    "half \udc80": r"half \udc80",
    "tag \U000e0041": r"tag \U000e0041",
    "größe 漢字 👍🏽 עברית": "größe 漢字 👍🏽 עברית",
    "back\\slash 'quoted'": "back\\slash 'quoted'",
}


@pytest.mark.parametrize(("text", "shown"), SHOWN.items())
def test_control_characters_are_shown_and_everything_else_stays(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_stay_lines() -> None:
    assert printable_lines("one\n\ttwo\r\x1b[0m") == "one\n\ttwo\\r\\x1b[0m"


def test_nothing_that_is_left_is_a_control_character() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    left = [each for each in printable(every) if not each.isprintable() and ord(each) < 0xA0]
    assert left == []


def test_json_stays_json() -> None:
    text = printable_json(json.dumps({"a\x7f\x1b": "\x9b\u202e\x7f"}))
    assert json.loads(text) == {"a\x7f\x1b": "\x9b\u202e\x7f"}
    assert text.isprintable()


@pytest.mark.parametrize("as_json", [False, True], ids=["lines", "JSON"])
def test_a_log_line_is_one_line_without_control_characters(as_json: bool) -> None:
    stream = io.StringIO()
    configure_logging(json=as_json, stream=stream)
    logger = logging.getLogger("datalayer.terminal")
    logger.warning("collection %s", "a\x1b[2J\x7f\u202e\n2026-01-01 INFO datalayer: all is well")
    lines = stream.getvalue().splitlines()
    assert (len(lines), lines[0].isprintable()) == (1, True)


def test_a_traceback_keeps_its_lines() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    try:
        raise ValueError("never said")
    except ValueError:
        logging.getLogger("datalayer.terminal").exception("failed")
    lines = stream.getvalue().splitlines()
    assert len(lines) > 2
    assert all(line.isprintable() for line in lines)


def test_the_label_of_a_progress_bar_is_printable() -> None:
    stream = io.StringIO()
    with progress("a\x1b[2J\nb", 1, stream=stream) as advance:
        advance(1)
    assert stream.getvalue().startswith(r"  a\x1b[2J\nb:")
