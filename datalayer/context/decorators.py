"""Functions whose work comes after their call, generators and coroutines: what a decorator puts
around the call is over by then. And ``with`` blocks that, as decorators, refuse them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    _GeneratorContextManager,
)
from typing import Any, ParamSpec, TypeVar

from datalayer.errors import ConfigurationError

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")
Answer = TypeVar("Answer")
_KINDS = (
    inspect.isgeneratorfunction,
    inspect.iscoroutinefunction,
    inspect.isasyncgenfunction,
)


def runs_later(function: Any) -> bool:
    """Whether the body of ``function``, of its ``__call__`` or of what it is a part of, runs
    after its call."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, staticmethod):
        function = function.__func__
    call = getattr(type(function), "__call__", None)  # noqa: B004 - the function, not whether
    return any(is_one(each) for each in (function, call) for is_one in _KINDS)


def comes_later(result: Any) -> bool:
    """Whether ``result`` of a call is work that is still to be done: a generator or a coroutine,
    by itself or as a context manager. It is closed then."""
    managers = (AbstractContextManager, AbstractAsyncContextManager)
    work = getattr(result, "gen", result) if isinstance(result, managers) else result
    if not (inspect.isgenerator(work) or inspect.isasyncgen(work) or inspect.isawaitable(work)):
        return False
    if inspect.isgenerator(work) or inspect.iscoroutine(work):
        work.close()  # else Python warns of what was never awaited
    return True


def name_of(function: Any) -> str:
    """What to call ``function`` in an error or a log."""
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)


class Block(_GeneratorContextManager[Value]):
    """A ``with`` block, which decorates functions too."""

    def __call__(  # type: ignore[override] # for typeshed a function of any arguments
        self, function: Callable[Arguments, Answer]
    ) -> Callable[Arguments, Answer]:
        """``function`` inside the block; refuses generator and coroutine functions."""
        name = name_of(function)
        if runs_later(function):
            raise ConfigurationError(_refusal(name))
        around = super().__call__(function)

        @functools.wraps(function)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            result = around(*args, **kwargs)
            if comes_later(result):
                raise ConfigurationError(_refusal(name))
            return result

        return run


def _refusal(name: str) -> str:
    return (
        f"{name} is or gives a generator or a coroutine, whose body runs after the call, and so "
        "outside of the block that decorates it; write the with block into its body"
    )


def with_block(
    function: Callable[Arguments, Iterator[Value]],
) -> Callable[Arguments, Block[Value]]:
    """Like ``contextlib.contextmanager``; as a decorator, it refuses generator and coroutine
    functions with ``ConfigurationError``."""

    @functools.wraps(function)
    def block(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Any:
        return Block(function, args, kwargs)  # type: ignore[arg-type]

    return block
