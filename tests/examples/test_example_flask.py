"""The Flask example: its own tests, its one command, and gunicorn under load while the primary of
its replica set is killed."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from paths import EXAMPLES
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern
from running_programs import python
from running_servers import Running, running
from waiting import wait_until

from datalayer.embedded import EmbeddedMongo

EXAMPLE = EXAMPLES / "flask_app"
WORKERS = 4
PATIENCE_SECONDS = 90.0
STRAGGLING_SECONDS = 3.0
"""How long after the election a request may still be told 503: one that found its server gone, on
a machine that is busy."""

pytestmark = [pytest.mark.applications, pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_example_s_own_tests_pass_side_by_side() -> None:
    words = ["-q", "-n", "2", "-p", "no:cacheprovider"]
    done = python("-m", "pytest", *words, str(EXAMPLE))
    assert done.returncode == 0, done.stdout


def test_one_command_serves_it_with_sample_data(tmp_path: Path) -> None:
    def words(port: int) -> list[str]:
        return [sys.executable, str(EXAMPLE / "serve.py"), "--port", str(port)]

    with running(words, {}, tmp_path) as server:
        wait_until(lambda: is_ready(server), PATIENCE_SECONDS, "it is ready")
        visitor = Visitor(server)
        assert "Portable typewriter" in visitor.get("/").text
        form = {"email": "ada@example.org", "password": "a-sample-password"}
        assert visitor.post("/sign-in", form).status == 201
        assert visitor.get("/status").status == 200
        server.stop()
    assert server.process.returncode == 0, server.said


# Under load


@dataclass(frozen=True)
class Reply:
    """What came back, and when it was asked for and came."""

    status: int
    headers: Mapping[str, str]
    text: str
    began: float
    ended: float

    @property
    def id(self) -> ObjectId:
        return ObjectId(json.loads(self.text)["id"])


class Visitor:
    """Somebody with a browser: it keeps its cookies."""

    def __init__(self, server: Running) -> None:
        self._at = f"http://127.0.0.1:{server.port}"
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> Reply:
        return self._ask(urllib.request.Request(self._at + path))

    def post(self, path: str, document: Mapping[str, Any]) -> Reply:
        body = json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        return self._ask(urllib.request.Request(self._at + path, body, headers))

    def sign_up(self, name: str) -> Reply:
        account = {"email": f"{name}@example.org", "password": f"{name}-password"}
        return self.post("/sign-up", {**account, "display_name": name})

    def _ask(self, request: urllib.request.Request) -> Reply:
        began = time.monotonic()
        try:
            with self._opener.open(request, timeout=PATIENCE_SECONDS) as answer:
                text = answer.read().decode()
                return Reply(answer.status, answer.headers, text, began, time.monotonic())
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
                return Reply(error.code, error.headers, text, began, time.monotonic())


Deed = Callable[[Visitor, str], Reply]
"""Does something once for a key: done again with the same key, it is the same thing."""


@dataclass
class Load:
    """Threads, one for each deed: a visitor does it again and again, each time with another key,
    and sends what is answered with 503 once more."""

    server: Running
    deeds: Mapping[str, Deed]
    replies: list[tuple[str, str, Reply]] = field(default_factory=list)
    """Of which thread, for which key."""
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._work, args=each) for each in self.deeds.items()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS)
                assert not thread.is_alive(), "a visitor waits for ever"

    def _work(self, name: str, deed: Deed) -> None:
        visitor = Visitor(self.server)
        visitor.sign_up(name)
        for number in count():
            status = 503
            while status == 503:  # also when it is to stop: nothing is left half-done
                reply = deed(visitor, f"{name}-{number}")
                self.replies.append((name, f"{name}-{number}", reply))
                status = reply.status
                if status == 503:
                    time.sleep(float(reply.headers["Retry-After"]))
            if self._stop.is_set():
                return

    def succeed(self, times: int) -> None:
        """Wait until each thread has succeeded so many more times."""
        since = time.monotonic()

        def enough() -> bool:
            new = Counter(name for name, reply in self.acknowledged() if reply.began > since)
            return all(new[name] >= times for name in self.deeds)

        wait_until(enough, PATIENCE_SECONDS, f"everybody succeeds, beside {self.statuses()}")

    def acknowledged(self, kind: str = "") -> list[tuple[str, Reply]]:
        """Those that were done, of the threads whose names begin with ``kind``."""
        return [
            (name, reply)
            for name, _, reply in list(self.replies)
            if reply.status == 201 and name.startswith(kind)
        ]

    def statuses(self) -> dict[int, int]:
        return dict(Counter(reply.status for _, _, reply in list(self.replies)))

    def refused(self) -> list[Reply]:
        return [reply for _, _, reply in self.replies if reply.status == 503]


def gunicorn(port: int) -> list[str]:
    line = ["-m", "gunicorn", "--chdir", str(EXAMPLE), "--bind", f"127.0.0.1:{port}"]
    line += ["--workers", str(WORKERS), "--threads", "4", "--timeout", "60"]
    return [sys.executable, *line, "flea_market:create_app()"]


def is_ready(server: Running) -> bool:
    assert server.process.poll() is None, server.said
    try:
        return Visitor(server).get("/readyz").status == 200
    except OSError:
        return False


def workers_of(server: Running) -> set[str]:
    pid = server.process.pid
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


@pytest.fixture
def environment(replset: EmbeddedMongo) -> dict[str, str]:
    name = f"flea_market_{os.urandom(4).hex()}"
    return {
        "MONGODB_URI": replset.uri_for(name),
        "DATABASE1_URI": replset.uri_for(f"{name}_1"),
        "FLEA_MARKET_SECRET_KEY": "test",
    }


@contextmanager
def served(environment: Mapping[str, str], directory: Path) -> Iterator[tuple[Running, str]]:
    """The market in gunicorn, and the page where its one offer is bought."""
    with running(gunicorn, environment, directory) as server:
        wait_until(lambda: is_ready(server), PATIENCE_SECONDS, "it is ready")
        ada = Visitor(server)
        ada.sign_up("ada")
        offer = {"title": "Lamp", "body": "Green.", "category": "light"}
        made = ada.post("/offers", {**offer, "price": "12.50", "currency": "EUR"})
        assert made.status == 201, server.said
        yield server, f"/offers/{made.id}/buy"
        server.stop()


def buying(page: str) -> Deed:
    def click_twice(visitor: Visitor, key: str) -> Reply:
        first = visitor.post(page, {"payment_key": key})
        return first if first.status != 201 else visitor.post(page, {"payment_key": key})

    return click_twice


def signing_up(visitor: Visitor, key: str) -> Reply:
    return visitor.sign_up(key)


def talking_to(other: ObjectId) -> Deed:
    def talk(visitor: Visitor, key: str) -> Reply:
        chat = visitor.post(f"/chats/with/{other}", {})
        return chat if chat.status != 201 else visitor.post(f"/chats/{chat.id}", {"text": key})

    return talk


def kill_the_primary(replset: EmbeddedMongo, load: Load) -> tuple[float, float]:
    """While ``load`` is at work; when it was killed and when there was another."""
    with load.at_work():
        load.succeed(3)
        killed = time.monotonic()
        replset.kill(replset.primary)
        replset.wait_for_primary()
        elected = time.monotonic()
        load.succeed(3)
    return killed, elected


def database(client: MongoClient[dict[str, Any]]) -> Any:
    """As a majority of the members knows it."""
    return client.get_default_database(read_concern=ReadConcern("majority"))


def lost(load: Load, environment: Mapping[str, str]) -> dict[str, set[ObjectId]]:
    """What visitors were told is done, and isn't there."""
    kinds = {"visitor": "users", "chat": "chat_messages", "buyer": "transactions"}
    with MongoClient[dict[str, Any]](environment["MONGODB_URI"]) as client:
        stored = database(client)
        return {
            kind: {reply.id for _, reply in load.acknowledged(kind)}
            - {each["_id"] for each in stored[name].find({}, {"_id": 1})}
            for kind, name in kinds.items()
        }


