"""Blocks that end elsewhere than they began, or out of order, as those in generators do: nothing
of them is left, and what is still open holds."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pymongo
import pytest
from fresh_databases import connected, model_registry
from mongoengine import IntField, StringField
from pymongo import _csot
from pymongo.synchronous.client_session import _SESSION

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError, TransactionError
from datalayer.routing import alias_for, read_preference_for
from datalayer.settings import Settings


class Parcel(Document):
    number = IntField()
    place = StringField()


@pytest.fixture(scope="module")
def shared(mongod: EmbeddedMongo) -> Iterator[None]:
    aliases = ("default", "archive", "tenant")
    uris = {alias: mongod.uri_for(f"test_blocks_{alias}") for alias in aliases}
    with model_registry(Parcel), connected(Settings(databases=uris)):
        yield


@pytest.fixture(autouse=True)
def empty(shared: None) -> None:
    Parcel.objects.delete()


Block = Callable[[], AbstractContextManager[Any]]


def state() -> tuple[object, ...]:
    """Everything that a block may leave in a context."""
    connection = registry.connection("default")
    return (
        alias_for(Parcel),
        read_preference_for(Parcel, connection),
        (_csot.TIMEOUT.get(), _csot.DEADLINE.get()),
        _SESSION.get(),
    )


def look() -> tuple[object, ...]:
    """The state as the next operation finds it."""
    Parcel.objects.count()
    return state()


def suspended(block: Block) -> Iterator[int]:
    with block():
        yield 1
        yield 2


BLOCKS: dict[str, Block] = {
    "using": lambda: db.using(default="archive"),
    "read_from": lambda: db.read_from("secondaryPreferred", max_lag=60),
    "deadline": lambda: db.deadline(60),
    "session": db.session,
    "transaction": db.transaction,
}
each_block = pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())


def in_a_thread(call: Callable[[], object]) -> list[BaseException]:
    """Run ``call`` in a thread that knows nothing of this context; datalayer's errors."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except DataLayerError as exc:
            errors.append(exc)

    thread = threading.Thread(target=run)
    contextvars.Context().run(thread.start)
    thread.join()
    return errors


@each_block
def test_one_that_another_thread_closes_leaves_nothing(block: Block) -> None:
    before = state()
    steps: Any = suspended(block)
    next(steps)
    errors = in_a_thread(steps.close)
    assert [type(each) for each in errors] == ([TransactionError] if is_transaction(block) else [])
    assert look() == before


@each_block
def test_one_that_ends_in_another_thread_leaves_nothing(block: Block) -> None:
    before = state()
    steps: Any = suspended(block)
    next(steps)
    in_a_thread(lambda: list(steps))
    assert look() == before


@each_block
def test_one_that_a_copy_of_the_context_closes_leaves_nothing(block: Block) -> None:
    before = state()
    steps: Any = suspended(block)
    next(steps)
    copy = contextvars.copy_context()
    errors = in_a_thread(lambda: copy.run(steps.close))
    assert len(errors) == is_transaction(block)
    assert (look(), copy.run(look)) == (before, before)


@each_block
def test_one_that_the_collector_closes_leaves_nothing(
    block: Block, recwarn: pytest.WarningsRecorder
) -> None:
    before = state()
    steps: Any = suspended(block)
    next(steps)
    kept = [steps]
    kept.append(kept)  # a cycle, which waits for the collector
    del steps, kept
    in_a_thread(gc.collect) if not is_transaction(block) else gc.collect()
    assert look() == before


@pytest.mark.parametrize("name", ["deadline", "session", "transaction"])
def test_a_copy_from_inside_is_free_after_the_end(name: str) -> None:
    before = state()
    with BLOCKS[name]():
        copy = contextvars.copy_context()
    assert copy.run(look) == before


@pytest.mark.parametrize("name", ["using", "read_from"])
def test_a_copy_from_inside_goes_on_where_it_was_sent(name: str) -> None:
    """Work that a request hands on to a thread or a task stays with the request's database."""
    with BLOCKS[name]():
        copy, inside = contextvars.copy_context(), state()
    assert (copy.run(look), state() == inside) == (inside, False)


