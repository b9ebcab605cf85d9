"""Decorators refuse functions whose body runs after the call, when they would be over."""

# ruff: noqa: PLW0108 - a lambda that gives a generator is another case than its function
from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any

import pytest
from fresh_databases import connected, model_registry
from mongoengine import IntField

from datalayer import db
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConfigurationError, TransactionError
from datalayer.settings import Settings


class Step(Document):
    number = IntField()


@pytest.fixture(scope="module")
def databases(mongod: EmbeddedMongo) -> Iterator[None]:
    uris = {alias: mongod.uri_for(f"test_deco_{alias}") for alias in ("default", "archive")}
    with model_registry(Step), connected(Settings(databases=uris)):
        yield


def generator() -> Iterator[int]:
    Step(number=1).save()
    yield 1


async def coroutine() -> None:
    Step(number=1).save()


async def asynchronous_generator() -> AsyncIterator[int]:
    Step(number=1).save()
    yield 1


class Calling:
    def __call__(self) -> Iterator[int]:
        yield from generator()

    def method(self) -> Iterator[int]:
        yield from generator()


class CallingLater:
    async def __call__(self) -> None:
        await coroutine()


class Awaitable:
    def __await__(self) -> Iterator[Any]:
        yield from generator()


# By what they are
KNOWN: dict[str, Callable[[], Any]] = {
    "generator": generator,
    "coroutine": coroutine,
    "asynchronous generator": asynchronous_generator,
    "partial": functools.partial(generator),
    "partial of a partial": functools.partial(functools.partial(coroutine)),
    "object": Calling(),
    "object that is awaited": CallingLater(),
    "partial of an object": functools.partial(Calling()),
    "method": Calling().method,
    "static method": staticmethod(generator),
}
# By what they give
GIVING: dict[str, Callable[[], Any]] = {
    "generator": lambda: generator(),
    "expression": lambda: (Step(number=each).save() for each in range(1)),
    "coroutine": lambda: coroutine(),
    "asynchronous generator": lambda: asynchronous_generator(),
    "awaitable": lambda: Awaitable(),
    "context manager": contextmanager(generator),
    "asynchronous context manager": asynccontextmanager(asynchronous_generator),
}  # fmt: skip
ALL = {**KNOWN, **{f"gives {name}": function for name, function in GIVING.items()}}
each_of_all = pytest.mark.parametrize("function", ALL.values(), ids=ALL.keys())


@each_of_all
@pytest.mark.parametrize("arguments", [{}, {"attempts": 2}], ids=["plain", "with arguments"])
def test_a_transaction_is_refused(
    databases: None, function: Callable[[], Any], arguments: dict[str, int]
) -> None:
    decorated = db.transactional(**arguments)(function)
    with pytest.raises(TransactionError, match="runs after the call"):
        decorated()
    assert len(Step.objects) == 0


@each_of_all
def test_inside_a_transaction_it_is_refused_too(
    databases: None, function: Callable[[], Any]
) -> None:
    def block() -> None:
        with db.transaction():
            db.transactional(function)()

    with pytest.raises(TransactionError, match="runs after the call"):
        block()
    assert len(Step.objects) == 0


@each_of_all
def test_running_again_is_refused(databases: None, function: Callable[[], Any]) -> None:
    with pytest.raises(ConfigurationError, match="never run again"):
        db.retry(function)()
    assert len(Step.objects) == 0


BLOCKS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "using": lambda: db.using(default="archive"),
    "read_from": lambda: db.read_from("secondaryPreferred"),
    "deadline": lambda: db.deadline(60),
    "session": db.session,
    "transaction": db.transaction,
}


@each_of_all
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_a_block_is_refused(
    databases: None,
    block: Callable[[], AbstractContextManager[Any]],
    function: Callable[[], Any],
) -> None:
    decorator: Any = block()
    with pytest.raises(ConfigurationError, match="write the with block into its body"):
        decorator(function)()
    assert len(Step.objects) == 0


@pytest.mark.parametrize(
    "decorate",
    [db.transactional, db.retry, lambda function: db.using(default="archive")(function)],
    ids=["transactional", "retry", "using"],
)
@pytest.mark.parametrize(
    "function",
    [
        lambda: 1,
        functools.partial(int, "1"),
        functools.partial(max, [1]),
        type("One", (), {"__call__": lambda self: 1})(),
    ],
    ids=["function", "partial of a class", "partial", "object"],
)
def test_what_is_done_when_it_returns_runs(
    databases: None, decorate: Callable[[Any], Any], function: Callable[[], Any]
) -> None:
    assert decorate(function)() == 1


@pytest.mark.parametrize("function", [generator, coroutine], ids=lambda each: each.__name__)
def test_a_block_is_refused_before_the_first_call(
    databases: None, function: Callable[[], Any]
) -> None:
    decorator: Any = db.using(default="archive")
    with pytest.raises(ConfigurationError):
        decorator(function)


def test_a_block_inside_a_coroutine_works(databases: None) -> None:
    async def asynchronous() -> int:
        with db.using(default="archive"):
            await asyncio.sleep(0)
            return len(Step.objects)

    assert asyncio.run(asynchronous()) == 0


@pytest.mark.parametrize("function", [generator, coroutine], ids=lambda each: each.__name__)
def test_a_function_for_after_the_commit_that_would_do_nothing_is_refused(
    databases: None, function: Callable[[], Any]
) -> None:
    with pytest.raises(ConfigurationError, match="would do nothing"):
        db.on_commit(function)
