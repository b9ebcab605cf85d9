"""The patterns that filters look for in texts (``contains``, ``istartswith``, ``regex``), and how
they stay within what every server takes."""

from __future__ import annotations

import re
from typing import Any

from bson.regex import Regex
from mongoengine.errors import InvalidQueryError
from mongoengine.fields import ComplexDateTimeField, DictField, ListField, StringField

from datalayer.documents.fields.refusals import refusal
from datalayer.documents.fields.scalar_conversion import PATTERNS, holds_text

LONGEST_TEXT = 16_000
"""Bytes that may be looked for. What the server compiles of a regular expression has at most
64 KiB, of a letter it makes up to three bytes; and see ``_LONGEST_PATTERN``."""

_LONGEST_PATTERN = 16_384
"""Bytes that a server takes of a pattern: since MongoDB 6.1, before it were 32,764."""


def pattern_of(field: Any, operator: str, value: Any) -> Any:
    """What is looked for by an ``operator`` on text; ``None`` where "exact" means equal, as for
    fields that hold no text.

    Raises:
        ValidationError: for a value that is no text, or too long.
        InvalidQueryError: for a field without text.
    """
    member = field
    while isinstance(member, (DictField, ListField)) and member.field is not None:
        member = member.field
    may_be_equal = operator in ("exact", "iexact")
    is_equal = may_be_equal and not isinstance(value, str)
    if not isinstance(member, StringField) and (is_equal or not holds_text(member)):
        if may_be_equal:
            return None
        raise InvalidQueryError(f"{field.name or field.db_field} holds no text for {operator!r}")
    is_regex = operator.endswith("regex")
    if not isinstance(value, (str, *PATTERNS) if is_regex else str):
        raise refusal(field, f"takes text for {operator!r}")
    if isinstance(value, str) and _is_too_long(value):
        raise refusal(field, f"takes at most {LONGEST_TEXT} bytes of text for {operator!r}")
    is_text = isinstance(member, StringField) and not isinstance(member, ComplexDateTimeField)
    prepares = member if is_text else StringField()
    try:
        prepared = prepares.prepare_query_value(operator, value)
    except (OverflowError, re.error, TypeError):
        raise refusal(field, f"takes a regular expression for {operator!r}") from None
    if isinstance(value, str) and not is_regex:
        return _within_the_limit(prepared, value)
    return prepared


def _is_too_long(text: str) -> bool:
    """Whether some server can't look for the text."""
    return len(text) * 4 > LONGEST_TEXT and len(text.encode(errors="replace")) > LONGEST_TEXT


def _within_the_limit(prepared: Any, text: str) -> Any:
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
