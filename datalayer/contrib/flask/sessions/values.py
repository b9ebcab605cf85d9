"""What may stand in a session: whatever BSON holds, and the tuples and the marked-up texts that
Flask's own sessions hold."""

from __future__ import annotations

from typing import Any

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from flask.json.tag import (
    PassDict,
    PassList,
    TagDict,
    TaggedJSONSerializer,
    TagMarkup,
    TagTuple,
)

OPTIONS: CodecOptions[Any] = CodecOptions(
    tz_aware=True, uuid_representation=UuidRepresentation.STANDARD
)
"""The same over every connection, so that a session reads as it was written."""


_ESCAPED = str.maketrans({"%": "%25", ".": "%2E", "$": "%24"})


def escaped(key: str) -> str:
    """``key`` as the name of a field, which can be any text but for dots, dollars and none."""
    return key.translate(_ESCAPED) or "%"


def unescaped(name: str) -> str:
    """What ``escaped`` was given."""
    if name == "%":
        return ""
    return name.replace("%24", "$").replace("%2E", ".").replace("%25", "%")


class _Mapping(PassDict):
    __slots__ = ()

    def tag(self, value: Any) -> Any:
        return {
            escaped(key) if isinstance(key, str) else key: self.serializer.tag(each)
            for key, each in value.items()
        }


class _Tags(TaggedJSONSerializer):
    # Times, bytes and UUIDs need no tag in BSON.
    default_tags = [TagDict, _Mapping, TagTuple, PassList, TagMarkup]


_TAGS = _Tags()


def tagged(value: Any) -> Any:
    """``value`` with a tag around what BSON would give back as something else."""
    return _TAGS.tag(value)


def untagged(value: Any) -> Any:
    """What ``tagged`` was given, in lists and dictionaries of its own."""
    if isinstance(value, dict):
        return _TAGS.untag({unescaped(key): untagged(each) for key, each in value.items()})
    if isinstance(value, list):
        return [untagged(each) for each in value]
    return value


def as_bson(key: str, value: Any) -> bytes:
    """A tagged value as the database keeps it: to be compared, and measured.

    Raises:
        TypeError: for what BSON can't hold; names the key, and shows no value.
    """
    try:
        return bson.encode({key: value}, codec_options=OPTIONS)
    except (BSONError, OverflowError, TypeError, RecursionError):
        # Without the driver's text, which shows the value.
        raise TypeError(
            f"the session can't keep what stands under {key!r}: it holds texts, whole numbers of "
            "64 bits, other numbers, times, ids, lists, and mappings whose keys are texts. Of a "
            "document keep the id"
        ) from None
