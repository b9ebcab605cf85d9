"""Puts what the model or the database refused beside the field of the form that is to blame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mongoengine.errors import ValidationError
from wtforms.fields import FieldList, FormField

_OF_ALL = "__all__"


def put_refusal(form: Any, error: ValidationError) -> None:
    """Put what is wrong with a document beside the fields of ``form``; what it has no field for
    is an error of the form itself."""
    told = _told(error)
    _put(form, told if isinstance(told, Mapping) else {_OF_ALL: told}, form)


def put_error(field: Any, text: str) -> None:
    """Add an error to a field, which may be a part of several."""
    if isinstance(field, FormField):
        field.form.form_errors.append(text)
    else:
        field.errors = [*field.errors, text]


def _told(problem: Any) -> Any:
    """A text, or a mapping of names to as much."""
    if isinstance(problem, ValidationError):
        if not problem.errors and problem.field_name:
            return {problem.field_name: str(problem.message)}
        problem = problem.errors or str(problem.message)
    if not isinstance(problem, Mapping):
        return str(problem)
    # That of a field has the field's name, too.
    return {
        name: str(each.message)
        if isinstance(each, ValidationError) and not each.errors and name != _OF_ALL
        else _told(each)
        for name, each in problem.items()
    }


def _put(form: Any, problems: Mapping[Any, Any], root: Any) -> None:
    for name, problem in problems.items():
        field = form._fields.get(name)
        if field is not None:
            _put_into(field, problem, root)
        elif name == _OF_ALL and isinstance(problem, Mapping):
            _put(form, problem, root)
        else:
            label = "" if name == _OF_ALL else f"{name}: "
            root.form_errors.extend(f"{label}{text}" for text in _texts(problem))


def _put_into(field: Any, problem: Any, root: Any) -> None:
    if isinstance(problem, Mapping) and isinstance(field, FormField):
        _put(field.form, problem, root)
    elif isinstance(problem, Mapping) and isinstance(field, FieldList):
        rows = getattr(field, "kept", field.entries)
        for index, inner in problem.items():
            if str(index).isdigit() and int(index) < len(rows):
                _put_into(rows[int(index)], inner, root)
        field.errors = [each.errors for each in field.entries]
    else:
        for text in _texts(problem):
            put_error(field, text)


def _texts(problem: Any) -> Iterator[str]:
    if isinstance(problem, Mapping):
        for inner in problem.values():
            yield from _texts(inner)
    else:
        yield str(problem)
