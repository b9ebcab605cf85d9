"""One file of the spool: made, taken over from a process that is gone, written and read back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import sys
from dataclasses import dataclass, field
from time import time

from datalayer.recorder.spool.directory import UntrustedError, open_file
from datalayer.recorder.spool.frames import (
    BATCH,
    SETTLED,
    Damage,
    Frame,
    Layout,
    layout_of,
    preamble,
)

SUFFIX = ".spool"
_OWN_NAME = re.compile(r"\d+-[0-9a-f]{12}\.spool")
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(eq=False)
class Segment:
    """A file, open and locked."""

    name: str
    descriptor: int
    layout: Layout
    size: int = 0
    unsettled: set[int] = field(default_factory=set)
    """The offsets of the batches that are not settled."""
    is_damaged: bool = False
    """Whether it holds what was not understood: it is kept, under another name."""
    closed: bool = False

    def append(self, kind: int, header: bytes, documents: list[bytes]) -> None:
        """Write a whole frame, or nothing. ``OSError`` where the disk doesn't take it."""
        frame = self.layout.framed(self.size, kind, time(), header, documents)
        try:
            _write_at(self.descriptor, self.size, frame)
        except OSError:
            # Where even that fails, the next frame is written over it.
            with contextlib.suppress(OSError):
                os.ftruncate(self.descriptor, self.size)
            raise
        self.size += len(frame)


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


def new_segment(directory: int) -> Segment:
    """A segment of this process. ``OSError`` where the disk doesn't take it."""
    name = f"{os.getpid()}-{secrets.token_hex(6)}{SUFFIX}"
    # Under another name until it is locked, so that nobody adopts it in between.
    hidden = name + ".new"
    beginning, layout = preamble()
    descriptor = os.open(hidden, _NEW, 0o600, dir_fd=directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write_at(descriptor, 0, beginning)
        os.rename(hidden, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(hidden, dir_fd=directory)
        raise
    return Segment(name, descriptor, layout, layout.start)


def taken_over(directory: int, name: str) -> Segment | None:
    """The segment, if nobody holds it.

    Raises:
        UntrustedError: for a file that this version of the recorder has not written, or that
            others could have changed.
        OSError: where it can't be read.
    """
    try:
        descriptor = open_file(directory, name)
    except FileNotFoundError:
        return None  # delivered meanwhile
    segment = None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(descriptor)
        if os.path.samestat(found, os.stat(name, dir_fd=directory, follow_symlinks=False)):
            segment = _recognised(directory, name, descriptor, found.st_size)
    except (BlockingIOError, FileNotFoundError):
        pass  # its process lives, or has delivered it meanwhile
    finally:
        if segment is None:
            os.close(descriptor)
    return segment


def _recognised(directory: int, name: str, descriptor: int, size: int) -> Segment | None:
    if not size and _OWN_NAME.fullmatch(name):  # all that a crash of the machine has left of it
        os.unlink(name, dir_fd=directory)
        return None
    layout = layout_of(descriptor)
    if layout is None:
        raise UntrustedError("its beginning is none that this version of the recorder has written")
    return Segment(name, descriptor, layout, size)


def read_back(segment: Segment) -> list[Frame]:
    """The batches of a segment that was taken over, but those that are settled. What was being
    written when its process died is cut off; other damage is noted."""
    batches: dict[int, Frame] = {}
    for part in segment.layout.parts(segment.descriptor):
        if isinstance(part, Damage):
            if part.is_cut and not segment.is_damaged:
                os.ftruncate(segment.descriptor, part.offset)
                segment.size = part.offset
            else:
                segment.is_damaged = True
        elif part.kind == SETTLED:
            batches.pop(int.from_bytes(part.header, "little"), None)
        elif part.kind == BATCH and _holds_documents(part):
            batches[part.offset] = part.without_body()
        else:
            segment.is_damaged = True
    segment.unsettled = set(batches)
    return list(batches.values())


def _holds_documents(frame: Frame) -> bool:
    with contextlib.suppress(ValueError):
        frame.documents()
        return True
    return False


def force_to_disk(descriptor: int) -> None:
    """Have what was written survive the death of the machine. ``OSError`` where it fails."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync() leaves it in the disk's own cache
    else:
        os.fdatasync(descriptor)


def _write_at(descriptor: int, offset: int, data: bytes) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
