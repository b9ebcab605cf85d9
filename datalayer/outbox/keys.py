"""Which keys an outbox takes: those that the server stores and compares as single values."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any
from uuid import UUID

from bson import Decimal128, ObjectId

from datalayer.errors import TransactionError

LONGEST_KEY_BYTES = 1024
"""Far more than any id takes. The key is a part of an index."""

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1  # BSON's int64
_KINDS = (str, bytes, int, float, Decimal128, ObjectId, UUID, datetime)


def check_key(key: Any, alias: str) -> None:
    """Refuse a key that isn't one value, or not equal to itself, or too long.

    Keys are compared by the server: 5 and 5.0 are one key, "5" and ``True`` are others.

    Raises:
        TransactionError: with what is wrong, and never with the key.
    """
    problem = _problem_of(key)
    if problem is not None:
        raise TransactionError(
            f"db.outbox.add can't use this key: {problem}; give a short value that names what "
            "is to stay in order, a customer's id say, and str() of it where in doubt",
            alias=alias,
        )


def _problem_of(key: Any) -> str | None:
    if not issubclass(type(key), _KINDS):  # a stand-in that only calls itself one can't be sent
        return f"a {type(key).__name__} is not a single value that the server compares"
    if isinstance(key, (float, Decimal128)):
        number = key.to_decimal() if isinstance(key, Decimal128) else key
        return None if math.isfinite(number) else "it is not a finite number"
    if isinstance(key, int):
        return None if _LOWEST <= key <= _HIGHEST else "it does not fit into 64 bits"
    if isinstance(key, (str, bytes)):
        return _problem_of_text(key)
    return None


def _problem_of_text(key: str | bytes) -> str | None:
    try:
        size = len(key.encode() if isinstance(key, str) else key)
    except UnicodeEncodeError:
        return "it is text that isn't Unicode"
    if size > LONGEST_KEY_BYTES:
        return f"it has {size:,} bytes, and at most {LONGEST_KEY_BYTES:,} are taken"
    return None
