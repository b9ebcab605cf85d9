"""A process that is forked inside a transaction has none: it is its parent's, who goes on."""

from __future__ import annotations

import contextlib
import contextvars
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ledger import Account, Broken, Event, Plain, names
from places import PLAIN, Place
from pymongo import MongoClient

from datalayer import db, transactions
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError, UnavailableError
from datalayer.settings import Settings
from datalayer.transactions import state

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


@pytest.fixture(scope="module")
def place(mongod: EmbeddedMongo) -> Place:
    """One kind of place is enough: it is about processes, and each child connects anew."""
    return Place(mongod, PLAIN)


def in_a_child(call: Callable[[], object]) -> str:
    """What ``call`` gives in a forked child, or the name and text of the error it raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(call, writing)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def _said_of(error: BaseException) -> str:
    return f"{type(error).__name__}: {getattr(error, 'message', error)}"


def _answer(call: Callable[[], object], writing: int) -> None:
    try:
        said = str(call())
    except BaseException as exc:
        said = _said_of(exc)
    finally:
        os.write(writing, said.encode())
        os._exit(0)


class Child:
    """A child that is forked in the middle of a block, and what it says after having left it."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        self.pid: int | None = None

    def fork(self) -> bool:
        """Whether this is the child."""
        self.pid = os.fork()
        return self.pid == 0

    def said(self, leave: Callable[[], object]) -> str:
        """Run ``leave``, which forks; the child ends with it."""
        try:
            leave()
        except BaseException as exc:
            if self.pid != 0:
                raise
            os.write(self._writing, _said_of(exc).encode())
        if self.pid == 0:
            os._exit(0)
        os.close(self._writing)
        with os.fdopen(self._reading) as answer:
            return answer.read()

    def ended(self) -> None:
        """Wait for its end, without reaping it."""
        assert self.pid is not None
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)


def test_a_child_that_leaves_the_block_normally_commits_nothing_and_is_told(
    databases: Settings,
) -> None:
    child, called = Child(), []

    def block() -> None:
        with db.transaction():
            Account(name="before").save()
            db.on_commit(lambda: called.append(os.getpid()))
            if not child.fork():
                child.ended()
                Account(name="after").save()

    said = child.said(block)
    assert said.startswith("TransactionError: this process was forked inside a transaction")
    assert (names(), called) == (["after", "before"], [os.getpid()])


@pytest.mark.parametrize("leaving", [Broken, SystemExit, KeyboardInterrupt])
def test_a_child_that_leaves_the_block_by_an_error_aborts_nothing(
    databases: Settings, leaving: type[BaseException]
) -> None:
    child = Child()

    def block() -> None:
        with db.transaction():
            Account(name="before").save()
            if child.fork():
                raise leaving("of the child")
            child.ended()
            Account(name="after").save()

    assert child.said(block) == f"{leaving.__name__}: of the child"
    assert names() == ["after", "before"]


def test_documents_of_a_child_that_leaves_stay_as_they_are(databases: Settings) -> None:
    """The parent may commit: what seemed new again would be written a second time."""
    child, account = Child(), Account(name="before")

    def block() -> None:
        with contextlib.suppress(Broken), db.transaction():
            account.save()
            if child.fork():
                raise Broken
            child.ended()
        if child.pid == 0:
            raise Broken(account.pk is not None)

    assert child.said(block) == "Broken: True"


@pytest.mark.parametrize(
    "use",
    [
        lambda: Account(name="child").save(),
        lambda: list(Account.objects),
        lambda: Plain(name="child").save(),
        lambda: db.database.client[db.database.name].account.insert_one({"name": "child"}),
        lambda: db.on_commit(list),
    ],
    ids=["save", "read", "plain", "raw", "on_commit"],
)
def test_a_child_inside_is_refused_in_the_transactions_databases(
    databases: Settings, use: Callable[[], object]
) -> None:
    with db.transaction():
        Account(name="before").save()
        said = in_a_child(use)
        Account(name="after").save()
    assert said.startswith("TransactionError: this process was forked inside a transaction on 'd")
    assert names() == ["after", "before"]


def test_a_child_inside_has_no_transaction_and_works_in_other_databases(
    databases: Settings,
) -> None:
    with db.transaction():
        Account(name="before").save()
        said = [
            in_a_child(transactions.current),
            in_a_child(lambda: Event(number=1).save().number),
        ]
    assert (said, names()) == (["None", "1"], ["before"])


def test_a_child_inside_can_have_a_transaction_of_its_own(databases: Settings) -> None:
    @db.transactional
    def own() -> str:
        Account(name="child").save()
        return "committed"

    def broken() -> None:
        with db.transaction():
            Account(name="before").save()
            assert in_a_child(own) == "committed"
            raise Broken

    with pytest.raises(Broken):
        broken()
    assert names() == ["child"]


