"""How long a text may be that is looked for inside of texts, and how its pattern stays within what
every server takes."""

from __future__ import annotations

import re
from typing import Any

from bson.regex import Regex

LONGEST_TEXT = 16_000
"""Bytes that may be looked for. What the server compiles of a regular expression has at most
64 KiB, of a letter it makes up to three bytes; and see ``_LONGEST_PATTERN``."""

_LONGEST_PATTERN = 16_384
"""Bytes that a server takes of a pattern: since MongoDB 6.1, before it were 32,764."""


def is_too_long(text: str) -> bool:
    """Whether some server can't look for the text."""
    return len(text) * 4 > LONGEST_TEXT and len(text.encode(errors="replace")) > LONGEST_TEXT


def within_the_limit(prepared: Any, text: str) -> Any:
    """The pattern ``prepared``, in which ``text`` stands with its signs escaped one by one; as a
    whole where that made it too long."""
    if not isinstance(prepared, re.Pattern) or len(text) * 8 <= _LONGEST_PATTERN:
        return prepared
    pattern = prepared.pattern
    if len(pattern.encode(errors="replace")) <= _LONGEST_PATTERN:
        return prepared
    # Python has no \Q, and the server has.
    quoted = "\\Q" + text.replace("\\E", r"\E\\E\Q") + "\\E"
    return Regex(pattern.replace(re.escape(text), quoted, 1), prepared.flags)
