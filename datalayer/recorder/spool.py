"""Events on the local disk: written there before they are sent, and found again by the next
process if this one dies.

A spool is a directory of segments. Each belongs to one process, which holds a lock (``flock``)
on it as long as it lives; a segment without a holder is adopted by whoever looks first. A
segment only grows, by batches and by notes that a batch is settled; it is deleted, or emptied,
when all its batches are.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import time

from datalayer.recorder.frames import BATCH, SETTLED, framed, frames_in, read_frame

__all__ = ["Place", "Segment", "Spool", "SpoolFullError", "Stored"]

logger = logging.getLogger("datalayer.recorder")

_SUFFIX = ".spool"
_SEGMENTS = 16
"""How many segments share the allowed size."""
_EMPTIED_FROM_BYTES = 256 * 1024
"""A smaller segment whose batches are all settled is left to grow."""


class SpoolFullError(Exception):
    """The spool has no room now. Stays inside the recorder."""


@dataclass(eq=False)
class Segment:
    """One file, open and locked."""

    path: Path
    descriptor: int
    size: int = 0
    unsettled: set[int] = field(default_factory=set)
    """The offsets of the batches that are not settled."""
    closed: bool = False


@dataclass(frozen=True)
class Place:
    """Where a batch lies."""

    segment: Segment
    offset: int


@dataclass(frozen=True)
class Stored:
    """A batch that another process has left."""

    place: Place
    header: bytes
    count: int
    written_at: float
    """When, by the clock of the machine, in seconds since 1970."""


class Spool:
    """The segments of this process, at most ``max_bytes`` of them.

    Several processes may use the same directory; each has its own limit. It has to be on a local
    disk: network file systems don't all keep such locks.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._segment_bytes = max(max_bytes // _SEGMENTS, 1)
        self._lock = threading.Lock()  # guards what follows
        self._segments: dict[Path, Segment] = {}
        self._current: Segment | None = None
        self._unsynced: set[Segment] = set()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def size(self) -> int:
        """The bytes that the segments take."""
        return sum(segment.size for segment in list(self._segments.values()))

    def append(self, header: bytes, documents: list[bytes]) -> Place:
        """Write a batch down. It survives the death of the process from here on, and that of the
        machine from the next ``sync`` on.

        Raises:
            SpoolFullError: when there is no room, by the limit or on the disk.
            OSError: for other failures of the disk.
        """
        frame = framed(BATCH, time(), header, documents)
        with self._lock:
            if self.size + len(frame) > self._max_bytes:
                raise SpoolFullError
            segment = self._current
            if segment is None or segment.size >= self._segment_bytes:
                segment = self._current = self._new_segment()
            offset = segment.size
            self._write(segment, frame)
            segment.unsettled.add(offset)
            return Place(segment, offset)

    def read(self, place: Place) -> list[bytes]:
        """The documents of a batch; ``OSError`` or ``ValueError`` where the disk lost them."""
        frame = read_frame(place.segment.descriptor, place.offset)
        if frame is None:
            raise ValueError("a batch in the spool is damaged")
        return frame.documents()

    def settle(self, place: Place) -> None:
        """Note that a batch needs no delivery any more. A failure of the disk costs a second
        delivery at most, which stores nothing twice."""
        segment = place.segment
        with self._lock:
            segment.unsettled.discard(place.offset)
            if segment.closed:
                return
            with contextlib.suppress(OSError, SpoolFullError):
                if segment.unsettled:
                    note = framed(SETTLED, time(), place.offset.to_bytes(8, "little"), [])
                    self._write(segment, note)
                elif segment is not self._current:
                    self._remove(segment)
                else:
                    self._empty(segment, place)

    def _empty(self, segment: Segment, place: Place) -> None:
        if segment.size >= _EMPTIED_FROM_BYTES:
            os.ftruncate(segment.descriptor, 0)
            segment.size = 0
        else:
            self._write(segment, framed(SETTLED, time(), place.offset.to_bytes(8, "little"), []))

    def sync(self) -> None:
        """Have what was appended survive the death of the machine. ``OSError`` where it fails."""
        with self._lock:
            unsynced, self._unsynced = self._unsynced, set()
        for segment in unsynced:
            try:
                os.fdatasync(segment.descriptor)
            except OSError:
                if not segment.closed:  # else nothing in it waits any more
                    raise

    def adopt(self) -> Iterator[Stored]:
        """The unsettled batches of segments that no living process holds; this one does now."""
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            if path not in self._segments:
                segment = _taken_over(path)
                if segment is not None:
                    yield from self._unsettled_in(segment)

    def _unsettled_in(self, segment: Segment) -> list[Stored]:
        batches: dict[int, Stored] = {}
        sound = 0
        for frame in frames_in(segment.descriptor):
            sound = frame.end
            if frame.kind == BATCH:
                place = Place(segment, frame.offset)
                stored = Stored(place, frame.header, frame.count, frame.written_at)
                batches[frame.offset] = stored
            elif frame.kind == SETTLED:
                batches.pop(int.from_bytes(frame.header, "little"), None)
        size = os.fstat(segment.descriptor).st_size
        if sound < size:  # what was being written when the process died
            os.ftruncate(segment.descriptor, sound)
        with self._lock:
            segment.size = sound
            segment.unsettled = set(batches)
            self._segments[segment.path] = segment
            if not batches:
                self._remove(segment)
        return list(batches.values())

    def close(self) -> None:
        """Let go of the segments: those without unsettled batches are deleted."""
        with self._lock:
            for segment in list(self._segments.values()):
                if segment.unsettled:
                    self._let_go(segment)
                else:
                    self._remove(segment)
            self._current = None

    def after_fork(self) -> None:
        """Let go of the parent's files in a child, so that they are free when the parent dies.

        Without unlocking: the lock belongs to the file as the parent opened it.
        """
        self._lock = threading.Lock()
        for segment in list(self._segments.values()):
            self._let_go(segment)
        self._current = None
        self._unsynced = set()

    def _new_segment(self) -> Segment:
        path = self._directory / f"{os.getpid()}-{secrets.token_hex(6)}{_SUFFIX}"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        # Under another name until it is locked, so that nobody adopts it in between.
        hidden = path.with_suffix(".new")
        segment = Segment(path, os.open(hidden, flags, 0o600))
        fcntl.flock(segment.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hidden.rename(path)
        self._segments[path] = segment
        return segment

    def _write(self, segment: Segment, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(segment.descriptor, view) :]
        except OSError as exc:
            os.ftruncate(segment.descriptor, segment.size)
            raise SpoolFullError from exc
        segment.size += len(data)
        self._unsynced.add(segment)

    def _remove(self, segment: Segment) -> None:
        segment.path.unlink(missing_ok=True)
        self._let_go(segment)

    def _let_go(self, segment: Segment) -> None:
        if not segment.closed:
            segment.closed = True
            os.close(segment.descriptor)
        self._segments.pop(segment.path, None)
        self._unsynced.discard(segment)
        if self._current is segment:
            self._current = None


def _taken_over(path: Path) -> Segment | None:
    """The segment, if nobody holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except OSError:
        return None  # deleted meanwhile, or another user's
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return Segment(path, descriptor)
    except OSError:
        pass  # its process lives
    os.close(descriptor)
    return None