def test_a_function_is_not_run_again_in_a_child_that_was_forked_inside(
    databases: Settings,
) -> None:
    child, runs = Child(), []

    @db.transactional
    def function() -> None:
        runs.append(os.getpid())
        Account(name=f"run {len(runs)}").save()
        if child.fork():
            raise UnavailableError("of the child")
        child.ended()

    assert child.said(function) == "UnavailableError: of the child"
    assert names() == ["run 1"]


def test_a_repeatable_function_is_not_run_again_in_a_child(databases: Settings) -> None:
    child, runs = Child(), []

    @db.retry
    def function() -> None:
        runs.append(1)
        if child.fork():
            raise UnavailableError(f"run {len(runs)}")
        child.ended()

    assert child.said(function) == "UnavailableError: run 1"


def test_a_child_that_ran_no_fork_handlers_has_none_either(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.transaction() as begun:
        Account(name="inside").save()
        with monkeypatch.context() as forked:
            forked.setattr(begun.flow, "_mark", [False])
            assert transactions.current() is None
    assert names() == ["inside"]


def test_a_generator_that_a_child_drops_ends_nothing(databases: Settings) -> None:
    def yielding() -> Iterator[int]:
        with db.transaction():
            Account(name="inside").save()
            yield 1
            Account(name="after").save()

    steps: Any = yielding()
    next(steps)
    assert in_a_child(steps.close) == "None"
    assert list(steps) == []
    assert names() == ["after", "inside"]


def test_a_block_that_joined_is_told_in_the_child(databases: Settings) -> None:
    child = Child()

    def joining() -> None:
        with db.transaction():
            child.fork()

    def block() -> None:
        with db.transaction():
            Account(name="inside").save()
            try:
                joining()
            except DataLayerError:
                if child.pid == 0:
                    raise Broken("told") from None
                raise
            child.ended()

    assert child.said(block) == "Broken: told"
    assert names() == ["inside"]


def test_a_subprocess_and_what_it_runs_first_disturb_nothing(databases: Settings) -> None:
    with db.transaction():
        Account(name="inside").save()
        subprocess.run([sys.executable, "-c", ""], check=True, preexec_fn=transactions.current)
    assert names() == ["inside"]


def test_a_session_is_left_to_the_parent(databases: Settings) -> None:
    with db.session():
        Account(name="before").save()
        assert in_a_child(lambda: Account(name="child").save().name) == "child"
        assert names() == ["before", "child"]


# Processes of multiprocessing, which never come back to the block


def worker(calls: Any, answers: Any) -> None:
    for name in iter(calls.get, None):
        try:
            Account(name=name).save()
        except DataLayerError as exc:
            answers.put(type(exc).__name__)
        else:
            answers.put("saved")


@pytest.fixture
def fork() -> Any:
    return multiprocessing.get_context("fork")


def test_a_worker_forked_inside_is_refused_until_the_end_and_works_afterwards(
    databases: Settings, fork: Any
) -> None:
    calls, answers = fork.SimpleQueue(), fork.SimpleQueue()
    process = fork.Process(target=worker, args=(calls, answers))
    with db.transaction():
        Account(name="before").save()
        process.start()
        calls.put("inside")
        inside = answers.get()
        Account(name="after").save()
    calls.put("worker")
    outside = answers.get()
    calls.put(None)
    process.join()
    assert (inside, outside, process.exitcode) == ("TransactionError", "saved", 0)
    assert names() == ["after", "before", "worker"]


def test_a_worker_whose_parent_was_killed_waits_no_longer_than_the_transactions_time(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.transaction(timeout=5) as begun:
        ends = begun.ends
        begun.tell_children()
        begun.leave_behind()
        over = [begun.is_over]
        monkeypatch.setattr(state, "monotonic", lambda: ends + 1)
        over.append(begun.is_over)
        monkeypatch.undo()
    assert over == [False, True]


def test_the_servers_know_of_no_abort_and_no_end_of_the_session(
    databases: Settings,
) -> None:
    child = Child()
    counted: list[int] = []

    def aborts() -> int:
        with MongoClient[dict[str, Any]](databases["default"].uri.partition("&")[0]) as client:
            status = client.admin.command("serverStatus")
            return int(status["metrics"]["commands"]["abortTransaction"]["total"])

    def elsewhere() -> None:
        counted.append(aborts())

    def block() -> None:
        with db.transaction():
            Account(name="inside").save()
            beside(elsewhere)
            if child.fork():
                raise Broken
            child.ended()
            beside(elsewhere)

    child.said(block)
    assert counted[0] == counted[1]


def beside(call: Callable[[], object]) -> None:
    """Run ``call`` in a thread that was not started inside."""
    thread = threading.Thread(target=call)
    contextvars.Context().run(thread.start)
    thread.join()
