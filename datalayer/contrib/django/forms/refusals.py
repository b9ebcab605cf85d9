"""What a document or the database refuses, told at the fields of its form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from mongoengine import errors

_TAKEN = "There is another one with this value."
_TAKEN_TOGETHER = "There is another one with these values."


def tell(form: Any, refused: errors.ValidationError, *, others: bool = False) -> None:
    """Add the errors of a document to its form.

    Those of fields that the form does not have are left out, since the code that goes on with the
    document may fill them yet; with ``others`` they are told above the form. Where a field has an
    error already, it has been told.
    """
    found: Mapping[str, Any] = refused.errors or {
        refused.field_name or NON_FIELD_ERRORS: refused.message
    }
    for place, problem in found.items():
        # What clean() says of the document may name a field.
        about = getattr(problem, "field_name", None) if place == NON_FIELD_ERRORS else None
        name = about if about in form.fields else place
        messages = list(_messages(problem))
        if name in form.fields:
            if name not in form.errors:
                form.add_error(name, messages)
        elif name == NON_FIELD_ERRORS:
            form.add_error(None, messages)
        elif others:
            form.add_error(None, [f"{name}: {message}" for message in messages])


def tell_taken(form: Any, names: Iterable[str]) -> None:
    """Say that another document has the values of the fields ``names``."""
    shown = [name for name in names if name in form.fields]
    if len(shown) == 1:
        form.add_error(shown[0], _TAKEN)
    else:
        form.add_error(None, _TAKEN_TOGETHER)


def _messages(problem: Any) -> Iterator[str]:
    """The words of an error, of those inside a list or an embedded document too."""
    if isinstance(problem, errors.ValidationError):
        if problem.errors:
            yield from _messages(problem.errors)
        else:
            yield str(problem.message)
    elif isinstance(problem, Mapping):
        for place, inner in problem.items():
            for message in _messages(inner):
                yield message if place == NON_FIELD_ERRORS else f"{place}: {message}"
    else:
        yield str(problem)
