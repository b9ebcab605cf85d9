"""How a method of a converter says which fields of models it converts, and that it can't."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from datalayer.contrib.wtforms.validators import Fits

Options = dict[str, Any]
"""The arguments for a form's field."""
FieldArgs = Mapping[str, Mapping[str, Any]]

Method = TypeVar("Method", bound=Callable[..., Any])


class LeftOut(Exception):
    """No field of a form can stand for a field of a model; the text says why."""


def converts(*kinds: str) -> Callable[[Method], Method]:
    """Marks a method of a ``ModelConverter`` as the one for the model's fields of these classes,
    by their names, and of those derived from them.

    The method is called with the model, its field, and the arguments for the form's field; it
    gives that, or raises ``LeftOut``.
    """

    def mark(method: Method) -> Method:
        method._converts = kinds  # type: ignore[attr-defined]
        return method

    return mark


def without(kwargs: Options, *names: str) -> Options:
    """The arguments but these."""
    return {name: value for name, value in kwargs.items() if name not in names}


def without_fit(kwargs: Options) -> Options:
    """The arguments without the question whether the model's field takes the value as it is."""
    kept = [each for each in kwargs["validators"] if not isinstance(each, Fits)]
    return {**kwargs, "validators": kept}
