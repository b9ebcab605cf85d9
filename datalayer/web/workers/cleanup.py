"""Who counts and removes the files of workers that have ended, when a worker starts, writes or
ends; and what all the files tell together."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from datalayer.web.workers.aggregation import Ended, Unreadable, Workers
from datalayer.web.workers.files import ENDED, Found, WorkerFiles
from datalayer.web.workers.report import Report

KEY_LENGTH = 16
_NAME = re.compile(f"[0-9a-f]{{{KEY_LENGTH}}}")


def begin_or_join(files: WorkerFiles, data: bytes) -> bool:
    """Write for the first time; says whether it could be done. The first of an application's
    workers removes what a run before has left."""
    with files.alone() as alone:
        if alone:
            if not any(each.lives for each in files.others()):
                files.remove_dead()
                files.remove(ENDED)
            files.write(data)
        return alone


def tidy_up(files: WorkerFiles) -> None:
    """Count those that have ended, and remove their files. Killed in between, it counts none
    twice."""
    with files.alone() as alone:
        if not alone:
            return
        files.remove_left_overs()
        dead = [each for each in files.others() if not each.lives and each.trouble is None]
        if not dead:
            return
        ended = Ended.decoded(files.read_ended())
        reports = [_decoded(each) for each in dead if each.name not in ended.files]
        ended = ended.plus(each for each in reports if isinstance(each, Report))
        names = tuple(each.name for each in dead)
        files.write_ended(Ended(ended.workers, ended.databases, ended.recorder, names).encoded())
        for name in names:
            files.remove(name)


def leave(files: WorkerFiles, data: bytes) -> None:
    """Write for the last time; nothing is left where no other worker is there."""
    try:
        files.write(data)
        files.let_go()
        _clear(files)
    finally:
        files.close()


def sweep(base: Path, own: Path) -> None:
    """Remove what applications have left of which no worker lives: with their next start it
    would be removed too."""
    for path in base.iterdir():
        if path != own and _NAME.fullmatch(path.name) and path.is_dir():
            with suppress(OSError):  # it is another user's, or gone
                files = WorkerFiles(path)
                try:
                    _clear(files)
                finally:
                    files.close()


def _clear(files: WorkerFiles) -> None:
    with files.alone() as alone:
        if alone and not any(each.lives for each in files.others()):
            files.clear()


def put_together(own: Report, found: list[Found], ended: Ended) -> Workers:
    """All workers, from what this one knows of itself and has found of the others."""
    living, unreadable = [own], []
    dead: list[Report] = []
    for each in found:
        if each.name in ended.files:
            continue
        told = _decoded(each)
        if isinstance(told, Unreadable):
            unreadable.append(told)
        else:
            (living if each.lives else dead).append(told)
    living[1:] = sorted(living[1:], key=lambda one: (one.since, one.process))
    return Workers(tuple(living), ended.plus(dead), tuple(unreadable))


def _decoded(found: Found) -> Report | Unreadable:
    if found.trouble is not None:
        return Unreadable(found.name, found.trouble)
    try:
        return Report.decoded(found.data)
    except ValueError as exc:
        return Unreadable(found.name, str(exc))
