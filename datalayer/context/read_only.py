"""Are writes refused in the present context? A dry run says so, and what to raise instead."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

from datalayer.context.stack import ContextStack

Refuse: TypeAlias = Callable[[str], Exception]
"""Makes an error of what was about to write."""
_refusals: ContextStack[Refuse] = ContextStack("datalayer_read_only", copies_keep=True)
variable = _refusals.variable
"""Empty where writes are as usual, which is quick to see."""


def refusing(refuse: Refuse) -> AbstractContextManager[None]:
    """Refuse writes inside the block with what ``refuse`` gives."""
    return _refusals.entered(refuse)


def check(what: str) -> None:
    """Raise, where ``what`` may not be written."""
    block = _refusals.innermost()
    if block is not None:
        raise block.value(what)
