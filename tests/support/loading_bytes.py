"""Documents of BSON bytes, as a queryset loads them, without a server; needs the part in C."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bson.codec_options import DEFAULT_CODEC_OPTIONS

from datalayer.documents.engine.mixins import reading_program
from datalayer.documents.engine.queries.bytes_cursor import codec_for


class _Cursor:
    """What is asked for its codec."""

    gives_bytes = True

    def __init__(self, options: Any) -> None:
        self._codec_options = options


def loader(model: Any, options: Any = DEFAULT_CODEC_OPTIONS) -> Callable[[bytes], Any]:
    """What makes the documents that a queryset of ``model`` gives."""
    program: Any = reading_program(model)
    codec = codec_for(_Cursor(options))
    return lambda raw: program.load(raw, codec)


def from_bytes(model: Any, raw: bytes, options: Any = DEFAULT_CODEC_OPTIONS) -> Any:
    """The document that a queryset of ``model`` gives for ``raw``."""
    return loader(model, options)(raw)
