"""How a spool's segment is laid out: frames, one after the other, each with a check sum that tells
damage, and a code that tells where the recorder itself has begun a frame.

What events hold comes from anywhere, bytes that look like a frame included. So a segment begins
with a random key of its own, and mark and code of its frames are made with it: what is behind
damage can be told from contents. Version 1 had the check sum alone, which anybody can make; there,
nothing behind the first damage is believed.
"""

from __future__ import annotations

import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from hmac import compare_digest

BATCH = 1
SETTLED = 2

_SIGNATURE = b"\xf5DLs"
"""All that the recorder ever wrote begins with it, and with the version."""
_MARK_1 = _SIGNATURE + b"\x01"
_BEGINNING_2 = _SIGNATURE + b"\x02"
_KEY_BYTES = 32
_CODE_BYTES = 16
_MARK_BYTES = 8
_PREAMBLE_BYTES = len(_BEGINNING_2) + _KEY_BYTES + _CODE_BYTES

# Kind, time, number of documents, length of the header, length of all that follows. Then come the
# check sum and, since version 2, the code.
_FIELDS = struct.Struct("<BdIII")
_SUM_BYTES = 4
_OFFSET = struct.Struct("<Q")
_BSON_LENGTH = struct.Struct("<i")
_SHORTEST_BSON = 5
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
    end: int
    """Where the next frame begins."""

    def without_body(self) -> Frame:
        """What is kept of it in memory."""
        return replace(self, body=b"")

    def documents(self) -> list[bytes]:
        """The documents of the body. ``ValueError`` where it is not made of them."""
        found, at = [], 0
        for _ in range(self.count):
            if at + _SHORTEST_BSON > len(self.body):
                raise ValueError("a batch in the spool has fewer documents than it says")
            (length,) = _BSON_LENGTH.unpack_from(self.body, at)
            if not _SHORTEST_BSON <= length <= len(self.body) - at:
                raise ValueError("a batch in the spool holds what is no document")
            found.append(self.body[at : at + length])
            at += length
        if at != len(self.body):
            raise ValueError("a batch in the spool has more documents than it says")
        return found


@dataclass(frozen=True)
class Damage:
    """A part of a file that is no frame."""

    offset: int
    end: int
    is_cut: bool
    """Whether it is but the beginning of a frame, at the end of the file: its writing was not
    finished."""


