"""Turns lines of Python into a function, with the objects that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


class Names:
    """The global names of one compiled function."""

    def __init__(self, **named: Any) -> None:
        self.namespace: dict[str, Any] = dict(named)
        self._by_id: dict[int, str] = {}

    def add(self, value: Any) -> str:
        """A name for ``value``; the same for the same object."""
        name = self._by_id.get(id(value))
        if name is None:
            name = self._by_id[id(value)] = f"c{len(self._by_id)}"
            self.namespace[name] = value
        return name


def on_first_call(make: Callable[[Any], Any], program: Any) -> Any:
    """What ``make`` makes of ``program``, made when it is called first: where the loops in C do
    the work that may never come, and compiling takes longer than loading a thousand documents."""
    made: Any = None

    def call(*args: Any) -> Any:
        nonlocal made
        if made is None:
            made = make(program)
        return made(*args)

    return call


def compiled(lines: Iterable[str], function: str, names: Names, model: type) -> Any:
    """The function called ``function`` in ``lines``.

    Every name and key in the lines that comes from a model stands there as a literal
    (``repr``), never as it is.
    """
    where = f"<{function} of {model.__module__}.{model.__qualname__}>"
    code = compile("\n".join(lines), where, "exec")
    exec(code, names.namespace)  # noqa: S102 # that is what this module is for
    return names.namespace[function]
