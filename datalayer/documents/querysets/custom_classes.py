"""Querysets of an application's own: one that is derived from MongoEngine's gets what datalayer's
adds, time stamps and validation for example, when the model that uses it is made."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import mongoengine
from mongoengine.queryset import QuerySetManager
from mongoengine.queryset.base import BaseQuerySet

from datalayer.documents.querysets.queryset import QuerySet, QuerySetNoCache
from datalayer.errors import ConfigurationError

_OURS = (QuerySet, QuerySetNoCache)


def keep_own_querysets(model: Any) -> None:
    """Let the querysets of ``model``, whatever they are derived from, be datalayer's too.

    Raises:
        ConfigurationError: for a ``queryset_class`` with which that can't be done.
    """
    for manager in vars(model).values():
        if isinstance(manager, QuerySetManager) and manager.get_queryset is not None:
            manager.get_queryset = _completing(manager.get_queryset, model.__name__)
    if not model._meta.get("abstract"):  # what that says is inherited, and seen to there
        model._meta["queryset_class"] = _completed(_asked_for(model), model.__name__)


def _asked_for(model: Any) -> Any:
    named = model._meta.get("queryset_class", QuerySet)
    manager = next((vars(c)["objects"] for c in model.__mro__ if "objects" in vars(c)), None)
    default = getattr(manager, "default", mongoengine.QuerySet)
    # A manager's own class counts in MongoEngine where meta names none.
    return default if named is QuerySet and default is not mongoengine.QuerySet else named


def _completed(kind: Any, name: str) -> Any:
    if not isinstance(kind, type) or not issubclass(kind, BaseQuerySet):
        raise ConfigurationError(
            f"the queryset_class of {name} is no class of querysets; derive one from "
            "datalayer.documents.QuerySet and name that"
        )
    try:
        return _combined(kind)
    except TypeError as exc:
        raise ConfigurationError(
            f"the queryset_class of {name}, {kind.__name__}, can't be combined with datalayer's, "
            "without which updates would lose their time stamps and inserts their validation; "
            f"write class {kind.__name__}(datalayer.documents.QuerySet) ({exc})"
        ) from exc


@lru_cache(maxsize=1024)
def _combined(kind: type) -> Any:
    """A class of querysets that does first what ``kind`` does, and then what datalayer's do."""
    if issubclass(kind, _OURS):
        return kind
    ours = QuerySet if issubclass(kind, mongoengine.QuerySet) else QuerySetNoCache
    members = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "__reduce__": lambda queryset: (_empty, (kind,), queryset.__getstate__()),
    }
    metaclass: Any = type(kind)
    return metaclass(kind.__name__, (kind, ours), members)


def _empty(kind: type) -> Any:
    """For pickle, which doesn't find the combined class by its name."""
    return object.__new__(_combined(kind))


def _completing(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function of a manager, with what it gives made one of datalayer's querysets."""

    def completed(found: Any) -> Any:
        if isinstance(found, BaseQuerySet) and not isinstance(found, _OURS):
            found.__class__ = _completed(type(found), name)
        return found

    # MongoEngine counts the arguments; one with more is called by the application itself.
    def of_queryset(queryset: Any) -> Any:
        return completed(function(queryset))

    def of_class(document_class: Any, queryset: Any) -> Any:
        return completed(function(document_class, queryset))

    chosen: Any = {1: of_queryset, 2: of_class}.get(function.__code__.co_argcount)
    return wraps(function)(chosen) if chosen is not None else function
