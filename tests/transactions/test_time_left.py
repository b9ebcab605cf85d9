"""A transaction that has no time left is rolled back, never committed with an unknown outcome."""

from __future__ import annotations

from contextlib import AbstractContextManager
from time import monotonic

import pytest
from faulty_proxy import FaultyProxy
from ledger import Account, names
from observing import error_of
from places import Place
from pymongo import _csot
from pymongo.client_session import ClientSession
from pymongo.errors import ServerSelectionTimeoutError

from datalayer import db
from datalayer.context import deadlines
from datalayer.errors import DeadlineExceededError, OutcomeUnknownError, UnavailableError
from datalayer.settings import Settings
from datalayer.transactions import commit


def no_time_for_the_commit(
    seconds: float, *, whatever_is_around: bool = False
) -> AbstractContextManager[float]:
    left = seconds if whatever_is_around else 1e-9
    return deadlines.deadline(left, whatever_is_around=whatever_is_around)


def assert_nothing_holds(account: Account) -> None:
    """A transaction that is still open would hold up a write of what it has written."""
    with db.deadline(10):
        account.update(inc__balance=1)


def test_a_commit_that_is_not_sent_for_want_of_time_wrote_nothing(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, new, called = Account(name="stored").save(), Account(name="new"), []

    def late() -> None:
        with db.transaction(timeout=5):
            stored.update(inc__balance=10)
            new.save()
            db.on_commit(lambda: called.append(1))

    with monkeypatch.context() as patched:
        patched.setattr(commit, "deadline", no_time_for_the_commit)
        with pytest.raises(DeadlineExceededError, match="nothing was written"):
            late()
    assert_nothing_holds(stored)
    assert (names(), new.pk, called) == (["stored"], None, [])


def test_what_is_left_must_be_enough_for_a_commit(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed: list[ClientSession] = []

    def late() -> None:
        with db.transaction(timeout=5) as begun:
            Account(name="a").save()
            monkeypatch.setattr(commit, "monotonic", lambda: begun.ends - 0.05)

    monkeypatch.setattr(ClientSession, "commit_transaction", committed.append)
    with pytest.raises(DeadlineExceededError, match="not done in 5 seconds"):
        late()
    monkeypatch.undo()
    assert (names(), committed) == ([], [])


def test_a_deadline_around_counts_as_the_transactions_own(databases: Settings) -> None:
    stored = Account(name="stored").save()

    def late() -> None:
        with db.deadline(30), db.transaction(timeout=60) as begun:
            assert begun.ends < monotonic() + 31
            stored.update(inc__balance=10)
            _csot.DEADLINE.set(monotonic() - 1)
            stored.reload()

    with pytest.raises(DeadlineExceededError):
        late()
    assert_nothing_holds(stored)
    assert Account.objects.get().balance == 1


def test_a_function_that_took_too_long_is_not_run_again(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    @db.transactional(timeout=5)
    def late() -> None:
        calls.append(1)
        Account(name="a").save()

    monkeypatch.setattr(commit, "deadline", no_time_for_the_commit)
    with pytest.raises(DeadlineExceededError):
        late()
    monkeypatch.undo()
    assert (calls, names()) == ([1], [])


def test_a_commit_for_which_no_server_is_found_can_be_done_again(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, account = ClientSession.commit_transaction, Account(name="a")
    calls: list[int] = []

    def nobody(session: ClientSession) -> None:
        if len(calls) > 1:
            return commit(session)
        error = ServerSelectionTimeoutError("nobody")
        error._add_error_label("UnknownTransactionCommitResult")
        raise error

    @db.transactional
    def function() -> None:
        calls.append(1)
        account.save()

    monkeypatch.setattr(ClientSession, "commit_transaction", nobody)
    function()
    monkeypatch.undo()
    assert (calls, names()) == ([1, 1], ["a"])


def test_without_a_server_for_the_commit_the_block_is_told_that_nothing_was_written(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(session: ClientSession) -> None:
        raise ServerSelectionTimeoutError("nobody")

    def block() -> None:
        with db.transaction():
            Account(name="a").save()

    monkeypatch.setattr(ClientSession, "commit_transaction", nobody)
    with pytest.raises(UnavailableError, match="nothing was written"):
        block()
    monkeypatch.undo()
    assert names() == []


def test_a_commit_that_was_sent_and_got_no_reply_stays_unknown(place: Place, apart: str) -> None:
    with (
        FaultyProxy(place.primary) as proxy,
        db.connected(Settings(databases={"default": place.through(proxy, apart)})),
    ):
        Account(name="a").save()
        proxy.swallow_reply("commitTransaction", times=1000, cut=False)

        def block() -> None:
            with db.transaction(timeout=1):
                Account(name="b").save()

        assert isinstance(error_of(block), OutcomeUnknownError)
        proxy.restore()
