"""Runs a task with all libraries: they take turns, iteration by iteration, and one works at a
time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from bson import DBRef
from pymongo import MongoClient
from pymongo.database import Database

from benchmarks.odm.data import fresh
from benchmarks.odm.tasks import INDEXES, Kind, Task
from benchmarks.odm.workers import Worker

__all__ = ["Measured", "fill", "measure", "prepare_server"]

_SHARE_TIMED = 0.7  # of a task's time; the rest goes to filling and loading
_PILOT_ROUNDS = 2
_CACHE_GB, _OPLOG_MB = 2, 2000
# Bunnet stores a link as a DBRef, the others as the bare id.
_LINKS_AS_DBREF = ("bunnet",)


@dataclass(frozen=True)
class Measured:
    """The times of one task in seconds, by library, one for each iteration; the n-th of each
    were measured one after the other.

    Arguments:
        task: what was done.
        documents: with how many documents an iteration.
        seconds: the time that passed.
        processor_seconds: the processor's time that the client's process took, all threads.
        choices: what a library found to be best for the task.
    """

    task: Task
    documents: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    processor_seconds: dict[str, list[float]] = field(default_factory=dict)
    choices: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, library: str, answer: dict[str, Any]) -> None:
        """Take in an iteration, from the answer of the library's worker."""
        self.seconds.setdefault(library, []).append(answer["seconds"])
        self.processor_seconds.setdefault(library, []).append(answer["processor_seconds"])


def prepare_server(client: MongoClient[dict[str, Any]]) -> None:
    """Room for large documents: nothing is to wait for the cache or the oplog."""
    config = f"cache_size={_CACHE_GB}GB"
    client.admin.command("setParameter", 1, wiredTigerEngineRuntimeConfig=config)
    # It would keep five minutes of old versions, and be ever busier with evicting them.
    client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=0)
    client.admin.command("replSetResizeOplog", 1, size=float(_OPLOG_MB))


def measure(
    task: Task,
    workers: Sequence[Worker],
    client: MongoClient[dict[str, Any]],
    *,
    seconds: float,
    documents: int | None = None,
    rounds: int | None = None,
) -> Measured:
    """Measure a task for about ``seconds``, filling the server included.

    A pilot finds how many documents an iteration can have, so that there are the task's fewest
    iterations; ``documents`` sets it, ``rounds`` the fewest iterations. A task with a number of
    documents of its own takes no more than that. The last iteration is checked, and the pilot's
    first.
    """
    end = monotonic() + seconds
    rounds = rounds or task.rounds
    with _Prepared(task, workers, client, task.least) as pilot:
        for iteration in range(_PILOT_ROUNDS):
            last = pilot.round(iteration, check=iteration == 0)
    if task.documents is not None:
        documents = min(task.documents, documents or task.documents)
    elif documents is None:
        each = sum(answer["seconds"] for answer in last.values()) / task.least
        room = (end - monotonic()) * _SHARE_TIMED / rounds / each
        documents = min(max(int(room), task.least), task.most)
    measured = Measured(task, documents)
    with _Prepared(task, workers, client, documents) as prepared:
        measured.choices.update(prepared.choices)
        iteration, longest, finished = 0, 0.0, False
        while not finished:
            begun = monotonic()
            # The next round is the last if the one after it would be late.
            finished = iteration + 1 >= rounds and begun + 2 * longest > end
            answers = prepared.round(iteration, check=finished)
            for worker in workers:  # as the table has them, not as they took turns
                measured.add(worker.library, answers[worker.library])
            longest = max(longest, monotonic() - begun)
            iteration += 1
    return measured


class _Prepared:
    """A task whose documents are in the database and whose workers are ready for it."""

    def __init__(
        self,
        task: Task,
        workers: Sequence[Worker],
        client: MongoClient[dict[str, Any]],
        documents: int,
    ) -> None:
        self._task = task
        self._workers = workers
        self._client = client
        self._documents = documents
        self.choices: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> _Prepared:
        for worker in self._workers:
            database = self._client[worker.library]
            _empty(database, self._task)
            if self._task.filled:
                as_dbref = worker.library in _LINKS_AS_DBREF
                fill(database, self._task.kind, self._documents, as_dbref)
            chosen = worker.ask("prepare", task=self._task.name, documents=self._documents)
            if chosen:
                self.choices[worker.library] = chosen
        return self

    def round(self, iteration: int, check: bool) -> dict[str, dict[str, Any]]:
        """The workers' answers to an iteration of each library; the first to run is another one
        each time."""
        first = iteration % len(self._workers)
        answers = {}
        for worker in [*self._workers[first:], *self._workers[:first]]:
            if not self._task.filled:
                _empty(self._client[worker.library], self._task)
            answers[worker.library] = worker.ask("run", iteration=iteration, check=check)
        return answers

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            if error[0] is None:
                worker.ask("finish")
            self._client.drop_database(worker.library)


def _empty(database: Database[dict[str, Any]], task: Task) -> None:
    # Made anew at once, so that no timed insert has to wait for it.
    database.drop_collection(task.kind)
    collection = database.create_collection(task.kind)
    if task.filled:
        for path in INDEXES[task.kind]:
            collection.create_index(path)


def fill(
    database: Database[dict[str, Any]], kind: Kind, documents: int, as_dbref: bool = False
) -> None:
    """Store so many documents of a kind."""
    contents = [fresh(kind) for _ in range(documents)]
    if kind == "small_fk":
        foreign = [{"_id": each["field_fk"], "name": "foreign"} for each in contents]
        database["foreign"].insert_many(foreign)
        if as_dbref:
            database[kind].create_index("field_fk.$id")
            for each in contents:
                each["field_fk"] = DBRef("foreign", each["field_fk"])
    database[kind].insert_many(contents)
