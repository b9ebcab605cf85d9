"""What the encoder in C is told, what it leaves to the driver, and the document that it makes."""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import bson
from bson import (
    SON,
    Binary,
    CodecOptions,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    Regex,
    Timestamp,
)
from bson.binary import UuidRepresentation
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import DictField, ListField

_SINGLE = frozenset(
    {
        Binary, DBRef, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, Regex, Timestamp, UUID,
        datetime, re.Pattern,
    }
)  # fmt: skip
_SHOWN: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)


class EncodedDocument(RawBSONDocument):
    """A document for the driver, as BSON: found to be what MongoDB can store, with its ``_id``.

    Whoever looks into it, as a listener to the driver's commands, sees a mapping of plain values.
    """

    __slots__ = ("raw",)  # in the place of the driver's property: a batch has thousands

    raw: bytes

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def _decoded(self) -> dict[str, Any]:
        return bson.decode(self.raw, _SHOWN)

    def items(self) -> ItemsView[str, Any]:
        """Keys and values, decoded."""
        return self._decoded().items()

    def __getitem__(self, key: str) -> Any:
        return self._decoded()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decoded())

    def __len__(self) -> int:
        return len(self._decoded())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RawBSONDocument):
            return self.raw == other.raw
        return self._decoded() == other

    __hash__ = None  # as of the driver's

    def __reduce__(self) -> Any:
        return type(self), (self.raw,)

    def __repr__(self) -> str:
        return repr(self._decoded())


def set_up(core: Any) -> None:
    """Tell the encoder which types it knows, and who encodes the others."""
    core.set_up_encoding(vars(EncodedDocument)["raw"], datetime, UTC, encode_otherwise)


def direct_encoding_of(field: Any) -> int:
    """Which values of ``field`` are encoded as they are, though its writer would make others of
    them: 1 for moments in UTC, by the field's own word, 2 for trees of plain values, 0 for none.
    """
    kind: Any = type(field)
    if isinstance(field, (DictField, ListField)):
        is_free = field.field is None and kind.to_mongo is ComplexBaseField.to_mongo
        return 2 if is_free else 0
    giver = next(parent for parent in kind.__mro__ if "to_mongo" in vars(parent))
    return int(bool(vars(giver).get("stores_utc_as_it_is")))


def encode_otherwise(value: Any, options: CodecOptions[Any]) -> Any:
    """A value that the encoder doesn't know, as the one of a BSON document without a name; or as
    a dictionary of what it may know; ``None`` for what is looked at on the way over a dictionary.
    """
    if type(value) is SON:
        return dict(value.items())
    if type(value) not in _SINGLE:
        return None
    try:
        return bson.encode({"": value}, codec_options=options)
    except (BSONError, OverflowError, TypeError, ValueError):
        return None
