"""Events on the local disk: written there before they are sent, and found again by the next
process if this one dies.

A spool is a directory of segments. Each belongs to one process, which holds a lock (``flock``)
on it as long as it lives; a segment without a holder is adopted by whoever looks first. A
segment only grows, by batches and by notes that a batch is settled; it is deleted, or emptied,
when all its batches are. Nothing that was found is believed: files that the recorder has not
written are left alone, and one that is damaged is kept under another name in the end.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

from datalayer.recorder.spool.directory import entry_exists, open_directory
from datalayer.recorder.spool.frames import BATCH, SETTLED
from datalayer.recorder.spool.segment import (
    SUFFIX,
    Place,
    Segment,
    Stored,
    force_to_disk,
    new_segment,
    read_back,
    taken_over,
)

logger = logging.getLogger("datalayer.recorder")

_DAMAGED = ".damaged"
_SEGMENTS = 16
"""How many segments share the allowed size."""
_MOST_TOLD = 100
_EMPTIED_FROM_BYTES = 256 * 1024
"""A smaller segment whose batches are all settled is left to grow."""


class SpoolFullError(Exception):
    """The spool has reached its limit. Stays inside the recorder."""


class Spool:
    """The segments of this process, at most ``max_bytes`` of them.

    Several processes may use the same directory; each has its own limit. It has to be on a local
    disk: network file systems don't all keep such locks.

    Raises:
        OSError: where the directory can't be used, or is not this user's alone.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._path = directory
        self._max_bytes = max_bytes
        self._segment_bytes = max(max_bytes // _SEGMENTS, 1)
        self._lock = threading.Lock()  # guards what follows
        self._segments: dict[str, Segment] = {}
        self._current: Segment | None = None
        self._unsynced: set[Segment] = set()
        self._has_new = False
        """Whether there are files whose names are not forced to the disk."""
        self._told: set[tuple[str, str]] = set()
        """The files that were left alone, and why."""
        self._closed = False
        self._directory = open_directory(directory)

    @property
    def size(self) -> int:
        """The bytes that the segments take."""
        return sum(segment.size for segment in list(self._segments.values()))

    def append(self, header: bytes, documents: list[bytes]) -> Place:
        """Write a batch down. It survives the death of the process from here on, and that of the
        machine from the next ``sync`` on.

        Raises:
            SpoolFullError: when the limit is reached.
            OSError: when the disk doesn't take it.
        """
        length = len(header) + sum(map(len, documents))
        with self._lock:
            if self._closed or self.size + length > self._max_bytes:
                raise SpoolFullError
            segment = self._current
            if segment is None or segment.size >= self._segment_bytes:
                self._find_directory()
                segment = self._current = new_segment(self._directory)
                self._segments[segment.name] = segment
                self._has_new = True
            offset = segment.size
            self._write(segment, BATCH, header, documents)
            segment.unsettled.add(offset)
            return Place(segment, offset)

    def read(self, place: Place) -> list[bytes]:
        """The documents of a batch; ``OSError`` or ``ValueError`` where the disk lost them."""
        frame = place.segment.layout.read(place.segment.descriptor, place.offset)
        if frame is None:
            raise ValueError("a batch in the spool is damaged")
        return frame.documents()

    def settle(self, place: Place) -> None:
        """Note that a batch needs no delivery any more. A failure of the disk costs a second
        delivery at most, which stores nothing twice."""
        segment = place.segment
        with self._lock, contextlib.suppress(OSError):
            segment.unsettled.discard(place.offset)
            if segment.closed:
                return
            is_small = segment is self._current and segment.size < _EMPTIED_FROM_BYTES
            if segment.unsettled or (is_small and not segment.is_damaged):
                self._write(segment, SETTLED, place.offset.to_bytes(8, "little"), [])
            else:
                self._retire(segment)

    def set_aside(self, place: Place) -> None:
        """Give up a batch that can't be read: its segment is kept for people to look at, when all
        others in it are settled."""
        segment = place.segment
        with self._lock, contextlib.suppress(OSError):
            if segment.closed:
                return
            segment.unsettled.discard(place.offset)
            if not segment.is_damaged:
                segment.is_damaged = True
                self._tell_of_damage(segment)
            if self._current is segment:
                self._current = None
            if not segment.unsettled:
                self._retire(segment)

    def sync(self) -> None:
        """Have what was appended survive the death of the machine. ``OSError`` where it fails."""
        with self._lock:
            unsynced, self._unsynced = self._unsynced, set()
            if self._has_new and not self._closed:
                self._has_new = False
                with contextlib.suppress(OSError):  # not every file system does that
                    os.fsync(self._directory)
        for segment in unsynced:
            try:
                force_to_disk(segment.descriptor)
            except OSError:
                if not segment.closed:  # else nothing in it waits any more
                    raise

    def adopt(self) -> Iterator[Stored]:
        """The unsettled batches of segments that no living process holds; this one does now.

        A file that is not trusted, or can't be read, is told once and left as it is.
        """
        with self._lock:
            if self._closed:
                return
            self._find_directory()
            names = set(os.listdir(self._directory))
        self._told = {told for told in self._told if told[0] in names}
        for name in sorted(names):
            if name.endswith(SUFFIX) and name not in self._segments:
                yield from self._left_in(name)

    def _left_in(self, name: str) -> list[Stored]:
        try:
            with self._lock:
                segment = None if self._closed else taken_over(self._directory, name)
            return [] if segment is None else self._unsettled_in(segment)
        except Exception as exc:  # noqa: BLE001 - other files are not to wait for this one
            # Without contents.
            why = exc.strerror or str(exc) if isinstance(exc, OSError) else type(exc).__name__
            if (name, why) not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add((name, why))
                logger.warning(
                    "%r in the recorder's spool is left alone: %s",
                    name,
                    why,
                    extra={"event": "recorder_spool_untrusted"},
                )
            return []

    def close(self) -> None:
        """Let go of the segments: those without unsettled batches are deleted."""
        with self._lock:
            for segment in list(self._segments.values()):
                if segment.unsettled:
                    self._let_go(segment)
                else:
                    with contextlib.suppress(OSError):
                        self._current = None
                        self._retire(segment)
            self._close_directory()

    def after_fork(self) -> None:
        """Let go of the parent's files in a child, so that they are free when the parent dies.

        Without unlocking: the lock belongs to the file as the parent opened it.
        """
        self._lock = threading.Lock()
        for segment in list(self._segments.values()):
            self._let_go(segment)
        self._unsynced = set()
        self._close_directory()

    # Inside, with the lock held

    def _close_directory(self) -> None:
        self._current = None
        if not self._closed:
            self._closed = True
            os.close(self._directory)

    def _find_directory(self) -> None:
        """Go on in a directory that was made anew under the same path."""
        try:
            is_same = os.path.samestat(self._path.stat(), os.fstat(self._directory))
        except FileNotFoundError:
            is_same = False
        if not is_same:
            found = open_directory(self._path)
            os.close(self._directory)
            self._directory, self._current = found, None

    def _unsettled_in(self, segment: Segment) -> list[Stored]:
        try:
            batches = read_back(segment)
        except BaseException:
            os.close(segment.descriptor)
            raise
        with self._lock, contextlib.suppress(OSError):
            if self._closed:
                os.close(segment.descriptor)
                return []
            self._segments[segment.name] = segment
            if segment.is_damaged:
                self._tell_of_damage(segment)
            if not batches:
                self._retire(segment)
        return [
            Stored(Place(segment, batch.offset), batch.header, batch.count, batch.written_at)
            for batch in batches
        ]

    def _tell_of_damage(self, segment: Segment) -> None:
        logger.warning(
            "%r in the recorder's spool is damaged, or not understood in part; what is sound in "
            "it is delivered, then it is kept as *%s",
            segment.name,
            _DAMAGED,
            extra={"event": "recorder_spool_damaged"},
        )

    def _write(self, segment: Segment, kind: int, header: bytes, documents: list[bytes]) -> None:
        segment.append(kind, header, documents)
        self._unsynced.add(segment)

    def _retire(self, segment: Segment) -> None:
        """Do away with what holds nothing that waits. Where that fails it stays locked, so that
        it is not adopted again and again."""
        if segment.is_damaged:
            kept = segment.name.removesuffix(SUFFIX)
            if entry_exists(self._directory, kept + _DAMAGED):
                kept += f"-{secrets.token_hex(4)}"
            names = {"src": segment.name, "dst": kept + _DAMAGED}
            os.rename(**names, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        elif segment is self._current:
            os.ftruncate(segment.descriptor, segment.layout.start)
            segment.size = segment.layout.start
            return
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(segment.name, dir_fd=self._directory)
        self._let_go(segment)

    def _let_go(self, segment: Segment) -> None:
        if not segment.closed:
            segment.closed = True
            os.close(segment.descriptor)
        self._segments.pop(segment.name, None)
        self._unsynced.discard(segment)
        if self._current is segment:
            self._current = None
