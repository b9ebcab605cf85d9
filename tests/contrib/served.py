"""What the tests of servers share: an environment for them, load, and what there is on MongoDB's
server afterwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError

import pytest
from bson import ObjectId
from pymongo import MongoClient
from running_servers import Running
from waiting import wait_until

SECONDS = 60.0
"""For whatever has to happen sooner or later."""
# Python 3.12 and later warn of every fork in a process with threads.
WARNINGS = "error,ignore:This process:DeprecationWarning"


def environment_for(uri: str, uri1: str) -> dict[str, str]:
    """Two databases, whose connections can be told from others by their application's name."""
    own = f"appName={ObjectId()}"
    return {
        variable: f"{text}{'&' if '?' in text else '?'}{own}"
        for variable, text in (("MONGODB_URI", uri), ("DATABASE1_URI", uri1))
    } | {"PYTHONWARNINGS": WARNINGS}


def connections_of(environment: Mapping[str, str]) -> int:
    """How many connections the server has with the processes of an environment."""
    uri, _, name = environment["MONGODB_URI"].rpartition("appName=")
    with MongoClient[dict[str, Any]](uri[:-1]) as client:
        found = client.admin.aggregate(
            [
                {"$currentOp": {"allUsers": True, "idleConnections": True}},
                {"$match": {"appName": name}},
            ]
        )
        return len(list(found))


def stored(environment: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """The ids of the documents written and of the events recorded, which are in the database."""
    found = []
    for variable, collection in (("MONGODB_URI", "deeds"), ("DATABASE1_URI", "traces")):
        uri = environment[variable].rpartition("appName=")[0][:-1]
        with MongoClient[dict[str, Any]](uri) as client:
            documents = client.get_default_database()[collection].find({}, {"_id": 1})
            found.append({str(document["_id"]) for document in documents})
    return found[0], found[1]


def assert_nothing_lost(reports: list[dict[str, Any]], environment: Mapping[str, str]) -> None:
    deeds, events = stored(environment)
    lost = {report["deed"] for report in reports} - deeds
    assert not lost, f"{len(lost)} of {len(reports)} acknowledged documents are lost"
    lost = {report["event"] for report in reports} - events
    assert not lost, f"{len(lost)} of {len(reports)} recorded events are lost"


def assert_answers_503_once(server: Running) -> None:
    """An answer that was replaced leaves no header of the first one."""
    with pytest.raises(HTTPError) as caught:
        server.ask("/away")
    with caught.value as answer:
        body = json.loads(answer.read())
    assert answer.code == 503
    assert answer.headers.get_all("Retry-After") == ["2"]
    assert len(answer.headers.get_all("Content-Length")) == 1
    assert body == {"error": "temporarily unavailable, please try again"}


class Load:
    """Threads that ask for ``/work``, again and again."""

    def __init__(self, server: Running) -> None:
        self.reports: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._server = server
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.reports.append(self._server.ask("/work"))
            except OSError as exc:
                self.errors.append(repr(exc))

    def wait_for(self, further: int) -> None:
        goal = len(self.reports) + further
        wait_until(lambda: len(self.reports) >= goal, SECONDS, f"no {further} more answers")

    def stop(self) -> None:
        self._stopping.set()


@contextmanager
def load(server: Running, number: int = 4) -> Iterator[Load]:
    made = Load(server)
    running = [threading.Thread(target=made.run) for _ in range(number)]
    for thread in running:
        thread.start()
    try:
        yield made
    finally:
        made.stop()
        for thread in running:
            thread.join()


def workers_of(server: Running, number: int) -> set[int]:
    """The process ids of a server's workers; waits until there are ``number`` of them that
    answer."""
    pids: set[int] = set()

    def all_answered() -> bool:
        # A worker that has ended in between shall not be counted.
        pids.clear()
        pids.update(server.ask("/state")["pid"] for _ in range(8 * number))
        return len(pids) == number

    wait_until(all_answered, SECONDS, f"there are no {number} workers")
    return set(pids)
