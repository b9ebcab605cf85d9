"""What can a terminal show: how many columns has it, and which letters? A name that a server or a
file gives can hold characters that a terminal obeys: they move the cursor, rewrite lines, or turn
the order of letters round."""

from __future__ import annotations

import os
import re
from typing import IO

__all__ = ["ellipsis_for", "printable", "printable_json", "printable_lines", "width_for"]

_USUAL_WIDTH = 80

_OBEYED = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # directions of writing
    "\u2028\u2029"  # ends of lines and paragraphs
    "\ufff9-\ufffb\U000e0000-\U000e007f"  # annotations and tags, which can't be seen
    "\ud800-\udfff"  # halves of characters: no stream takes them
)
_IN_A_LINE = re.compile(f"[{_OBEYED}]")
_IN_LINES = re.compile(f"(?![\n\t])[{_OBEYED}]")


def width_for(stream: IO[str]) -> int | None:
    """How many columns a terminal has; ``None`` where ``stream`` is none, and all is to be shown.

    ``COLUMNS`` says otherwise, as for other programs.
    """
    if not stream.isatty():
        return None
    try:
        said = os.environ.get("COLUMNS", "")
        return int(said) if said.isdecimal() and int(said) else _asked(stream)
    except (OSError, ValueError):
        return _USUAL_WIDTH


def _asked(stream: IO[str]) -> int:
    return os.get_terminal_size(stream.fileno()).columns or _USUAL_WIDTH


def ellipsis_for(stream: IO[str]) -> str:
    """What stands for what was left out, in the stream's character set."""
    try:
        "…─".encode(getattr(stream, "encoding", None) or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return "..."
    return "…"


def printable(text: str) -> str:
    """``text`` in one line, its control characters as Python writes them: ``\\x1b``."""
    return text if text.isascii() and text.isprintable() else _IN_A_LINE.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """``text`` with all control characters but line breaks and tabs as Python writes them."""
    return _IN_LINES.sub(_escaped, text)


def printable_json(text: str) -> str:
    """JSON, of which ``json`` leaves one control character as it is: DEL."""
    return text.replace("\x7f", "\\u007f")


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]
