"""What kind of value it is, whatever the field: several values, a condition, a pattern, and what
BSON can hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import bson
from bson import Decimal128, ObjectId, Regex
from bson.errors import BSONError
from mongoengine.base import BaseDocument

from datalayer.documents.fields.bson_limits import ENCODING
from datalayer.documents.fields.refusals import Misfit

PATTERNS = (re.Pattern, Regex)
# Of these BSON holds every value.
_SURELY_HELD = frozenset({bool, float, ObjectId, Decimal128})


def is_many(value: Any) -> bool:
    """Whether ``value`` holds values, as the list of ``in`` does: no text, mapping or document."""
    single = (str, bytes, bytearray, Mapping, BaseDocument)
    return isinstance(value, Iterable) and not isinstance(value, single)


def is_condition(value: Any) -> bool:
    """Whether ``value`` is made of MongoDB's operators."""
    return isinstance(value, Mapping) and bool(value) and all(_is_operator(key) for key in value)


def _is_operator(key: Any) -> bool:
    return isinstance(key, str) and key.startswith("$")


def held(value: Any) -> Any:
    """``value``, if BSON can hold it."""
    if type(value) in _SURELY_HELD:
        return value
    try:
        bson.encode({"": value}, codec_options=ENCODING)
    except (BSONError, OverflowError, RecursionError, TypeError, ValueError):
        raise Misfit(f"is a {type(value).__name__} that BSON can't hold") from None
    return value
