"""Documents of BSON bytes, as a queryset loads them, without a server."""

from __future__ import annotations

from typing import Any

from bson.codec_options import DEFAULT_CODEC_OPTIONS

from datalayer.documents.engine.mixins import reading_program
from datalayer.documents.engine.queries.bytes_cursor import codec_for


class _Cursor:
    """What is asked for its codec."""

    gives_bytes = True

    def __init__(self, options: Any) -> None:
        self._codec_options = options


def from_bytes(model: Any, raw: bytes, options: Any = DEFAULT_CODEC_OPTIONS) -> Any:
    """The document that a queryset of ``model`` gives for ``raw``; needs the part in C."""
    program: Any = reading_program(model)
    return program.load(raw, codec_for(_Cursor(options)))
