"""Does a migration that is killed at random moments end as one that isn't?

    python benchmarks/migrations_killed.py --kills 50 --documents 20000

`datalayer migrations apply` and `undo` run in processes that get SIGKILL at a random moment, again
and again until each has ended by itself; then every document is compared with what the same
migrations leave without a kill. Updates that may not happen twice (`$inc`) are among them. Private
server; the lease is a second long, so that the next one doesn't wait for half a minute.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bson
from pymongo import MongoClient

from datalayer.embedded import EmbeddedMongo

PROGRAM = """
import sys
from datalayer.cli import main
from datalayer.migrations import api
api.LEASE_SECONDS = 1.0
sys.exit(main(sys.argv[1:]))
"""
FIRST = """
def apply(m):
    m.rename_field("lamps", "label", "name")
    m.update("lamps", {}, {"$inc": {"times": 1}})
    m.set_default("lamps", "colour", "white")
    m.convert("lamps", "watts", float)


def undo(m):
    m.convert("lamps", "watts", int)
    m.remove_field("lamps", "colour")
    m.update("lamps", {}, {"$inc": {"times": -1}})
    m.rename_field("lamps", "name", "label")
"""
SECOND = """
transaction = ("default",)


def apply(m):
    m.update("switches", {}, {"$inc": {"times": 1}})


def undo(m):
    m.update("switches", {}, {"$inc": {"times": -1}})
"""


def fill(database: Any, documents: int) -> None:
    database.lamps.insert_many(
        {"_id": number, "label": f"Lamp {number}", "watts": number % 100, "times": 0}
        for number in range(documents)
    )
    database.switches.insert_many({"_id": number, "times": 0} for number in range(200))


def digest(database: Any) -> str:
    """Of all documents, whatever the order of their fields."""
    found = hashlib.sha256()
    for name in ("lamps", "switches"):
        for document in database[name].find().sort("_id"):
            found.update(bson.encode(dict(sorted(document.items()))))
    return found.hexdigest()


class Runs:
    """Runs the command, killed or not."""

    def __init__(self, folder: Path, uri: str) -> None:
        self._folder = folder
        self._environ = {**os.environ, "MONGODB_URI": uri, "DATABASE1_URI": f"{uri}_1"}
        self.kills = 0

    def run(self, verb: str, killed_after: float | None) -> float | None:
        """How many seconds it took; ``None`` where it was killed."""
        words = [sys.executable, "-c", PROGRAM, "migrations", verb, "--yes", "--wait", "30"]
        words += ["--to", "0"] if verb == "undo" else []
        began = time.monotonic()
        with subprocess.Popen(
            words, cwd=self._folder, env=self._environ, stderr=subprocess.PIPE, text=True,
            stdout=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                _, said = process.communicate(timeout=killed_after)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                self.kills += 1
                return None
        if process.returncode:
            sys.exit(f"{verb} ended with {process.returncode}:\n{said}")
        return time.monotonic() - began


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--documents", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    given = options.parse_args()
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place, EmbeddedMongo() as server:
        folder = Path(place)
        (folder / "migrations").mkdir()
        (folder / "migrations" / "0001_lamps.py").write_text(FIRST)
        (folder / "migrations" / "0002_switches.py").write_text(SECOND)
        uri = server.uri_for("killed")
        runs = Runs(folder, uri)
        with MongoClient[Any](uri) as client:
            database = client.get_default_database()
            # What a killed process leaves open would hold its documents for a minute.
            client.admin.command("setParameter", 1, transactionLifetimeLimitSeconds=2)
            fill(database, given.documents)
            wanted, took = {}, {}
            for verb in ("apply", "undo"):
                took[verb] = runs.run(verb, None) or 0.0
                wanted[verb] = digest(database)
            wrong = rounds = 0
            while runs.kills < given.kills:
                for verb in ("apply", "undo"):
                    # A part of them before anything is done, and a part while the next waits.
                    while runs.run(verb, chance.uniform(0.2, took[verb])) is None:
                        pass
                    wrong += digest(database) != wanted[verb]
                    rounds += 1
    print(
        f"seed {given.seed}: {runs.kills} kills in {rounds} runs of apply or undo over "
        f"{given.documents:,} documents; {wrong} of them ended otherwise than without a kill"
    )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
