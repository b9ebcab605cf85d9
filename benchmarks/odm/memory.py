"""How much memory a document takes that was loaded, and one whose field was read too.

    python -m benchmarks.odm.memory [--documents 100000] [--page FILE]

Each library loads the same documents, in a process of its own, and holds them: by how much has
the process grown? Of the nested documents, which are 20 times as large, there are a twentieth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from benchmarks.odm import report
from benchmarks.odm.measuring import fill
from benchmarks.odm.tasks import Kind
from benchmarks.odm.workers import Worker
from datalayer.embedded import EmbeddedMongo

__all__ = ["table"]

_LIBRARIES = ("pymongo", "mongoengine", "datalayer")
_KINDS: dict[Kind, int] = {"small": 1, "nested": 20}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.odm.memory", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--documents", type=int, default=100_000, help="small ones (100,000)")
    parser.add_argument("--page", type=Path, help="put the table between the marks of this page")
    arguments = parser.parse_args()
    answers: dict[str, dict[str, dict[str, Any]]] = {}
    with EmbeddedMongo(in_memory=True) as server:
        for kind, part in _KINDS.items():
            with MongoClient[dict[str, Any]](server.uri_for("memory")) as client:
                documents = max(arguments.documents // part, 1)
                fill(client.get_default_database(), kind, documents)
            answers[kind] = {
                library: _held(library, server.uri_for("memory"), kind) for library in _LIBRARIES
            }
    shown = table(answers)
    print(shown)
    if arguments.page:
        page = report.renewed(arguments.page.read_text(encoding="utf-8"), shown, "memory")
        arguments.page.write_text(page, encoding="utf-8")
    return 0


def table(answers: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    """A Markdown table of bytes a document, from the workers' answers by kind and library."""
    lines = [
        "| bytes each | PyMongo's dicts | MongoEngine | datalayer | datalayer / MongoEngine |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind, held in answers.items():
        for moment, title in (("loaded", "loaded"), ("read", "a field read")):
            each = {name: answer[moment] / answer["documents"] for name, answer in held.items()}
            cells = [f"{each[library]:,.0f}" for library in _LIBRARIES]
            cells.append(f"{each['datalayer'] / each['mongoengine']:.2f}")
            lines.append(f"| {kind}: {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _held(library: str, uri: str, kind: Kind) -> dict[str, Any]:
    with Worker(library, sys.executable, uri) as worker:
        return worker.ask("hold", kind=kind)


if __name__ == "__main__":
    sys.exit(main())
