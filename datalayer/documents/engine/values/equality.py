"""What values are: single ones, trees of lists and mappings, and whether two are the same."""

from __future__ import annotations

import datetime
from types import NoneType
from typing import Any
from uuid import UUID

from bson import Binary, Decimal128, ObjectId
from mongoengine import EmbeddedDocument

SINGLE = frozenset(
    {
        Binary, Decimal128, NoneType, ObjectId, UUID, bool, bytes, datetime.datetime, float, int,
        str,
    }
)  # fmt: skip
"""The exact types of values that hold no others and don't change."""


def is_single(value: Any) -> bool:
    """Whether ``value`` is known to hold no others and not to change."""
    return type(value) in SINGLE


def are_single(values: Any) -> bool:
    """Whether all of them are."""
    return SINGLE.issuperset(map(type, values))


def plain(value: Any) -> Any:
    """``value`` with lists and mappings of its own, of Python's own classes."""
    if isinstance(value, list):
        return [plain(item) for item in list.__iter__(value)]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in dict.items(value)}
    return value


def is_same(before: Any, after: Any) -> bool:
    """Whether the database would hold the same for both.

    Unlike with ``==``, 1 isn't ``True``, and of two embedded documents that are equal, one with
    changes that were not saved isn't what the other is.
    """
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(
            map(is_same, list.__iter__(before), list.__iter__(after))
        )
    if isinstance(before, dict) and isinstance(after, dict):
        return dict.keys(before) == dict.keys(after) and all(
            is_same(item, dict.__getitem__(after, key)) for key, item in dict.items(before)
        )
    if before is after:
        return True
    if type(before) is not type(after):
        return False
    if isinstance(before, EmbeddedDocument) and before._get_changed_fields():
        return False
    try:
        return bool(before == after)
    except (
        TypeError,
        ValueError,
    ):  # such as of times with and without a zone
        return False
