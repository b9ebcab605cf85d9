"""A runner that is killed, at whatever moment, leaves nothing that resuming or taking back does
not put right."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moving import Databases, change, messages, nonzero, raw
from paths import PROGRAMS, TESTS

from datalayer import transfer

PROGRAM = PROGRAMS / "transferring.py"
COUNT = 60
STRIDE = 4  # every fourth command is enough: the kinds begin at different ones


class Mortal:
    """Runs transfers in processes that are killed."""

    def __init__(self, process: subprocess.Popen[str], databases: Databases) -> None:
        self.process = process
        self.databases = databases

    def do(self, verb: str, end_at: int | None, answered: bool = False, **options: Any) -> Any:
        """The number of write commands that it took, or ``None`` where it was killed."""
        settings = self.databases.settings
        order = {
            "verb": verb,
            "uris": {alias: settings[alias].uri for alias in settings},
            "options": options,
            "end_at": end_at,
            "answered": answered,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def process() -> Iterator[subprocess.Popen[str]]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(
        [sys.executable, PROGRAM], text=True, cwd=TESTS / "transfer", **pipes
    ) as child:
        yield child
        assert child.stdin is not None
        child.stdin.close()


@pytest.fixture
def mortal(process: subprocess.Popen[str], databases: Databases) -> Mortal:
    return Mortal(process, databases)


def options(target: str, **more: Any) -> dict[str, Any]:
    return {
        "source": "default",
        "target": target,
        "collections": ["messages"],
        "batch_size": 25,
        **more,
    }


def prepared(databases: Databases, target: str, *, occupied: bool) -> None:
    databases.empty()
    databases.fill(COUNT)
    if occupied:
        databases[target].messages.insert_many(
            [{"_id": each["_id"], "mine": 1} for each in messages(10, 20)]
        )


def until_it_gets_through(run: Callable[[int], Any], start: int, stride: int) -> Iterator[None]:
    """After each kill by ``run``, at every ``stride``-th command.

    How many commands there are differs from run to run: leases are renewed and progress is noted
    as time goes by, and changes come together or one by one.
    """
    for end_at in itertools.count(start, stride):
        if (answer := run(end_at)) is not None:
            assert answer != "failed"
            assert end_at > start
            return
        yield


def let_the_lease_run_out(databases: Databases, target: str) -> None:
    """As waiting for it would, within no time."""
    databases[target].datalayer_transfers.update_one({"_id": "t"}, {"$set": {"until": None}})


KINDS = {
    "copy between clusters": options("archive"),
    "copy by the server": options("database1", method="merge"),
    "move between clusters": options("archive", move=True),
    "move by the server": options("database1", move=True, method="merge"),
    "replace": options("archive", conflicts="replace"),
    "move that reshapes": options("archive", move=True, transform="moving:shouted"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "answered"),
    [*((kind, False) for kind in KINDS), ("move between clusters", True)],
    ids=[*KINDS, "move between clusters, after the answer"],
)
def test_a_killed_run_is_resumed_to_equal_digests(
    mortal: Mortal, databases: Databases, kind: str, answered: bool
) -> None:
    chosen = KINDS[kind]
    target, occupied = chosen["target"], chosen.get("conflicts") == "replace"
    prepared(databases, target, occupied=occupied)
    before = databases.state()
    mortal.do("run", None, **chosen)
    wanted = databases.state()

    def run(end_at: int) -> Any:
        prepared(databases, target, occupied=occupied)
        return mortal.do("run", end_at, answered, **chosen)

    for _ in until_it_gets_through(run, list(KINDS).index(kind) % STRIDE, STRIDE):
        if databases[target].datalayer_transfers.find_one({"_id": "t"}) is None:
            assert databases.state() == before
            continue
        let_the_lease_run_out(databases, target)
        report = transfer.resume("t")
        assert (report.state, nonzero(report)) == ("done", {})
        assert databases.state() == wanted
        transfer.rollback("t")
        assert databases.state() == before
        assert databases.left_beside() == []


@pytest.mark.slow
@pytest.mark.parametrize("move", [False, True], ids=["copy", "move"])
def test_a_killed_follower_is_resumed_to_equal_digests(
    mortal: Mortal, databases: Databases, move: bool
) -> None:
    chosen = options("archive", follow=True, move=move)
    prepared(databases, "archive", occupied=False)
    mortal.do("run", None, **chosen)
    wanted = databases.state()
    assert wanted["archive"]["messages"][0] == 55

    def run(end_at: int) -> Any:
        prepared(databases, "archive", occupied=False)
        return mortal.do("run", end_at, **chosen)

    for _ in until_it_gets_through(run, int(move), 2 * STRIDE):
        stored = databases["archive"].datalayer_transfers.find_one({"_id": "t"})
        if stored is None:
            continue
        let_the_lease_run_out(databases, "archive")
        if "cut_over" in stored["progress"]:
            report = transfer.resume("t")
        else:
            change(databases["default"].messages)
            report = transfer.cut_over("t")
        assert (report.state, nonzero(report)) == ("done", {})
        assert databases.state() == wanted
        transfer.rollback("t")
        assert databases.state()["archive"] == {}
        assert databases["default"].messages.count_documents({}) == 55
        assert databases.left_beside() == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["move between clusters", "replace", "move that reshapes"])
def test_a_killed_rollback_is_rolled_back_to_the_end(
    mortal: Mortal, databases: Databases, kind: str
) -> None:
    chosen = KINDS[kind]
    target, occupied = chosen["target"], chosen.get("conflicts") == "replace"
    prepared(databases, target, occupied=occupied)
    before = databases.state()

    def run(end_at: int) -> Any:
        prepared(databases, target, occupied=occupied)
        mortal.do("run", None, **chosen)
        return mortal.do("rollback", end_at)

    for _ in until_it_gets_through(run, 1, STRIDE - 1):
        let_the_lease_run_out(databases, target)
        assert transfer.rollback("t").state == "rolled_back"
        assert databases.state() == before
        assert databases.left_beside() == []


def test_a_lease_of_a_dead_runner_runs_out_by_itself(mortal: Mortal, databases: Databases) -> None:
    prepared(databases, "archive", occupied=False)
    assert mortal.do("run", 8, **options("archive", lease_seconds=0.6)) is None
    report = transfer.resume("t", wait_seconds=20)
    assert report.state == "done"
    assert raw(databases["archive"].messages) == raw(databases["default"].messages)
