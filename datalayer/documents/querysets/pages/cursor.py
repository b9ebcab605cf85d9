"""A place in an order as text for an address: opaque, and checked when it comes back."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import bson
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.errors import BSONError
from mongoengine.errors import OperationError, ValidationError

LONGEST = 2_000
"""Characters of a cursor: what addresses can hold everywhere."""

_SCALARS = {str, bytes, bool, int, float, datetime, type(None), UUID}
_BSON = {Binary, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp}
_PLAIN = frozenset(_SCALARS | _BSON)  # exactly these: code is a kind of text
_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    uuid_representation=UuidRepresentation.STANDARD,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
_NAMES = ("o", "v", "b")  # of order, values and backwards: it stands in addresses
_SIGNATURE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document stands in an order: the values that it is sorted by."""

    order: bytes
    """Which order that is."""

    values: tuple[Any, ...]

    backwards: bool = False
    """Whether the page is wanted that ends before it, rather than the one that begins after."""


def to_text(place: Place, secret_key: str | bytes | None) -> str:
    """``place`` in letters, digits, ``-`` and ``_``; signed, if there is a key.

    Raises:
        OperationError: for values that are none to be compared one by one, or too long.
    """
    if not all(is_comparable(value) for value in place.values):
        raise OperationError(
            "these documents can't have pages by key, since one of them is ordered by a list, or "
            "by what can't be compared: use an order_by() of single values"
        )
    data = dict(zip(_NAMES, (place.order, list(place.values), place.backwards), strict=True))
    raw = bson.encode(data, codec_options=_OPTIONS)
    text = base64.urlsafe_b64encode(_signature(raw, secret_key) + raw).rstrip(b"=").decode()
    if len(text) > LONGEST:
        raise OperationError(
            f"these documents can't have pages by key, since the values that one of them is "
            f"ordered by take more than the {LONGEST} characters that an address can hold"
        )
    return text


def from_text(text: str, order: bytes, length: int, secret_key: str | bytes | None) -> Place:
    """The place in ``order``, by so many values, that ``text`` names.

    Raises:
        ValidationError: for what isn't one, for one of another order, and for one that this
            key didn't sign.
    """
    try:
        place = _read(text, secret_key)
    except (BSONError, binascii.Error, OverflowError, RecursionError, TypeError, ValueError):
        place = None
    if place is None or place.order != order or len(place.values) != length:
        raise ValidationError("this is no cursor of these pages")
    return place


def is_comparable(value: Any, levels: int = 3) -> bool:
    """Whether ``value`` is single, or a mapping of such values (a key may be one) over a few
    ``levels``, in which nothing can be taken for an operator."""
    if isinstance(value, dict) and levels:
        return all(
            not key.startswith("$") and is_comparable(each, levels - 1)
            for key, each in value.items()
        )
    return type(value) in _PLAIN


def _read(text: str, secret_key: str | bytes | None) -> Place | None:
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    signed = base64.b64decode(padded, altchars=b"-_", validate=True)
    length = len(_signature(b"", secret_key))
    signature, raw = signed[:length], signed[length:]
    if not hmac.compare_digest(signature, _signature(raw, secret_key)):
        return None
    data = bson.decode(raw, codec_options=_OPTIONS)
    if tuple(data) != _NAMES:
        return None
    order, values, backwards = data.values()
    is_whole = isinstance(values, list) and isinstance(backwards, bool)
    if not is_whole or not all(is_comparable(value) for value in values):
        return None
    return Place(order, tuple(values), backwards)


def _signature(raw: bytes, secret_key: str | bytes | None) -> bytes:
    if not secret_key:
        return b""
    key = secret_key.encode() if isinstance(secret_key, str) else secret_key
    return hmac.digest(key, b"datalayer cursor" + raw, "sha256")[:_SIGNATURE_BYTES]
