"""Models that are defined at run time, by name and fields instead of a class statement."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any, TypeVar

from mongoengine.base import BaseField
from mongoengine.base.common import _document_registry

from datalayer.errors import ConfigurationError

Base = TypeVar("Base")

_defining = threading.Lock()  # guards the look-up and registration of a name


def _after_fork() -> None:
    global _defining  # noqa: PLW0603 # another thread of the parent may have held it
    _defining = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

# What a field gets from the class it belongs to, rather than from its definition.
_FROM_ITS_CLASS = frozenset({"name", "creation_counter", "_owner_document", "owner_document"})


def define_model(
    base: type[Base],
    name: str,
    fields: Mapping[str, BaseField],
    *,
    indexes: Sequence[Any] = (),
    collection: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> type[Base]:
    """A model called ``name``, derived from ``base``, with these MongoEngine fields.

    The same definition again gives the same class. ``indexes`` are MongoEngine's index
    specifications, ``collection`` defaults to MongoEngine's name for the model, ``meta`` takes
    any further keys. The collection and its indexes are built before the first write.

    Raises:
        ConfigurationError: for a name that is no identifier or is taken by a model that is
            defined otherwise, and for values in ``fields`` that are no fields.
    """
    _check(name, fields)
    merged = {**(meta or {}), "indexes": [*(meta or {}).get("indexes", ()), *indexes]}
    if collection is not None:
        merged["collection"] = collection
    definition = (base, _shape(dict(fields)), _shape(merged))
    with _defining:
        present = _document_registry.get(name)
        if present is not None:
            if getattr(present, "_definition", None) != definition:
                raise ConfigurationError(
                    f"there is already a model {name!r} (in {present.__module__}) with another "
                    "definition; use that one, or choose another name"
                )
            found: type[Base] = present
            return found
        # Copies, so that the same field objects can serve in another definition.
        own = {key: copy.deepcopy(field) for key, field in fields.items()}
        metaclass: Any = type(base)
        model: type[Base] = metaclass(
            name,
            (base,),
            {
                **own,
                "meta": merged,
                "_definition": definition,
                "__doc__": f"Defined at run time from {base.__name__}.",
                "__module__": __name__,
            },
        )
        return model


def _check(name: str, fields: Mapping[str, BaseField]) -> None:
    problems = []
    if not name.isidentifier():
        problems.append(f"a model's name is a Python identifier, not {name!r}")
    for key, field in fields.items():
        if not isinstance(field, BaseField):
            problems.append(
                f"{name}.{key} is a {type(field).__name__}; give it a MongoEngine field such as "
                "StringField()"
            )
    if problems:
        raise ConfigurationError(problems)


def _shape(value: Any) -> Any:
    """``value`` in a form that is equal for equal definitions."""
    if isinstance(value, BaseField):
        parts = {
            key: _shape(part) for key, part in vars(value).items() if key not in _FROM_ITS_CLASS
        }
        if parts.get("db_field") == value.name:
            parts["db_field"] = None  # set by the class where the definition names none
        return type(value), parts
    if isinstance(value, FunctionType):
        # Two evaluations of one lambda make two functions with the same code.
        return value.__module__, value.__qualname__, value.__code__
    if isinstance(value, Mapping):
        return {key: _shape(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shape(part) for part in value]
    return value
