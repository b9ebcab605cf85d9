"""``read_ahead()``: the next batch comes while the present one is used, and nothing of it is left
when the iteration ends."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pytest
from fresh_databases import connected, model_registry, settings_for
from mongoengine.fields import IntField, StringField
from observing import SentCommands, commands_sent
from pymongo.errors import OperationFailure
from waiting import wait_until

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import BusinessDocument
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConfigurationError, DeadlineExceededError, NotConnectedError

COUNT, FIRST = 3_000, 101
with model_registry():

    class Page(BusinessDocument):
        n = IntField()
        text = StringField()

        meta = {"collection": "pages_ahead", "ordering": ["_id"]}


@pytest.fixture(scope="module")
def listener(shared_replset: EmbeddedMongo) -> Iterator[SentCommands]:
    with commands_sent() as heard, model_registry(Page), connected(settings_for(shared_replset)):
        Page.objects.insert([Page(n=n, text="x" * 900) for n in range(COUNT)])
        yield heard


@pytest.fixture(autouse=True)
def sent(listener: SentCommands) -> Iterator[SentCommands]:
    listener.clear()
    yield listener
    wait_until(lambda: not threads(), 10, "the threads did not end")


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "datalayer-read-ahead"]


def open_cursors() -> int:
    """How many the server keeps for the pages."""
    stages: list[dict[str, Any]] = [
        {"$currentOp": {"idleCursors": True}},
        {"$match": {"type": "idleCursor", "ns": Page._get_collection().full_name}},
    ]
    client = registry.connection("default").client
    return len(list(client.admin.aggregate(stages)))


@contextmanager
def get_more(**fault: Any) -> Iterator[None]:
    """Let the server fail what asks for further batches."""
    client = registry.connection("default").client
    data = {"failCommands": ["getMore"], **fault}
    client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
    try:
        yield
    finally:
        client.admin.command("configureFailPoint", "failCommand", mode="off")


def read_until_it_fails(kind: type[Exception]) -> tuple[list[int], Any]:
    found: list[int] = []
    with pytest.raises(kind) as raised:
        found.extend(page.n for page in Page.objects.read_ahead())
    return found, raised.value


# What it gives


def test_all_documents_come_in_their_order() -> None:
    assert [page.n for page in Page.objects.read_ahead()] == list(range(COUNT))


def test_each_iteration_reads_anew() -> None:
    pages = Page.objects.read_ahead()
    assert [len(list(pages)), len(list(pages))] == [COUNT, COUNT]


@pytest.mark.parametrize("order", ["before", "after"])
def test_refinements_are_heard_before_and_after(order: str) -> None:
    pages = Page.objects(n__lt=900).read_ahead().order_by("-n").limit(700)
    if order == "before":
        pages = Page.objects(n__lt=900).order_by("-n").limit(700).read_ahead()
    assert [page.n for page in pages] == list(range(899, 199, -1))
    assert pages._reads_ahead


def test_dictionaries_and_single_values_come_too() -> None:
    assert [page["n"] for page in Page.objects.as_pymongo().read_ahead()] == list(range(COUNT))
    assert list(Page.objects.scalar("n").read_ahead()) == list(range(COUNT))


def test_the_next_batch_is_asked_for_while_the_first_is_used(sent: SentCommands) -> None:
    pages = iter(Page.objects.read_ahead())
    next(pages)
    wait_until(lambda: sent.names == ["find", "getMore"])
    assert len(list(islice(pages, FIRST - 1))) == FIRST - 1
    assert sent.names == ["find", "getMore"]


def test_what_fits_into_one_batch_takes_no_thread() -> None:
    pages = iter(Page.objects(n__lt=50).read_ahead())
    next(pages)
    assert threads() == []
    assert len(list(pages)) == 49


def test_sixteen_threads_read_at_once() -> None:
    def read(_: int) -> list[int]:
        return [page.n for page in Page.objects.read_ahead()]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(read, range(16))) == [list(range(COUNT))] * 16


def test_it_goes_on_where_db_using_has_led_it() -> None:
    with db.using(default="database1"):
        Page.objects.delete()
        Page.objects.insert([Page(n=-n) for n in range(300)])
        pages = iter(Page.objects.read_ahead())
        next(pages)
    assert [page.n for page in pages] == [-n for n in range(1, 300)]


# Its end


def test_an_iteration_that_is_closed_leaves_no_thread_and_no_cursor() -> None:
    pages: Any = iter(Page.objects.read_ahead())
    next(pages)
    pages.close()
    assert (threads(), open_cursors()) == ([], 0)


def test_nor_does_one_that_is_forgotten() -> None:
    pages = iter(Page.objects.read_ahead())
    next(pages)
    del pages
    gc.collect()
    assert (threads(), open_cursors()) == ([], 0)


def test_nor_does_one_whose_loop_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        [page.n / 0 for page in Page.objects.read_ahead()]
    gc.collect()
    wait_until(lambda: (threads(), open_cursors()) == ([], 0))


def test_nor_does_one_that_was_read_to_its_end() -> None:
    assert len(list(Page.objects.read_ahead())) == COUNT
    assert (threads(), open_cursors()) == ([], 0)


def status_of_child(pages: Iterator[Any]) -> int:
    """0 where a forked child has read to the end, 1 where it was told that it can't go on."""
    child = os.fork()
    if not child:
        try:
            list(pages)
        except ConfigurationError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_can_not_go_on_and_the_parent_can() -> None:
    pages = iter(Page.objects.read_ahead())
    next(pages)
    assert status_of_child(pages) == 1
    assert len(list(pages)) == COUNT - 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_reads_what_had_come_already() -> None:
    pages = iter(Page.objects(n__lt=50).read_ahead())
    next(pages)
    assert status_of_child(pages) == 0


