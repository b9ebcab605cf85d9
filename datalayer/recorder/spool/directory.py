"""A directory that is this user's alone, and the files in it, opened and checked: what other users
could have put there or changed is not used. Workers of a web application keep theirs so too."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

logger = logging.getLogger("datalayer.recorder")

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# Windows lacks some of these; what opens files here is refused or left out there.
_FLAGS = os.O_RDWR
for _name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"):
    _FLAGS |= getattr(os, _name, 0)


class UntrustedError(OSError):
    """What was found is not this user's alone; its text says why. Stays inside the recorder."""


def open_directory(path: Path) -> int:
    """A descriptor of the directory, which is made where it is missing.

    It has to belong to this user or to root, and nobody else may put files into it or take them
    away. Permissions of an own directory that are too wide are narrowed; a sticky bit, as that of
    ``/tmp``, is enough, since the files are checked too.

    Raises:
        UntrustedError: for one that others may change.
        OSError: where it can't be made or opened.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) and found.st_uid not in (0, os.geteuid()):
        raise UntrustedError("it is a link that another user has made")
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check_directory(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_directory(path: Path, descriptor: int) -> None:
    found = os.fstat(descriptor)
    is_own = found.st_uid == os.geteuid()
    if not is_own and found.st_uid != 0:
        raise UntrustedError("it belongs to another user")
    if not found.st_mode & _WRITABLE_BY_OTHERS or found.st_mode & stat.S_ISVTX:
        return
    if not is_own:
        raise UntrustedError("other users may change what is in it; name a directory inside it")
    os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & ~_WRITABLE_BY_OTHERS)
    logger.warning(
        "other users could change what is in %s; they can't any more",
        path,
        extra={"event": "recorder_spool_permissions"},
    )


def open_file(directory: int, name: str) -> int:
    """A descriptor of a file in the directory.

    Raises:
        UntrustedError: for what is not a file that only this user can have written.
        FileNotFoundError: where it is gone.
        OSError: where it can't be opened.
    """
    # Before it is opened too: opening a device, say, may have effects.
    _check_file(os.stat(name, dir_fd=directory, follow_symlinks=False))
    descriptor = os.open(name, _FLAGS, dir_fd=directory)
    try:
        _check_file(os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_file(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise UntrustedError("it is no regular file")
    if found.st_uid != os.geteuid():
        raise UntrustedError("it belongs to another user")
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise UntrustedError("other users may write it")
    if found.st_nlink > 1:
        raise UntrustedError("it has another name elsewhere")


def entry_exists(directory: int, name: str) -> bool:
    """Whether there is anything of this name."""
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
