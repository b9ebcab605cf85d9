"""A migration whose process is killed, at whatever moments, ends as if it had not been.

``DATALAYER_MIGRATION_KILLS=50`` kills as often in each direction; the suite does it three times.
``DATALAYER_MIGRATION_SEED`` repeats the moments of a run, as far as the machine does.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from paths import PROGRAMS

from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings

KILLS = int(os.environ.get("DATALAYER_MIGRATION_KILLS", "3"))
SEED = int(os.environ.get("DATALAYER_MIGRATION_SEED", "0")) or random.randrange(1, 10**6)
IS_LONG = KILLS > 3
DOCUMENTS = 400 if IS_LONG else 150


class Mortal:
    """Applies and undoes in processes that are killed."""

    def __init__(self, process: subprocess.Popen[str], settings: Settings) -> None:
        self._process = process
        self._uris = {alias: settings[alias].uri for alias in settings}

    def do(self, direction: str, run: str, seconds: float | None = None) -> Any:
        """How many seconds it took, or ``None`` where it was killed."""
        order = {"direction": direction, "run": run, "seconds": seconds, "uris": self._uris}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer != "failed"
        # As waiting for the end of the lease would, within no time; and for the end of what the
        # process has left open, which holds its documents.
        history = registry.connection("default").database.datalayer_migrations
        history.update_many({}, {"$set": {"until": None}})
        if not IS_LONG:
            registry.connection("default").client.admin.command("killAllSessions", [])
        return answer


@pytest.fixture
def mortal(database: Any, shared: Settings, mongod: EmbeddedMongo) -> Iterator[Mortal]:
    client = registry.connection("default").client
    # What a killed process leaves open would hold its documents for a minute.
    client.admin.command("setParameter", 1, transactionLifetimeLimitSeconds=1)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, PROGRAMS / "migrating.py"]
    with subprocess.Popen(command, text=True, **pipes) as child:
        yield Mortal(child, shared)
        assert child.stdin is not None
        child.stdin.close()
    client.admin.command("killAllSessions", [])
    client.admin.command("setParameter", 1, transactionLifetimeLimitSeconds=60)


def fill() -> None:
    database, logs = (registry.connection(one).database for one in ("default", "database1"))
    database.members.insert_many(
        {"_id": n, "name": f"n{n}", "number": n, "code": f"c{n}", "legacy": n, "visits": 0}
        for n in range(DOCUMENTS)
    )
    logs.logs.insert_many({"_id": n} for n in range(DOCUMENTS))


def digests() -> dict[str, str]:
    """Of all collections but datalayer's own, and of their indexes."""
    found = {}
    for alias in ("default", "database1"):
        database = registry.connection(alias).database
        for name in database.list_collection_names():
            if not name.startswith(("datalayer_", "system.")):
                documents = [sorted(each.items()) for each in database[name].find().sort("_id", 1)]
                parts = [documents, sorted(database[name].index_information())]
                found[f"{alias}.{name}"] = hashlib.sha256(repr(parts).encode()).hexdigest()
    return found


@pytest.mark.slow
def test_a_killed_migration_is_resumed_to_equal_digests(mortal: Mortal) -> None:
    moments = random.Random(SEED)
    print(f"DATALAYER_MIGRATION_SEED={SEED}")
    fill()
    begun = digests()
    seconds = mortal.do("apply", "first")
    applied = digests()
    assert applied != begun
    mortal.do("undo", "first back")
    undone = digests()
    logs = registry.connection("database1").database.logs
    assert logs.count_documents({"seen": []}) == DOCUMENTS  # all that is left of it
    killed = {"apply": 0, "undo": 0}
    number = 0
    while min(killed.values()) < KILLS:
        for direction, wanted in (("apply", applied), ("undo", undone)):
            number += 1
            run = f"run{number}"
            # Several times at one migration, each of them further on.
            while mortal.do(direction, run, moments.uniform(0, seconds)) is None:
                killed[direction] += 1
                if killed[direction] % 3 == 0:
                    mortal.do(direction, run)
                    break
            assert digests() == wanted
    print(f"{killed} kills in {number} runs")
