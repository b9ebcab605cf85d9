"""gevent: patched in time all holds, in gunicorn's real workers; too late, it is refused."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from paths import PROGRAMS
from running_programs import python, report_of
from running_servers import running
from served import SECONDS, connections_of, environment_for, load, stored
from waiting import wait_until

from datalayer import Settings, db
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConfigurationError

pytestmark = pytest.mark.applications

pytest.importorskip("gevent", reason="there is no wheel of gevent for this platform")

WORKERS = 2
TOGETHER = 40
KINDS = {
    "as documented": (400, "gunicorn_hooks.py"),
    "preloaded": (100, "gevent_hooks.py"),
    "preloaded and connected": (100, "gevent_hooks.py"),
}
"""How many requests, and gunicorn's configuration."""


def gunicorn(configuration: str, *options: str) -> Callable[[int], list[str]]:
    def words(port: int) -> list[str]:
        line = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
        line += ["--config", configuration, "--worker-class", "gevent"]
        return [*line, "--workers", str(WORKERS), *options, "gevent_application:application"]

    return words


@pytest.fixture
def environment(mongod: EmbeddedMongo, database_name: str) -> dict[str, str]:
    found = environment_for(mongod.uri_for(database_name), mongod.uri_for(f"{database_name}_1"))
    return found | {
        # No errors of warnings: gevent warns that gunicorn imports ssl before the patch.
        "PYTHONWARNINGS": "ignore",
        # A machine under heavy load is no failure.
        "DATALAYER_PROFILE": "job",
        "MONGODB_WAIT_QUEUE_TIMEOUT_MS": "60000",
        "DATABASE1_WAIT_QUEUE_TIMEOUT_MS": "60000",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_requests_at_once_are_answered_and_what_they_left_is_stored(
    kind: str, environment: dict[str, str], tmp_path: Path
) -> None:
    if kind == "preloaded and connected":
        environment["CONNECT_AT_IMPORT"] = "yes"
    requests, configuration = KINDS[kind]
    with running(gunicorn(configuration), environment, tmp_path) as server:
        wait_until(lambda: server.answers("/state"), SECONDS, "gunicorn does not answer")
        with load(server, TOGETHER) as busy:
            busy.wait_for(requests)
        assert busy.errors == [], server.said[-5000:]
        server.stop()
        assert server.process.returncode == 0
        assert_stored(busy.reports, environment)
        wait_until(lambda: connections_of(environment) == 0, SECONDS, "connections stay open")


def test_nothing_is_lost_when_workers_are_replaced_under_load(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with running(gunicorn("gunicorn_hooks.py"), environment, tmp_path) as server:
        wait_until(lambda: server.answers("/state"), SECONDS, "gunicorn does not answer")
        with load(server, 8) as busy:
            busy.wait_for(50)
            before = {each["pid"] for each in busy.reports}
            server.process.send_signal(signal.SIGHUP)
            wait_until(
                lambda: not before & {each["pid"] for each in busy.reports[-20:]},
                SECONDS,
                "the workers were not replaced",
            )
        assert busy.errors == [], server.said[-5000:]
        server.stop()
        assert_stored(busy.reports, environment)


def assert_stored(reports: list[dict[str, Any]], environment: dict[str, str]) -> None:
    """All that was acknowledged, and nothing of the transactions that were taken back."""
    deeds = {deed for report in reports for deed in report["deeds"]}
    events = {event for report in reports for event in report["events"]}
    assert stored(environment)[0] == deeds
    # What the outbox held at the end waits for the next process.
    with db.connected(settings_of(environment)):
        db.outbox.deliver()
    assert stored(environment)[1] == events


def settings_of(environment: dict[str, str]) -> Settings:
    return Settings(
        databases={
            "default": environment["MONGODB_URI"],
            "database1": environment["DATABASE1_URI"],
        }
    )


def test_an_application_loaded_before_the_patch_does_not_boot_and_gunicorn_says_what_to_do(
    environment: dict[str, str], tmp_path: Path
) -> None:
    words = gunicorn("gunicorn_hooks.py", "--preload", "--workers", "1")
    with running(words, environment, tmp_path) as server:
        wait_until(lambda: server.process.poll() is not None, SECONDS, "gunicorn does not end")
        assert server.process.returncode == 3
        assert "monkey.patch_all()` before all other imports" in server.said
        assert "gunicorn.conf.py" in server.said


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("pymongo", "after pymongo or datalayer was imported"),
        ("datalayer", "after pymongo or datalayer was imported"),
        ("part", "without queue"),
        ("hooks", "connected"),
    ],
)
def test_connecting_is_refused_where_the_patch_came_late_or_in_part(
    case: str, told: str, environment: dict[str, str]
) -> None:
    assert told in report_of("gevent_late.py", environment, case)


def test_eventlet_is_refused(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    patcher = SimpleNamespace(is_monkey_patched=lambda name: name == "thread")
    monkeypatch.setitem(sys.modules, "eventlet.patcher", patcher)
    with pytest.raises(ConfigurationError, match="eventlet"):
        db.connect_all(Settings(databases={"default": uri, "database1": uri}))


def test_gevent_that_has_patched_nothing_is_no_matter(
    monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkey = SimpleNamespace(is_module_patched=lambda name: False)
    monkeypatch.setitem(sys.modules, "gevent.monkey", monkey)
    with db.connected(Settings(databases={"default": uri, "database1": f"{uri}_1"})):
        assert db.database.is_connected


def test_transactions_deadlines_and_aliases_of_a_greenlet_are_its_own(
    environment: dict[str, str],
) -> None:
    assert report_of("gevent_greenlets.py", environment, "apart") == {
        "from outside": [[0], [0, 1, 2]],
        "from inside": [0, 1],
        "own deadline": "exceeded",
        "after all": [[0, 1, 2, 2], [2, 2]],
    }


def test_a_crowd_of_greenlets_shares_a_small_pool_and_a_deadline_ends_a_wait_for_it(
    environment: dict[str, str],
) -> None:
    assert report_of("gevent_greenlets.py", environment, "crowded") == {
        "written": 199,
        "stored": 200,
        "waited": True,
        "ended by": "its deadline, while it waited for a connection",
        "held meanwhile": 2,
        "waiting at the end": 0,
    }


def test_work_that_outlasts_its_grace_is_interrupted_in_its_greenlet(
    environment: dict[str, str],
) -> None:
    assert report_of("gevent_greenlets.py", environment, "interrupted") == {"exit code": 143}


def test_a_forked_child_leaves_the_outbox_to_its_parent(environment: dict[str, str]) -> None:
    # What gevent tells on standard error, of greenlets that end in a child, is of no interest.
    words = ("gevent_greenlets.py", "forked")
    done = python(*words, cwd=PROGRAMS, environment=environment, check=True)
    assert json.loads(done.stdout) == {"child delivers": False, "documents": [1, 2]}
