"""MongoDB's ODM benchmark for Python: how fast each library is, as a share of PyMongo with dicts.

    python -m benchmarks.odm [--seconds 720] [--tasks NAME ...] [--libraries NAME ...]
                             [--documents N] [--environments DIRECTORY]
                             [--json FILE] [--svg FILE] [--page FILE]

Each library works in a process of its own; they take turns, iteration by iteration, against one
private server with its files in memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

from pymongo import MongoClient

from benchmarks.odm import figures, report
from benchmarks.odm.environments import python_for
from benchmarks.odm.measuring import Measured, measure, prepare_server
from benchmarks.odm.plot import plot
from benchmarks.odm.tasks import BEST_BATCH, TASKS
from benchmarks.odm.worker import LIBRARIES
from benchmarks.odm.workers import Worker
from datalayer.embedded import EmbeddedMongo

_BASELINE = "pymongo"
_USUAL = (BEST_BATCH, "mongoengine", "datalayer", "django", "bunnet")


def main() -> int:
    arguments = _arguments()
    # Before the clock starts: making them may take a minute.
    pythons = _pythons(arguments.libraries, arguments.environments)
    end = monotonic() + arguments.seconds
    chosen = [task for task in TASKS if not arguments.tasks or task.name in arguments.tasks]
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedMongo(in_memory=True))
        client = stack.enter_context(MongoClient(server.uri))
        prepare_server(client)
        workers = []
        for library, python in pythons.items():
            worker = stack.enter_context(Worker(library, python, server.uri_for(library)))
            if "unavailable" in worker.description:
                print(f"without {library}: {worker.description['unavailable']}", file=sys.stderr)
            else:
                workers.append(worker)
        results = []
        for number, task in enumerate(chosen):
            parts = sum(each.weight for each in chosen[number:])
            measured = measure(
                task,
                [worker for worker in workers if task.suits(worker.library)],
                client,
                seconds=(end - monotonic()) * task.weight / parts,
                documents=arguments.documents,
            )
            results.append(measured)
            _print_line(measured)
        descriptions = {worker.library: worker.description for worker in workers}
        machine = report.machine(client)
    content = report.content(results, descriptions, machine, _BASELINE)
    print(report.summary(content))
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if arguments.svg:
        libraries = [library for library in descriptions if library != BEST_BATCH]
        drawn = plot(report.shares(content), libraries)
        arguments.svg.write_text(drawn, encoding="utf-8")
    if arguments.page:
        page = report.renewed(arguments.page.read_text(encoding="utf-8"), report.summary(content))
        arguments.page.write_text(page, encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    names, libraries = [task.name for task in TASKS], list(LIBRARIES)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.odm", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--seconds", type=float, default=720.0, help="about how long it takes in all (720)")
    add(
        "--tasks",
        nargs="+",
        choices=names,
        metavar="NAME",
        help="only these: " + ", ".join(names),
    )
    add(
        "--libraries",
        nargs="+",
        choices=libraries,
        default=_USUAL,
        metavar="NAME",
        help="only these, besides pymongo: " + ", ".join(libraries),
    )
    add(
        "--documents",
        type=int,
        help="documents of an iteration; without it as many as there is time for, at most 10,000",
    )
    add(
        "--environments",
        type=Path,
        default=Path(".benchmarks"),
        help="where the libraries' virtual environments are, and are made (.benchmarks)",
    )
    add("--json", type=Path, help="write all figures to this file")
    add("--svg", type=Path, help="draw the shares into this file")
    add("--page", type=Path, help="put the table between the two marks of this page")
    return parser.parse_args()


def _pythons(libraries: list[str], directory: Path) -> dict[str, Path]:
    pythons = {}
    for library in dict.fromkeys([_BASELINE, *libraries]):
        try:
            pythons[library] = python_for(library, directory)
        except (OSError, subprocess.CalledProcessError) as exc:
            print(f"without {library}: {exc}", file=sys.stderr)
    return pythons


def _print_line(measured: Measured) -> None:
    baseline, processor = measured.seconds[_BASELINE], measured.processor_seconds
    shown = "  ".join(
        f"{library} {figures.median(seconds) * 1e6 / measured.documents:.1f} µs "
        f"({figures.share(baseline, seconds):.2f}, "
        f"processor {figures.multiple(processor[_BASELINE], processor[library]):.2f})"
        for library, seconds in measured.seconds.items()
    )
    line = f"{measured.task.name} ({len(baseline)} x {measured.documents}): {shown}"
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
