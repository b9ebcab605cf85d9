"""A collection whose first write waits until the indexes of its model stand."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from pymongo.collection import Collection

from datalayer import indexes
from datalayer.core import Connection

__all__ = ["collection_of"]


def collection_of(model: Any, connection: Connection) -> Collection[Any]:
    """The collection of ``model`` on ``connection``; asks no server.

    A guarded one, as long as the model's indexes were not built there: so no way of writing
    through the model (save, querysets of any class, the collection itself) passes them by.
    Reading and deleting need no indexes and build none; duplicates can be deleted that way.
    """
    name = model._get_collection_name()
    if connection.settings.kind == "mongomock":
        indexes.ensure(model, connection.alias, name)  # in memory
        return connection.database[name]
    if (model, name) in connection.prepared:
        return connection.database[name]
    guarded = GuardedCollection(connection.database, name)
    guarded._guard(model, connection.alias)
    return guarded


class GuardedCollection(Collection[Any]):
    """PyMongo's collection; its writing methods first see to the indexes of a model."""

    _model: Any
    _alias: str

    def _guard(self, model: Any, alias: str) -> None:
        self._model = model
        self._alias = alias

    def _ensure(self) -> None:
        indexes.ensure(self._model, self._alias, self.name)
        if isinstance(self._model._collection, GuardedCollection):
            self._model._disconnect()  # the next one is PyMongo's own

    def with_options(self, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's; stays guarded."""
        plain = super().with_options(*args, **kwargs)
        guarded = GuardedCollection(
            plain.database,
            plain.name,
            codec_options=plain.codec_options,
            read_preference=plain.read_preference,
            write_concern=plain.write_concern,
            read_concern=plain.read_concern,
        )
        guarded._guard(self._model, self._alias)
        return guarded


def _after_ensuring(name: str) -> Callable[..., Any]:
    @wraps(getattr(Collection, name))
    def write(self: GuardedCollection, *args: Any, **kwargs: Any) -> Any:
        self._ensure()
        return getattr(super(GuardedCollection, self), name)(*args, **kwargs)

    return write


for _name in (
    "bulk_write",
    "find_one_and_replace",
    "find_one_and_update",
    "insert_many",
    "insert_one",
    "replace_one",
    "update_many",
    "update_one",
):
    setattr(GuardedCollection, _name, _after_ensuring(_name))
