"""Codecs of BSON and of Extended JSON that give every value back as it was."""

from __future__ import annotations

from typing import Any

from bson import CodecOptions
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from bson.json_util import CANONICAL_JSON_OPTIONS, JSONMode, JSONOptions
from bson.raw_bson import RawBSONDocument

_CODEC: dict[str, Any] = {
    "tz_aware": True,
    "uuid_representation": UuidRepresentation.STANDARD,
    "datetime_conversion": DatetimeConversion.DATETIME_AUTO,
}
DECODED: CodecOptions[dict[str, Any]] = CodecOptions(document_class=dict, **_CODEC)
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument, **_CODEC)

_JSON: dict[str, Any] = {
    "tz_aware": True,
    "document_class": dict,
    "uuid_representation": UuidRepresentation.STANDARD,
}
CANONICAL = CANONICAL_JSON_OPTIONS.with_options(**_JSON)
EXTENDED_JSON = JSONOptions(json_mode=JSONMode.RELAXED, **_JSON)
