"""How a spool's segment is laid out: frames with a check sum, one after the other.

A frame that is cut off or damaged is passed over; the next one is found by its mark.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["BATCH", "SETTLED", "Frame", "framed", "frames_in", "read_frame"]

BATCH = 1
SETTLED = 2

_MARK = b"\xf5DLs\x01"
# Kind, time, number of documents, length of the header, length of all that follows, check sum.
_HEAD = struct.Struct("<BdIIII")
_START = len(_MARK) + _HEAD.size
_BSON_LENGTH = struct.Struct("<i")
_STEP = 1 << 20


@dataclass(frozen=True)
class Frame:
    """What was written at once."""

    kind: int
    written_at: float
    count: int
    header: bytes
    body: bytes
    """BSON documents, one behind the other."""
    offset: int

    @property
    def end(self) -> int:
        """Where the next frame begins."""
        return self.offset + _START + len(self.header) + len(self.body)

    def documents(self) -> list[bytes]:
        """The documents of the body."""
        found, at = [], 0
        for _ in range(self.count):
            (length,) = _BSON_LENGTH.unpack_from(self.body, at)
            found.append(self.body[at : at + length])
            at += length
        return found


def framed(kind: int, written_at: float, header: bytes, documents: list[bytes]) -> bytes:
    """The bytes of a frame."""
    body = b"".join(documents)
    content = header + body
    fields = (kind, written_at, len(documents), len(header), len(content))
    checked = zlib.crc32(content, zlib.crc32(_HEAD.pack(*fields, 0)))
    return _MARK + _HEAD.pack(*fields, checked) + content


def read_frame(descriptor: int, offset: int) -> Frame | None:
    """The frame at ``offset``; ``None`` where there is no sound one."""
    start = os.pread(descriptor, _START, offset)
    if len(start) < _START or not start.startswith(_MARK):
        return None
    *fields, checked = _HEAD.unpack_from(start, len(_MARK))
    kind, written_at, count, header_length, length = fields
    content = _read(descriptor, length, offset + _START)
    if len(content) < length or header_length > length:
        return None
    if zlib.crc32(content, zlib.crc32(_HEAD.pack(*fields, 0))) != checked:
        return None
    return Frame(kind, written_at, count, content[:header_length], content[header_length:], offset)


def frames_in(descriptor: int) -> Iterator[Frame]:
    """All sound frames of a file."""
    offset: int | None = 0
    while offset is not None:
        frame = read_frame(descriptor, offset)
        if frame is not None:
            yield frame
            offset = frame.end
        else:
            offset = _next_mark(descriptor, offset + 1)


def _read(descriptor: int, length: int, offset: int) -> bytes:
    """``length`` bytes, or as many as there are: a damaged length may be any number."""
    parts = []
    while length > 0 and (part := os.pread(descriptor, min(length, _STEP), offset)):
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return b"".join(parts)


def _next_mark(descriptor: int, offset: int) -> int | None:
    while part := os.pread(descriptor, _STEP, offset):
        found = part.find(_MARK)
        if found >= 0:
            return offset + found
        if len(part) < len(_MARK):
            return None
        offset += len(part) - len(_MARK) + 1
    return None
