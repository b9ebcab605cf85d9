"""Which collection an operation goes to: a model's, or one without a model; inside the present
transaction or apart from it. Asks no server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo.collection import Collection
from pymongo.database import Database

from datalayer import indexes, transactions
from datalayer.connections.connection import Connection
from datalayer.context import read_only
from datalayer.documents.model_collection import ModelCollection

_READING = frozenset({"collStats", "count", "dbStats", "distinct", "explain", "hello", "ping"})
"""Commands that may be sent where writes are refused."""


def collection_of(model: Any, connection: Connection, name: str | None = None) -> Collection[Any]:
    """The collection of ``model`` on ``connection``; ``name`` for another than the model's own.

    As long as the model's indexes were not built there, its writing methods see to them first:
    so no way of writing through the model (save, querysets of any class, the collection itself)
    passes them by. Reading and deleting need no indexes and build none; duplicates can be
    deleted that way.
    """
    name = name or model._get_collection_name()
    if connection.settings.kind == "mongomock":
        indexes.ensure(model, connection, name)  # in memory
        found = connection.database[name]
        vars(found)["_home"] = connection
        return found
    generation = connection.built_indexes.generation
    is_prepared = (model, name) in connection.built_indexes
    carrier = _carrier_of(connection)
    collection = ModelCollection(carrier.client[connection.settings.database], name)
    return collection.over(carrier, connection, model, generation if is_prepared else None)


def plain_collection(connection: Connection, name: str) -> Collection[Any]:
    """A collection without a model, whose operations raise datalayer's errors and take part in
    the present transaction."""
    carrier = _carrier_of(connection)
    database = carrier.client[connection.settings.database]
    return ModelCollection(database, name).over(carrier, connection)


@contextmanager
def apart_from_transaction(connection: Connection, name: str) -> Iterator[Collection[Any]]:
    """A collection without a model, whose operations happen at once and stay, in a transaction
    too. Their errors are datalayer's."""
    if connection.settings.kind == "mongomock":
        yield connection.database[name]
        return
    with outside_transaction(connection):
        yield ModelCollection(connection.database, name).over(connection, connection)


@contextmanager
def outside_transaction(connection: Connection) -> Iterator[None]:
    """Let the block's operations over ``connection`` run outside the present transaction."""
    begun = transactions.current()
    if begun is None:
        yield
        return
    with begun.apart(), connection.client.start_session() as own, own.bind(end_session=False):
        yield


def database_of(connection: Connection) -> Database[Any]:
    """The database of ``connection``. What is read from its collections, by MongoEngine when it
    follows a reference say, raises datalayer's errors and takes part in the present transaction.
    """
    if connection.settings.kind == "mongomock":
        return connection.database
    database = _ModelDatabase(_carrier_of(connection).client, connection.settings.database)
    database._connection = connection
    return database


def _carrier_of(connection: Connection) -> Connection:
    """Over whose client operations on ``connection`` go: in a transaction over that of the
    transaction, as a session belongs to one client."""
    begun = transactions.current()
    return begun.connection if begun is not None and begun.carries(connection) else connection


class _ModelDatabase(Database[Any]):
    _connection: Connection

    def __getitem__(self, name: str) -> Collection[Any]:
        return plain_collection(self._connection, name)

    def command(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's; where writes are refused, only what reads."""
        name = command if isinstance(command, str) else next(iter(command))
        if name not in _READING:
            read_only.check(f"the command {name!r}")
        return super().command(command, *args, **kwargs)

    def create_collection(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's."""
        read_only.check(f"create_collection of {name!r}")
        return super().create_collection(name, *args, **kwargs)

    def drop_collection(self, name_or_collection: Any, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's."""
        read_only.check("drop_collection")
        return super().drop_collection(name_or_collection, *args, **kwargs)

    def with_options(self, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's; GridFS asks for it. The collections keep the options of the client."""
        other = _ModelDatabase(self.client, self.name)
        other._connection = self._connection
        return other