# Errors, deadlines, transactions


def test_an_error_of_the_server_is_raised_after_what_came_before_it() -> None:
    with get_more(errorCode=2):
        found, error = read_until_it_fails(OperationFailure)
    assert error.code == 2
    assert found == list(range(FIRST))


def test_a_database_that_is_disconnected_meanwhile_is_told() -> None:
    settings = registry.connection("database1").settings
    with db.using(default="database1"):
        Page.objects.delete()
        Page.objects.insert([Page(n=n, text="x" * 20_000) for n in range(400)])
        pages = iter(Page.objects.read_ahead())
        next(pages)
    db.database1.disconnect()
    try:
        with pytest.raises(NotConnectedError):
            list(pages)
    finally:
        db.database1.connect(settings)


def test_a_deadline_around_the_loop_holds() -> None:
    with get_more(blockConnection=True, blockTimeMS=2_000), db.deadline(0.5):
        found, _ = read_until_it_fails(DeadlineExceededError)
    assert found == list(range(FIRST))


def test_a_deadline_around_a_part_of_it_holds_for_that_part() -> None:
    with get_more(blockConnection=True, blockTimeMS=2_000):
        pages = iter(Page.objects.read_ahead())
        assert len(list(islice(pages, FIRST))) == FIRST
        with pytest.raises(DeadlineExceededError), db.deadline(0.1):
            next(pages)


def test_a_deadline_that_has_passed_since_does_not_stop_it() -> None:
    with db.deadline(0.5):
        pages = iter(Page.objects.read_ahead())
        next(pages)
        wait_until(lambda: not _remains(), what="the deadline did not pass")
    assert len(list(pages)) == COUNT - 1


def _remains() -> bool:
    try:
        Page.objects.first()
    except DeadlineExceededError:
        return False
    return True


@pytest.mark.parametrize("block", [db.transaction, lambda: db.session("default")])
def test_inside_transactions_and_sessions_each_batch_is_read_when_it_is_needed(
    sent: SentCommands, block: Any
) -> None:
    with block():
        pages = iter(Page.objects.read_ahead())
        assert len(list(islice(pages, FIRST))) == FIRST
        assert threads() == []
        assert "getMore" not in sent.names
        assert len(list(pages)) == COUNT - FIRST


def test_begun_outside_a_transaction_it_goes_on_inside() -> None:
    pages = iter(Page.objects.read_ahead())
    next(pages)
    with db.transaction():
        assert len(list(pages)) == COUNT - 1
