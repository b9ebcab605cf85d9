"""What a run leaves behind: every iteration's time, what was measured, and on which machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from benchmarks.odm import data, figures
from benchmarks.odm.measuring import Measured

__all__ = ["content", "machine", "processor_times", "renewed", "shares", "summary"]


def content(
    results: Sequence[Measured],
    libraries: Mapping[str, Mapping[str, Any]],
    at_work: Mapping[str, Any],
    baseline: str,
) -> dict[str, Any]:
    """The JSON of a run. Times are in seconds for one iteration of ``documents`` documents."""
    return {
        "benchmark": "MongoDB ODM Performance Benchmark 1.0",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "documents_from": data.source(),
        "machine": dict(at_work),
        "libraries": {name: dict(versions) for name, versions in libraries.items()},
        "tasks": [_task(measured, baseline) for measured in results],
    }


def shares(run: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Each library's share of the baseline, by the task's title, from the JSON of a run."""
    return {
        task["title"]: {name: each["share"] for name, each in task["libraries"].items()}
        for task in run["tasks"]
    }


def processor_times(run: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The processor's time that each client took as a multiple of the baseline's, by the task's
    title, from the JSON of a run."""
    return {
        task["title"]: {name: each["processor_time"] for name, each in task["libraries"].items()}
        for task in run["tasks"]
    }


def summary(run: Mapping[str, Any]) -> str:
    """The table of a run, and what it was measured with."""
    versions = [
        f"{name} {version}"
        for described in run["libraries"].values()
        for name, version in described.items()
        if name != "bson_in_c"
    ]
    at_work = run["machine"]
    made = "MongoDB's" if run["documents_from"] == "mongodb" else "generated ones"
    return (
        f"{figures.table(shares(run), list(run['libraries']), processor_times(run))}\n\n"
        "In brackets: the client's processor time, as a multiple of PyMongo's. "
        f"Measured on {run['finished'][:10]}: {at_work['processor']} with "
        f"{at_work['processors']} processors, {at_work['system']}, "
        f"MongoDB {at_work['mongodb']}, "
        + ", ".join(dict.fromkeys(versions))
        + f". The documents are {made}."
    )


def renewed(page: str, text: str, name: str = "odm benchmark") -> str:
    """The page with ``text`` between the two marks of this name.

    Raises:
        ValueError: when it lacks them.
    """
    first, last = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the page has no {first} and {last}")
    return f"{before}{first}\n\n{text}\n\n{last}{after}"


def machine(client: MongoClient[dict[str, Any]]) -> dict[str, Any]:
    """The kind of machine, and the server's version."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "mongodb": client.server_info()["version"],
    }


def _task(measured: Measured, baseline: str) -> dict[str, Any]:
    task = measured.task
    megabytes = task.megabytes(measured.documents)
    return {
        "name": task.name,
        "title": task.title,
        "added": task.added,
        "documents": measured.documents,
        "megabytes": megabytes,
        "libraries": {
            library: {
                "share": figures.share(measured.seconds[baseline], seconds),
                "processor_time": figures.multiple(
                    measured.processor_seconds[baseline], measured.processor_seconds[library]
                ),
                "megabytes_a_second": figures.score(megabytes, seconds),
                "percentiles": figures.percentiles(seconds),
                "seconds": seconds,
                "processor_seconds": measured.processor_seconds[library],
                "choices": measured.choices.get(library, {}),
            }
            for library, seconds in measured.seconds.items()
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())