CROSSING = [each for each in BLOCKS if each not in ("session", "transaction")]


@pytest.mark.parametrize("second", CROSSING)
@pytest.mark.parametrize("first", CROSSING)
def test_two_that_end_in_the_order_of_their_beginnings_leave_nothing(
    first: str, second: str
) -> None:
    """As two generators of a ``zip`` do."""
    before = state()
    for _ in zip(suspended(BLOCKS[first]), suspended(BLOCKS[second]), strict=False):
        pass
    assert look() == before


def test_of_two_that_cross_the_second_holds_until_its_end() -> None:
    first: Any = suspended(lambda: db.using(default="archive"))
    second: Any = suspended(lambda: db.using(archive="tenant", default="tenant"))
    next(first), next(second)
    first.close()
    assert alias_for(Parcel) == "tenant"
    second.close()
    assert alias_for(Parcel) == "default"


def test_what_one_inside_did_not_say_ends_with_the_one_around_it() -> None:
    first: Any = suspended(lambda: db.using(default="archive"))
    second: Any = suspended(lambda: db.using(archive="tenant"))
    next(first), next(second)
    assert alias_for(Parcel) == "archive"
    first.close()
    assert alias_for(Parcel) == "default"
    second.close()


def test_a_deadline_that_ends_late_puts_back_none_that_is_over() -> None:
    first: Any = suspended(lambda: db.deadline(60))
    second: Any = suspended(lambda: db.deadline(90))
    next(first), next(second)
    first.close()
    assert _csot.TIMEOUT.get() == 90
    second.close()
    assert _csot.TIMEOUT.get() is None


def test_the_drivers_own_deadline_inside_is_left_to_its_end() -> None:
    steps: Any = suspended(lambda: db.deadline(60))
    next(steps)
    with pymongo.timeout(30):
        in_a_thread(steps.close)
        Parcel.objects.count()
        assert _csot.TIMEOUT.get() == 30
    Parcel.objects.count()
    assert _csot.TIMEOUT.get() is None


def test_a_deadline_inside_another_has_no_more_time() -> None:
    with db.deadline(60):
        outer = _csot.DEADLINE.get()
        with db.deadline(90):
            assert _csot.DEADLINE.get() == outer
        assert _csot.TIMEOUT.get() == 60
    assert _csot.TIMEOUT.get() is None


# Where a suspended generator is the block of a with statement, or of a fixture


@contextmanager
def archived() -> Iterator[None]:
    with db.using(default="archive"):
        yield


@pytest.fixture
def archive() -> Iterator[None]:
    with db.using(default="archive"):
        yield


def test_a_context_manager_of_ones_own_holds_for_its_block() -> None:
    with archived():
        assert alias_for(Parcel) == "archive"
    with ExitStack() as stack:
        stack.enter_context(archived())
        assert alias_for(Parcel) == "archive"
    assert alias_for(Parcel) == "default"


def test_a_fixture_holds_for_its_test(archive: None) -> None:
    assert alias_for(Parcel) == "archive"


def test_as_a_decorator_it_holds_for_the_function() -> None:
    @archived()
    def function() -> str:
        return alias_for(Parcel)

    @db.using(default="archive")
    def directly() -> str:
        return alias_for(Parcel)

    assert (function(), directly(), alias_for(Parcel)) == ("archive", "archive", "default")


def test_an_asynchronous_generator_that_the_loop_closes_leaves_nothing() -> None:
    async def numbers() -> AsyncIterator[int]:
        with db.using(default="archive"):
            yield 1
            yield 2

    async def main() -> str:
        steps = numbers()
        await anext(steps)
        del steps
        gc.collect()
        await asyncio.sleep(0)  # the loop closes it in a task of its own
        await asyncio.sleep(0)
        return alias_for(Parcel)

    assert asyncio.run(main()) == "default"


def is_transaction(block: Block) -> bool:
    return block is BLOCKS["transaction"]
