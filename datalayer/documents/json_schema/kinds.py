"""By which class of MongoEngine's or datalayer's is a field known?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mongoengine.base import BaseField

_THEIR_MODULES = ("mongoengine.", "datalayer.documents.")


def kind_of(field: BaseField, kinds: Iterable[type] | Mapping[type, Any]) -> Any:
    """The nearest of ``kinds`` that the field's class is derived from, or ``None``."""
    return next((each for each in type(field).__mro__ if each in kinds), None)


def owner_of(kind: type, name: str) -> Any:
    """The class that ``kind`` has the function called ``name`` from."""
    return next(each for each in kind.__mro__ if name in vars(each))


def has_theirs(kind: type, name: str) -> bool:
    """Whether the function called ``name`` that ``kind`` has is MongoEngine's or datalayer's."""
    # By the function's module: that of a class made without a class statement is MongoEngine's.
    return (getattr(kind, name).__module__ or "").startswith(_THEIR_MODULES)
