"""A stack of values in the present context, one for each open ``with`` block, which come off
wherever and in whatever order the blocks end: a generator that holds one may be closed by another
thread, or after a later one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Block(Generic[Value]):
    """A ``with`` block that was entered, and the value that holds inside."""

    __slots__ = ("ended", "outer", "take_back", "token", "value")

    def __init__(
        self, value: Value, outer: Block[Value] | None, take_back: Callable[[], bool] | None
    ) -> None:
        self.value = value
        self.outer = outer
        self.ended = False
        self.take_back = take_back
        """Undoes what it has set elsewhere in the context; false where that has to wait."""
        self.token: Token[Block[Value] | None]


class ContextStack(Generic[Value]):
    """The open blocks of one kind.

    A ``Token`` alone would put back a value that may be another block's which has ended, and
    fails in another context; so each block knows whether it has ended. Copies of a context that
    were made inside a block are free of it after its end; where they ``keep`` its value, as
    copies do, they have it as long as they last.
    """

    def __init__(self, name: str, *, copies_keep: bool = False) -> None:
        self.variable: ContextVar[Block[Value] | None] = ContextVar(name, default=None)
        self._copies_keep = copies_keep

    @contextmanager
    def entered(self, value: Value) -> Iterator[None]:
        """Let ``value`` hold inside the block."""
        block = self.enter(value)
        try:
            yield
        finally:
            self.leave(block)

    def enter(self, value: Value, take_back: Callable[[], bool] | None = None) -> Block[Value]:
        """Begin a block; ``leave`` ends it."""
        block = Block(value, self.innermost(), take_back)
        block.token = self.variable.set(block)
        return block

    def leave(self, block: Block[Value]) -> bool:
        """End ``block``; whether that happens in the context that it was entered in.

        If not, that one takes it out as soon as it looks.
        """
        top = self.variable.get()
        try:
            self.variable.reset(block.token)
        except ValueError:  # it is another context
            is_here = False
        else:
            is_here = True
            if top is block and self._copies_keep:
                self.innermost()
                return is_here
            self.variable.set(top)
        block.ended = True
        self.innermost()
        return is_here

    def innermost(self) -> Block[Value] | None:
        """The last that was entered in the present context and is open."""
        block = self.variable.get()
        if block is None or not block.ended:
            return block
        first = block
        while block is not None and block.ended:
            if block.take_back is not None and not block.take_back():
                break
            block = block.outer
        if block is not first:
            self.variable.set(block)
        while block is not None and block.ended:
            block = block.outer
        return block

    def find(self, *keys: str) -> Any:
        """What the innermost open block says of the first of ``keys`` that it knows; ``None``
        where none says anything. The values are mappings."""
        block: Block[Any] | None = self.variable.get()
        while block is not None:
            if not block.ended:
                for key in keys:
                    if key in block.value:
                        return block.value[key]
            block = block.outer
        return None
