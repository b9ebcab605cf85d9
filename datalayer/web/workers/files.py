"""The files of an application's workers, in a directory that is this user's alone.

A worker holds a lock (``flock``) on its file as long as it lives, whatever ends it: a file that
nobody holds is one of a worker that has ended, also where another process has its number by now.
Files are replaced as a whole, the new one locked before it takes the old one's name.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datalayer.recorder.spool.directory import open_directory, open_file

try:
    import fcntl
except ImportError:  # not a Unix: each page shows its own process
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("datalayer.web")

SUPPORTED = fcntl is not None
ENDED = "ended.json"
"""The sums of those that have ended."""
_SUFFIX = ".worker"
_NEW = ".new"
_MOST_BYTES = 4 * 1024 * 1024
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True)
class Found:
    """A worker's file: its contents, or why it can't be read."""

    name: str
    lives: bool
    data: bytes = b""
    trouble: str | None = None


class WorkerFiles:
    """The directory as one worker sees it. Not thread-safe by itself.

    Raises:
        OSError: where the directory can't be made, or others may change what is in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory = open_directory(path)
        self._own = f"{os.getpid()}-{secrets.token_hex(6)}{_SUFFIX}"
        self._held: int | None = None
        """The descriptor whose lock says that this worker lives."""

    def write(self, data: bytes) -> None:
        """Put ``data`` in the place of what this worker has written before.

        Raises:
            OSError: where the disk doesn't take it.
        """
        held = self._replace(self._own, data)
        before, self._held = self._held, held
        if before is not None:
            os.close(before)

    def write_ended(self, data: bytes) -> None:
        """Put ``data`` in the place of the sums of those that have ended."""
        os.close(self._replace(ENDED, data))

    def read_ended(self) -> bytes | None:
        """The sums of those that have ended; ``None`` where there are none, or no sound ones."""
        try:
            return self._read(ENDED)[0]
        except OSError:
            return None

    def others(self) -> list[Found]:
        """The files of the other workers, dead or alive."""
        names = sorted(os.listdir(self._directory))
        found = (self._look_at(n) for n in names if n.endswith(_SUFFIX) and n != self._own)
        return [each for each in found if each is not None]

    def remove(self, name: str) -> None:
        """Remove a file. Nothing happens where it is gone."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._directory)

    def remove_dead(self) -> None:
        """Remove the files of workers that have ended, but those that can't be read."""
        for each in self.others():
            if not each.lives and each.trouble is None:
                self.remove(each.name)

    def remove_left_overs(self) -> None:
        """Remove what workers left that were killed while they wrote."""
        for name in os.listdir(self._directory):
            if name.endswith(_NEW):
                found = self._look_at(name)
                if found is not None and not found.lives:
                    self.remove(name)

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Says whether no other worker tidies up now; none does until the end of the block."""
        try:
            fcntl.flock(self._directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(self._directory, fcntl.LOCK_UN)

    def is_in_place(self) -> bool:
        """Whether the directory is still there under its path."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._directory))
        except FileNotFoundError:
            return False

    def clear(self) -> None:
        """Leave nothing, where no other worker is there: neither files nor the directory."""
        self.remove_dead()
        self.remove(self._own)
        self.remove(ENDED)
        with contextlib.suppress(OSError):  # others have come, or something else is in it
            self._path.rmdir()

    def let_go(self) -> None:
        """From now on the file is that of a worker that has ended."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def close(self) -> None:
        """Let go of the file and of the directory."""
        self.let_go()
        os.close(self._directory)

    def _replace(self, name: str, data: bytes) -> int:
        hidden = f"{name}.{secrets.token_hex(4)}{_NEW}"
        descriptor = os.open(hidden, _CREATE, 0o600, dir_fd=self._directory)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.rename(hidden, name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError:
            os.close(descriptor)
            self.remove(hidden)
            raise
        return descriptor

    def _look_at(self, name: str) -> Found | None:
        """``None`` for a file that is gone."""
        try:
            data, lives = self._read(name)
        except FileNotFoundError:
            return None
        except OSError as exc:
            return Found(name, lives=False, trouble=exc.strerror or str(exc))
        return Found(name, lives, data)

    def _read(self, name: str) -> tuple[bytes, bool]:
        while True:
            descriptor = open_file(self._directory, name)
            try:
                lives = _is_held(descriptor)
                opened = os.fstat(descriptor)
                # One that was replaced meanwhile is held by nobody any more.
                now = os.stat(name, dir_fd=self._directory, follow_symlinks=False)
                if os.path.samestat(opened, now):
                    return _contents(descriptor, opened.st_size), lives
            finally:
                os.close(descriptor)


def _is_held(descriptor: int) -> bool:
    try:
        # Shared: others may look at the same time, and are not to be taken for its worker.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _contents(descriptor: int, size: int) -> bytes:
    if size > _MOST_BYTES:
        raise OSError("it is too large")
    return os.pread(descriptor, size, 0)
