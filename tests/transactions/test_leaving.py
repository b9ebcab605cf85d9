"""How a transaction is left: by Ctrl-C, through a generator, by what is called after the commit,
and too late."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from ledger import Account, Broken, names
from pymongo.client_session import ClientSession

from datalayer import db
from datalayer.errors import (
    DeadlineExceededError,
    PoolExhaustedError,
    TransactionError,
    UnavailableError,
)
from datalayer.settings import Settings
from datalayer.transactions import commit

LEAVING = [KeyboardInterrupt, SystemExit, GeneratorExit]


@pytest.mark.parametrize("leaving", LEAVING)
def test_who_leaves_from_inside_writes_nothing_and_is_not_held_up(
    databases: Settings, leaving: type[BaseException]
) -> None:
    account = Account(name="a")
    calls: list[int] = []

    @db.transactional
    def left() -> None:
        calls.append(1)
        account.save()
        with db.transaction():
            raise leaving

    with pytest.raises(leaving):
        left()
    assert (calls, names(), account.pk) == ([1], [], None)
    account.save()
    assert names() == ["a"]


def test_ctrl_c_in_an_inner_block_that_is_caught_rolls_back(databases: Settings) -> None:
    def inner() -> None:
        with db.transaction():
            Account(name="a").save()
            raise KeyboardInterrupt

    def outer() -> None:
        with db.transaction(), pytest.raises(KeyboardInterrupt):
            inner()

    with pytest.raises(TransactionError, match="KeyboardInterrupt"):
        outer()
    assert names() == []


# After the commit


@pytest.mark.parametrize("leaving", LEAVING)
def test_who_leaves_after_the_commit_leaves_it_done(
    databases: Settings, caplog: pytest.LogCaptureFixture, leaving: type[BaseException]
) -> None:
    calls: list[str] = []
    account = Account(name="a")

    def leave() -> None:
        raise leaving from UnavailableError("which alone would be a reason to do it again")

    @db.transactional
    def done() -> None:
        calls.append("function")
        account.save()
        db.on_commit(leave)
        db.on_commit(lambda: calls.append("after"))

    with pytest.raises(leaving):
        done()
    assert (calls, names()) == (["function"], ["a"])
    assert account.pk is not None
    told = [each for each in caplog.records if each.name == "datalayer.transactions"]
    assert [each.event for each in told] == ["on_commit_interrupted"]
    assert "1 functions" in told[0].getMessage()


def test_an_error_after_the_commit_runs_nothing_again(databases: Settings) -> None:
    calls: list[int] = []

    def unavailable() -> None:
        raise UnavailableError("away")

    @db.transactional
    def done() -> None:
        calls.append(1)
        Account(name="a").save()
        db.on_commit(unavailable)

    done()
    assert (calls, names()) == ([1], ["a"])


def test_a_function_called_after_the_commit_can_begin_a_transaction(databases: Settings) -> None:
    called: list[str] = []

    def further() -> None:
        with db.transaction():
            Account(name="b").save()
            db.on_commit(lambda: called.append("of the second"))
        db.on_commit(lambda: called.append("at once"))

    with db.transaction():
        Account(name="a").save()
        db.on_commit(further)
        db.on_commit(lambda: called.append("of the first"))
    assert (called, names()) == (["of the second", "at once", "of the first"], ["a", "b"])


def test_a_transaction_that_fails_after_the_commit_undoes_only_itself(
    databases: Settings,
) -> None:
    def failing() -> None:
        with db.transaction():
            Account(name="b").save()
            raise Broken

    with db.transaction():
        Account(name="a").save()
        db.on_commit(failing)
    assert names() == ["a"]


# Generators


def yielding_inside() -> Iterator[int]:
    with db.transaction():
        Account(name="inside").save()
        yield 1
        Account(name="afterwards").save()


def test_a_generator_that_is_closed_inside_is_rolled_back(databases: Settings) -> None:
    steps = yielding_inside()
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    Account(name="outside").save()
    assert names() == ["outside"]


def test_a_generator_that_ends_is_committed(databases: Settings) -> None:
    assert list(yielding_inside()) == [1]
    assert names() == ["afterwards", "inside"]


def test_a_generator_closed_in_another_thread_leaves_its_caller_outside(
    databases: Settings,
) -> None:
    steps = yielding_inside()
    errors: list[BaseException] = []

    def close() -> None:
        try:
            steps.close()  # type: ignore[attr-defined]
        except TransactionError as exc:
            errors.append(exc)

    def caller() -> None:
        next(steps)
        closing = threading.Thread(target=contextvars.Context().run, args=[close])
        contextvars.Context().run(closing.start)
        closing.join(60)
        Account(name="outside").save()
        db.on_commit(lambda: called.append(1))
        with db.transaction():
            Account(name="another").save()

    called: list[int] = []
    contextvars.copy_context().run(caller)
    assert [type(each) for each in errors] == [TransactionError]
    assert (called, names()) == ([1], ["another", "outside"])


def test_a_block_that_joined_a_generators_transaction_is_told_of_its_end(
    databases: Settings,
) -> None:
    steps = yielding_inside()
    next(steps)

    def joining() -> None:
        with db.transaction():
            Account(name="joined").save()
            steps.close()  # type: ignore[attr-defined]

    with pytest.raises(TransactionError, match="has ended before it"):
        joining()
    assert names() == []


async def asynchronous() -> None:
    raise AssertionError("must not run")


async def asynchronously_yielding() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    "function",
    [yielding_inside, asynchronous, asynchronously_yielding],
    ids=lambda each: each.__name__,
)
def test_what_runs_after_its_call_is_not_run_in_a_transaction(
    databases: Settings, function: Callable[..., Any]
) -> None:
    with pytest.raises(TransactionError, match=f"{function.__name__} is a generator or a cor"):
        db.transactional(function)()
    assert names() == []


def test_a_copy_of_the_context_works_after_the_end(databases: Settings) -> None:
    with db.transaction():
        copy = contextvars.copy_context()
        Account(name="inside").save()

    def later() -> None:
        Account(name="later").save()
        with db.transaction():
            Account(name="in another").save()

    copy.run(later)
    assert names() == ["in another", "inside", "later"]


# Time


def test_a_block_that_took_too_long_is_rolled_back_before_anything_is_committed(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [commit.monotonic()]
    account = Account(name="a")
    called: list[int] = []

    def late() -> None:
        with db.transaction(timeout=5):
            account.save()
            db.on_commit(lambda: called.append(1))
            now[0] += 6

    monkeypatch.setattr(commit, "monotonic", lambda: now[0])
    with pytest.raises(DeadlineExceededError, match="not done in 5 seconds"):
        late()
    assert (names(), account.pk, called) == ([], None, [])


def test_a_commit_that_gets_no_connection_writes_nothing(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(name="a")

    def exhausted(session: ClientSession) -> None:
        raise PoolExhaustedError("no connection became free")

    def block() -> None:
        with db.transaction():
            account.save()

    with monkeypatch.context() as patched:
        patched.setattr(ClientSession, "commit_transaction", exhausted)
        with pytest.raises(PoolExhaustedError):
            block()
    assert (names(), account.pk) == ([], None)
