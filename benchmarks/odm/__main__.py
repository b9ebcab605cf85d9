"""MongoDB's ODM benchmark for Python: how fast each library is, as a share of PyMongo with dicts.

    python -m benchmarks.odm [--seconds 300] [--tasks NAME ...] [--libraries NAME ...]
                             [--json FILE] [--svg FILE]

Each library works in a process of its own; they take turns, iteration by iteration, against one
private server with its files in memory.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

from pymongo import MongoClient

from benchmarks.odm import data, figures
from benchmarks.odm.measuring import Measured, measure, prepare_server
from benchmarks.odm.tasks import TASKS, Task
from benchmarks.odm.worker import LIBRARIES
from benchmarks.odm.workers import Worker
from datalayer.embedded import EmbeddedMongo

_BASELINE = "pymongo"
_USUAL = [name for name in LIBRARIES if name != "mongoengine-accelerated"]


def main() -> int:
    arguments = _arguments()
    tasks = [task for task in TASKS if task.name in (arguments.tasks or [t.name for t in TASKS])]
    end = monotonic() + arguments.seconds
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedMongo(in_memory=True))
        client = stack.enter_context(MongoClient(server.uri))
        prepare_server(client)
        workers = [
            stack.enter_context(worker)
            for library in dict.fromkeys([_BASELINE, *arguments.libraries])
            if (worker := _started(library, server)) is not None
        ]
        results = []
        for number, task in enumerate(tasks):
            seconds = (end - monotonic()) / (len(tasks) - number)
            results.append(
                measure(task, workers, client, seconds=seconds, documents=arguments.documents)
            )
            _print_line(results[-1])
    print(_summary(results, [worker.library for worker in workers]))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.odm",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument(
        "--seconds", type=float, default=300.0, help="about how long it takes in all (300)"
    )
    parser.add_argument(
        "--tasks",
        nargs="+",
        choices=[task.name for task in TASKS],
        metavar="NAME",
        help="only these: " + ", ".join(task.name for task in TASKS),
    )
    parser.add_argument(
        "--libraries",
        nargs="+",
        choices=list(LIBRARIES),
        default=_USUAL,
        metavar="NAME",
        help="only these, besides PyMongo: " + ", ".join(LIBRARIES),
    )
    parser.add_argument(
        "--documents",
        type=int,
        help="documents of an iteration; otherwise as many as there is time for, at most 10,000",
    )
    return parser.parse_args()


def _started(library: str, server: EmbeddedMongo) -> Worker | None:
    worker = Worker(library, sys.executable, server.uri_for(library))
    if "unavailable" in worker.description:
        print(f"without {library}: {worker.description['unavailable']}", file=sys.stderr)
        worker.close()
        return None
    return worker


def _print_line(measured: Measured) -> None:
    baseline = measured.seconds[_BASELINE]
    shown = "  ".join(
        f"{library} {figures.median(seconds) * 1e6 / measured.documents:.0f} µs "
        f"({figures.share(baseline, seconds):.2f})"
        for library, seconds in measured.seconds.items()
    )
    print(
        f"{measured.task.name} ({len(baseline)} x {measured.documents}): {shown}",
        file=sys.stderr,
        flush=True,
    )


def _summary(results: Sequence[Measured], libraries: Sequence[str]) -> str:
    shares = {
        measured.task.title: {
            library: figures.share(measured.seconds[_BASELINE], seconds)
            for library, seconds in measured.seconds.items()
        }
        for measured in results
    }
    return figures.table(shares, libraries)


if __name__ == "__main__":
    sys.exit(main())
