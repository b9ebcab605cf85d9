"""How far has an index build got? The server tells it in ``$currentOp``, to those who may ask."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from datalayer.connections.connection import Connection

_SECONDS_BETWEEN_LOOKS = 1.0
_LOOK_SECONDS = 2.0
_PREFIX = "Index Build: "


@dataclass(frozen=True)
class BuildProgress:
    """How far one build has got on the primary. ``done`` and ``total`` count documents, or keys in
    the phases after the collection was read."""

    alias: str
    collection: str
    phase: str
    """In the server's words, such as ``scanning collection``; with a number where it does the same
    for another index."""
    done: int
    total: int

    @property
    def name(self) -> str:
        """The collection with its alias."""
        return f"{self.alias}.{self.collection}"


OnProgress = Callable[[BuildProgress], None]


@contextmanager
def watched(
    connection: Connection, collection: str, on_progress: OnProgress | None
) -> Iterator[Mapping[str, Any]]:
    """Call ``on_progress`` about each second, from a thread of its own, while the block builds.

    The block sends ``createIndexes`` with the options that it is given, by which the build is
    recognised. Without the privilege ``inprog`` (role ``clusterMonitor``) nothing is told.
    """
    if on_progress is None or connection.settings.kind == "mongomock":
        yield {}
        return
    comment, ended = f"datalayer:{uuid.uuid4().hex}", threading.Event()
    watcher = threading.Thread(
        target=_watch,
        args=(connection, collection, comment, ended, on_progress),
        name="datalayer-index-progress",
        daemon=True,
    )
    watcher.start()
    try:
        yield {"comment": comment}
    finally:
        ended.set()
        watcher.join(_LOOK_SECONDS)


def _watch(
    connection: Connection,
    collection: str,
    comment: str,
    ended: threading.Event,
    on_progress: OnProgress,
) -> None:
    phases = Phases()
    while not ended.wait(_SECONDS_BETWEEN_LOOKS):
        try:
            with pymongo.timeout(_LOOK_SECONDS):
                found = list(connection.client.admin.aggregate(_building(comment)))
        except PyMongoError:
            return  # it may not ask, or the server is away, which the build itself tells of
        for each in found:
            phase = phases.named(each["phase"], each["done"])
            news = BuildProgress(connection.alias, collection, phase, each["done"], each["total"])
            if not ended.is_set():
                on_progress(news)


class Phases:
    """Tells the phases of a build apart: what falls back does the same for another index."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}  # how often it began, and how far it got

    def named(self, message: str, done: int) -> str:
        """What to call the phase that the server's ``message`` tells of."""
        phase = message.removeprefix(_PREFIX).partition(_PREFIX)[0].strip()
        number, before = self._known.get(phase, (1, 0))
        number += done < before
        self._known[phase] = (number, done)
        return phase if number == 1 else f"{phase} ({number})"


def _building(comment: str) -> list[dict[str, Any]]:
    return [
        {"$currentOp": {"allUsers": True}},
        {"$match": {"command.comment": comment, "progress.total": {"$gt": 0}}},
        {
            "$project": {
                "_id": 0,
                "phase": {"$ifNull": ["$msg", ""]},
                "done": "$progress.done",
                "total": "$progress.total",
            }
        },
    ]