def payments_and_forms(load: Load, environment: Mapping[str, str]) -> tuple[int, int]:
    """How many payments there are, and how many forms buyers have filled in."""
    forms = {key for name, key, _ in load.replies if name.startswith("buyer")}
    with MongoClient[dict[str, Any]](environment["MONGODB_URI"]) as client:
        return database(client)["transactions"].count_documents({}), len(forms)


def statuses_of(load: Load, environment: Mapping[str, str]) -> set[str]:
    """Of the payments that buyers were told are made."""
    with MongoClient[dict[str, Any]](environment["MONGODB_URI"]) as client:
        payments = database(client)["transactions"]
        told = [reply.id for _, reply in load.acknowledged("buyer")]
        return set(payments.distinct("status", {"_id": {"$in": told}}))


def outside_the_election(load: Load, killed: float, elected: float) -> list[Reply]:
    return [
        reply
        for reply in load.refused()
        if reply.ended < killed or reply.began > elected + STRAGGLING_SECONDS
    ]


def test_a_killed_primary_loses_nothing_and_nobody_pays_twice(
    replset: EmbeddedMongo, environment: dict[str, str], tmp_path: Path
) -> None:
    with served(environment, tmp_path) as (server, page):
        other = Visitor(server).sign_up("clara").id
        deeds: dict[str, Deed] = {f"buyer{number}": buying(page) for number in range(3)}
        deeds |= {f"chat{number}": talking_to(other) for number in range(3)}
        deeds |= {f"visitor{number}": signing_up for number in range(2)}
        load, before = Load(server, deeds), workers_of(server)
        killed, elected = kill_the_primary(replset, load)
        after = workers_of(server)
    assert set(load.statuses()) <= {201, 503}, server.said
    assert lost(load, environment) == {"visitor": set(), "chat": set(), "buyer": set()}
    payments, forms = payments_and_forms(load, environment)
    assert payments == forms
    assert statuses_of(load, environment) == {"captured"}
    assert outside_the_election(load, killed, elected) == []
    assert (len(before), after) == (WORKERS, before)


def test_requests_that_may_not_wait_for_the_election_are_told_to_come_again(
    replset: EmbeddedMongo, environment: dict[str, str], tmp_path: Path
) -> None:
    environment["MONGODB_OPERATION_TIMEOUT_MS"] = "500"
    with served(environment, tmp_path) as (server, page):
        load = Load(server, {f"buyer{number}": buying(page) for number in range(4)})
        killed, elected = kill_the_primary(replset, load)
    assert set(load.statuses()) == {201, 503}, server.said
    assert outside_the_election(load, killed, elected) == []
    assert lost(load, environment)["buyer"] == set()
    payments, forms = payments_and_forms(load, environment)
    assert payments == forms
    assert statuses_of(load, environment) == {"captured"}
