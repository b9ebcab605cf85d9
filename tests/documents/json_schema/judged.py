"""Whether a document is stored as its model would have written it, in the judgement of
``validate()`` and ``to_mongo()``."""

from __future__ import annotations

from typing import Any

import bson
from bson import SON, DBRef
from bson.codec_options import CodecOptions, UuidRepresentation

OPTIONS: CodecOptions[Any] = CodecOptions(
    document_class=SON, tz_aware=True, uuid_representation=UuidRepresentation.STANDARD
)


def is_as_written(model: Any, stored: dict[str, Any]) -> bool:
    """Whether ``stored`` loads, is valid, and would be written in the same shape again."""
    raw = bson.decode(bson.encode(stored, codec_options=OPTIONS), OPTIONS)
    try:
        document = model._from_son(raw)
        document.validate()
        written = document.to_mongo()
        again = bson.decode(bson.encode(written, codec_options=OPTIONS), OPTIONS)
    except Exception:  # a document that can't be loaded fails in many ways
        return False
    raw = bson.decode(bson.encode(stored, codec_options=OPTIONS), OPTIONS)
    return is_of_shape(raw, again)


def is_of_shape(raw: Any, written: Any) -> bool:
    """Whether ``raw`` has the types of ``written``: a null stands for nothing, an empty list or
    mapping is written for nothing, and a whole number serves as a real one."""
    if isinstance(raw, dict) and isinstance(written, dict):
        if raw.get("_cls", written.get("_cls")) != written.get("_cls"):
            return False
        keys = {key for key, value in raw.items() if value is not None}
        if not all(_is_made(written[key]) for key in written.keys() - keys):
            return False
        return all(key in written and is_of_shape(raw[key], written[key]) for key in keys)
    if isinstance(raw, list) and isinstance(written, list):
        return len(raw) == len(written) and all(map(is_of_shape, raw, written))
    if isinstance(raw, DBRef) and isinstance(written, DBRef):
        return is_of_shape(raw.as_doc(), written.as_doc())
    kinds = (_kind_of(raw), _kind_of(written))
    return kinds[0] is kinds[1] or kinds == (int, float)


def _is_made(value: Any) -> bool:
    """Whether ``to_mongo`` writes it for no value: an empty container, a number that is drawn, and
    the name of a class."""
    return value in (None, [], {}) or isinstance(value, (int, str))


def _kind_of(value: Any) -> type:
    if isinstance(value, bool):
        return bool
    return next((kind for kind in (int, bytes) if isinstance(value, kind)), type(value))
