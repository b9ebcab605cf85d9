"""The process of one library: reads a request a line (JSON) from standard input, answers each
with a line on standard output, and rests in between. Arguments: the library, the server's URI.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import logging
import os
import platform
import sys
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, TextIO

import bson
import pymongo

from benchmarks.odm.actions import ACTIONS, Action
from benchmarks.odm.libraries.base import Library
from benchmarks.odm.tasks import BEST_BATCH, TASKS, Kind

__all__ = ["LIBRARIES"]

LIBRARIES = {
    "pymongo": "pymongo_dicts.PyMongo",
    BEST_BATCH: "pymongo_dicts.BestBatch",
    "mongoengine": "mongoengine_documents.MongoEngine",
    "mongoengine-accelerated": "mongoengine_documents.Accelerated",
    "datalayer": "datalayer_documents.Datalayer",
    "datalayer-pure": "datalayer_documents.Datalayer",
    "django": "django_models.Django",
    "bunnet": "bunnet_documents.Bunnet",
}

_FIELD: dict[Kind, tuple[str, ...]] = {
    "small": ("field1",),
    "nested": ("embedded_str_doc_1", "field1"),
}


class Worker:
    """Answers requests, each with a method of its name."""

    def __init__(self, name: str, uri: str) -> None:
        self._uri = uri
        self._library = _library(name, uri)
        self._client: pymongo.MongoClient[dict[str, Any]] | None = None
        self._action: Action | None = None

    def describe(self) -> dict[str, Any]:
        """The versions at work."""
        return {
            "python": platform.python_version(),
            "bson_in_c": bson.has_c(),
            **self._library.versions(),
        }

    def prepare(self, task: str, documents: int) -> dict[str, Any]:
        """Make a task ready, whose documents are in the database; say what the library chose."""
        (chosen,) = (each for each in TASKS if each.name == task)
        self._client = pymongo.MongoClient(self._uri)
        stored = self._client.get_default_database()[chosen.kind]
        self._action = action = ACTIONS[task](self._library, chosen, stored, documents)
        return self._library.adapt(lambda: action.run(0))

    def run(self, iteration: int, check: bool) -> dict[str, Any]:
        """Run an iteration and say how many seconds it took, and how many of the processor's
        all threads of this process; check what it did if asked to."""
        assert self._action is not None
        begun, begun_processor = perf_counter(), process_time()
        self._action.run(iteration)
        processor_seconds = process_time() - begun_processor
        seconds = perf_counter() - begun
        if check:
            self._action.check(iteration)
        return {"seconds": seconds, "processor_seconds": processor_seconds}

    def hold(self, kind: Kind) -> dict[str, Any]:
        """Load all documents and hold them; by how many bytes the process has grown then, and
        when a field of each was read too."""
        read, path = self._library.value, _FIELD[kind]
        for warming in islice(self._library.all(kind), 1):
            read(warming, *path)
        del warming
        before = _resident_bytes()
        held = list(self._library.all(kind))
        loaded = _resident_bytes() - before
        for each in held:
            read(each, *path)
        return {"documents": len(held), "loaded": loaded, "read": _resident_bytes() - before}

    def finish(self) -> dict[str, Any]:
        """Forget the task."""
        self._action = None
        if self._client is not None:
            self._client.close()
        gc.collect()
        return {}

    def close(self) -> None:
        """Close all connections."""
        self.finish()
        self._library.close()


def _library(name: str, uri: str) -> Library:
    module, _, class_name = LIBRARIES[name].partition(".")
    found = importlib.import_module(f"benchmarks.odm.libraries.{module}")
    library: Library = getattr(found, class_name)(uri)
    return library


def _resident_bytes() -> int:
    gc.collect()
    # The C library keeps what was freed, the driver's large replies say, unless it is asked.
    getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def _answer(answers: TextIO, content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()


def main() -> int:
    # What a library prints must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.disable()
    try:
        worker = Worker(sys.argv[1], sys.argv[2])
    except NotImplementedError as exc:
        _answer(answers, {"unavailable": str(exc)})
        return 0
    _answer(answers, worker.describe())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            _answer(answers, getattr(worker, request.pop("do"))(**request))
        except AssertionError as exc:
            _answer(answers, {"wrong": str(exc)})
    worker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