@dataclass(frozen=True)
class Layout:
    """How the frames of one segment are written and read."""

    mark: bytes
    key: bytes | None = None
    """``None`` in version 1."""

    @property
    def start(self) -> int:
        """Where the first frame begins."""
        return 0 if self.key is None else _PREAMBLE_BYTES

    @property
    def overhead(self) -> int:
        """The bytes that a frame takes beyond its header and its documents."""
        code_bytes = 0 if self.key is None else _CODE_BYTES
        return len(self.mark) + _FIELDS.size + _SUM_BYTES + code_bytes

    def framed(
        self, offset: int, kind: int, written_at: float, header: bytes, documents: list[bytes]
    ) -> bytes:
        """The bytes of a frame that stands at ``offset``."""
        content = b"".join((header, *documents))
        fields = _FIELDS.pack(kind, written_at, len(documents), len(header), len(content))
        begun = fields + _sum(fields, content)
        return b"".join((self.mark, begun, self._code(offset, begun), content))

    def read(self, descriptor: int, offset: int) -> Frame | None:
        """The frame at ``offset``; ``None`` where there is no sound one."""
        start = os.pread(descriptor, self.overhead, offset)
        if len(start) < self.overhead or not start.startswith(self.mark):
            return None
        begun = start[len(self.mark) : len(self.mark) + _FIELDS.size + _SUM_BYTES]
        if not compare_digest(start[len(self.mark) + len(begun) :], self._code(offset, begun)):
            return None
        fields = begun[: _FIELDS.size]
        kind, written_at, count, header_length, length = _FIELDS.unpack(fields)
        content = _read(descriptor, length, offset + self.overhead)
        if len(content) < length or header_length > length:
            return None
        if begun[_FIELDS.size :] != _sum(fields, content):
            return None
        header, body = content[:header_length], content[header_length:]
        end = offset + self.overhead + length
        return Frame(kind, written_at, count, header, body, offset, end)

    def parts(self, descriptor: int) -> Iterator[Frame | Damage]:
        """All of a file: its sound frames, and what lies between and behind them."""
        size = os.fstat(descriptor).st_size
        offset = self.start
        while offset < size:
            frame = self.read(descriptor, offset)
            if frame is None:
                frame = self._next_sound(descriptor, offset + 1)
                end = size if frame is None else frame.offset
                yield Damage(offset, end, self._is_cut(descriptor, offset, size))
            if frame is None:
                return
            yield frame
            offset = frame.end

    def _next_sound(self, descriptor: int, offset: int) -> Frame | None:
        """The next frame that can be believed."""
        if self.key is None:
            return None
        at = self._next_mark(descriptor, offset)
        while at is not None:
            frame = self.read(descriptor, at)
            if frame is not None:
                return frame
            at = self._next_mark(descriptor, at + 1)
        return None

    def _next_mark(self, descriptor: int, offset: int) -> int | None:
        while part := os.pread(descriptor, _STEP, offset):
            found = part.find(self.mark)
            if found >= 0:
                return offset + found
            if len(part) < len(self.mark):
                return None
            offset += len(part) - len(self.mark) + 1
        return None

    def _is_cut(self, descriptor: int, offset: int, size: int) -> bool:
        start = os.pread(descriptor, self.overhead, offset)
        if not self.mark.startswith(start[: len(self.mark)]):
            return False
        if len(start) == self.overhead:
            *_, length = _FIELDS.unpack_from(start, len(self.mark))
            if offset + self.overhead + length <= size:
                return False
        return self._next_mark(descriptor, offset + 1) is None

    def _code(self, offset: int, begun: bytes) -> bytes:
        if self.key is None:
            return b""
        where = _OFFSET.pack(offset)
        return blake2b(where + begun, key=self.key, digest_size=_CODE_BYTES).digest()


def _sum(fields: bytes, content: bytes) -> bytes:
    checked = zlib.crc32(content, zlib.crc32(fields + bytes(_SUM_BYTES)))
    return checked.to_bytes(_SUM_BYTES, "little")


VERSION_1 = Layout(_MARK_1)


def keyed(key: bytes) -> Layout:
    """The present layout, with this key."""
    return Layout(blake2b(b"mark", key=key, digest_size=_MARK_BYTES).digest(), key)


def preamble() -> tuple[bytes, Layout]:
    """What a new segment begins with, and how its frames are written."""
    key = secrets.token_bytes(_KEY_BYTES)
    return _sealed(key), keyed(key)


def layout_of(descriptor: int) -> Layout | None:
    """How a file is laid out; ``None`` for what this version of the recorder has not written."""
    start = os.pread(descriptor, _PREAMBLE_BYTES, 0)
    if start.startswith(_MARK_1):
        return VERSION_1
    key = start[len(_BEGINNING_2) : len(_BEGINNING_2) + _KEY_BYTES]
    if len(start) < _PREAMBLE_BYTES or not compare_digest(start, _sealed(key)):
        return None
    return keyed(key)


def _sealed(key: bytes) -> bytes:
    return _BEGINNING_2 + key + blake2b(_BEGINNING_2, key=key, digest_size=_CODE_BYTES).digest()


def _read(descriptor: int, length: int, offset: int) -> bytes:
    """``length`` bytes, or as many as there are: a damaged length may be any number."""
    parts = []
    while length > 0 and (part := os.pread(descriptor, min(length, _STEP), offset)):
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return b"".join(parts)
