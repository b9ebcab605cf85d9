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

__all__ = ["content", "machine", "shares"]


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
                "megabytes_a_second": figures.score(megabytes, seconds),
                "percentiles": figures.percentiles(seconds),
                "seconds": seconds,
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
