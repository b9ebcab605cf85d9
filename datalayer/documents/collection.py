"""The collection that a model's operations go through: the driver's, with datalayer's errors, and
with the model's indexes built before the first write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial, wraps
from time import monotonic
from typing import Any

import pymongo
from mongoengine.context_managers import set_read_write_concern
from pymongo.collection import Collection
from pymongo.command_cursor import CommandCursor, RawBatchCommandCursor
from pymongo.cursor import Cursor, RawBatchCursor
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from datalayer import indexes, transactions
from datalayer.connections import operation
from datalayer.connections.connection import Connection
from datalayer.context.session import is_out_of_place, was_joined
from datalayer.documents.fields.bson_limits import check_call
from datalayer.errors import TransactionError
from datalayer.failures.operations import Effect
from datalayer.failures.redaction import without_values
from datalayer.failures.tracebacks import as_cause

_SECONDS_IN_A_TRANSACTION = 5.0


def collection_of(model: Any, connection: Connection, name: str | None = None) -> Collection[Any]:
    """The collection of ``model`` on ``connection``, or the one called so; asks no server.

    As long as the model's indexes were not built there, its writing methods see to them first:
    so no way of writing through the model (save, querysets of any class, the collection itself)
    passes them by. Reading and deleting need no indexes and build none; duplicates can be
    deleted that way.
    """
    name = name or model._get_collection_name()
    if connection.settings.kind == "mongomock":
        indexes.ensure(model, connection.alias, name)  # in memory
        return connection.database[name]
    generation = connection.prepared.generation
    is_prepared = (model, name) in connection.prepared
    carrier = _carrier_of(connection) or connection
    collection = ModelCollection(carrier.client[connection.settings.database], name)
    return collection._for(carrier, connection, model, generation if is_prepared else None)


def plain_collection(connection: Connection, name: str) -> Collection[Any]:
    """A collection without a model, whose operations raise datalayer's errors and take part in
    the present transaction."""
    carrier = _carrier_of(connection) or connection
    database = carrier.client[connection.settings.database]
    return ModelCollection(database, name)._for(carrier, connection, None, None)


@contextmanager
def apart_from_transaction(connection: Connection, name: str) -> Iterator[Collection[Any]]:
    """A collection without a model, whose operations happen at once and stay, in a transaction
    too. Their errors are datalayer's."""
    if connection.settings.kind == "mongomock":
        yield connection.database[name]
        return
    collection = ModelCollection(connection.database, name)._for(
        connection, connection, None, None
    )
    with outside_transaction(connection):
        yield collection


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
    carrier = _carrier_of(connection) or connection
    database = _ModelDatabase(carrier.client, connection.settings.database)
    database._connection = connection
    return database


def _carrier_of(connection: Connection) -> Connection | None:
    """Whose client carries the present transaction on ``connection``, if there is one: a session
    belongs to one client."""
    begun = transactions.current()
    return begun.connection if begun is not None and begun.carries(connection) else None


class _ModelDatabase(Database[Any]):
    _connection: Connection

    def __getitem__(self, name: str) -> Collection[Any]:
        return plain_collection(self._connection, name)

    def with_options(self, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's; GridFS asks for it. The collections keep the options of the client."""
        other = _ModelDatabase(self.client, self.name)
        other._connection = self._connection
        return other


def time_limit(milliseconds: int) -> AbstractContextManager[None]:
    """What ``max_time_ms`` asks for. The driver sends the deadline of the connection in the place
    of an operation's own limit, which would never be heard."""
    return pymongo.timeout(milliseconds / 1000)


def with_concerns(
    collection: Any,
    write_concern: dict[str, Any] | None,
    read_concern: dict[str, Any] | None = None,
) -> Any:
    """``collection`` with these concerns beside its own."""
    if not write_concern and not read_concern:
        return collection
    with set_read_write_concern(collection, write_concern, read_concern) as other:
        return other


class ModelCollection(Collection[Any]):
    """PyMongo's collection, whose operations raise datalayer's errors for a server that is away.

    Its cursors do too. What the server says about the operation itself passes through.
    """

    _connection: Connection
    _home: Connection
    """The one of the collection's own alias, where another carries the present transaction."""
    _model: Any
    _prepared: int | None
    """In which generation of what is prepared the model's indexes were known to stand."""

    def _for(
        self, connection: Connection, home: Connection, model: Any, prepared: int | None
    ) -> ModelCollection:
        self._connection = connection
        self._home = home
        self._model = model
        self._prepared = prepared
        return self

    def __getitem__(self, name: str) -> Any:
        """The collection of this one's name, a dot and ``name``, as those of GridFS."""
        other = ModelCollection(
            self.database,
            f"{self.name}.{name}",
            codec_options=self.codec_options,
            read_preference=self.read_preference,
            write_concern=self.write_concern,
            read_concern=self.read_concern,
        )
        return other._for(self._connection, self._home, None, None)

    def with_options(
        self,
        codec_options: Any = None,
        read_preference: Any = None,
        write_concern: Any = None,
        read_concern: Any = None,
    ) -> Any:
        """Like PyMongo's; stays a collection of the model."""
        other = ModelCollection(
            self.database,
            self.name,
            codec_options=codec_options or self.codec_options,
            read_preference=read_preference or self.read_preference,
            write_concern=write_concern or self.write_concern,
            read_concern=read_concern or self.read_concern,
        )
        return other._for(self._connection, self._home, self._model, self._prepared)

    def find(self, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's."""
        return _ModelCursor(self, *args, **kwargs)

    def find_raw_batches(self, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's."""
        return _ModelRawBatchCursor(self, *args, **kwargs)

    def aggregate(self, pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's."""
        run = partial(super().aggregate, pipeline, *args, **kwargs)
        cursor = _performed(self, run, "aggregate", _effect_of(pipeline))
        cursor.__class__ = _ModelCommandCursor  # the driver lets no one choose the class
        return cursor

    def aggregate_raw_batches(self, pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's."""
        run = partial(super().aggregate_raw_batches, pipeline, *args, **kwargs)
        cursor = _performed(self, run, "aggregate", _effect_of(pipeline))
        cursor.__class__ = _ModelRawBatchCommandCursor
        return cursor

    def estimated_document_count(self, *args: Any, **kwargs: Any) -> int:
        """Like PyMongo's; counts in a transaction, which takes no estimates."""
        begun = transactions.current()
        if begun is not None and begun.connection is self._connection:
            return int(self.count_documents({}, *args, **kwargs))
        # An estimate is of one moment anyway, and the server takes no such read concern for it.
        of_one_moment = self.read_concern.level == "snapshot"
        asked = self.with_options(read_concern=ReadConcern()) if of_one_moment else self
        run = partial(Collection.estimated_document_count, asked, *args, **kwargs)
        count: int = _performed(self, run, "estimated_document_count", "none")
        return count

    def _ensure_indexes(self) -> None:
        begun = transactions.current()
        if begun is None:
            self._build_what_is_missing(nullcontext())
            return
        with begun.apart():
            # If it has read the collection, a build waits for the transaction itself.
            self._build_what_is_missing(pymongo.timeout(_SECONDS_IN_A_TRANSACTION))

    def _build_what_is_missing(self, limit: AbstractContextManager[None]) -> None:
        model, prepared = self._model, self._home.prepared
        indexes.notice_drops(self._home)
        generation = prepared.generation
        if generation == self._prepared:
            return
        ensure = partial(indexes.ensure, model, self._home.alias, self.name)
        with limit:
            _performed(self, ensure, "building the indexes", "none")
        self._prepared = generation
        if isinstance(model._collection, ModelCollection):
            model._disconnect()  # the next one knows that they stand


def _performed(
    collection: ModelCollection, run: Callable[[], Any], name: str, effect: Effect
) -> Any:
    connection = collection._connection
    if transactions.bound(connection) is connection and transactions.current():
        effect = "none"  # before the commit
    before = operation.begin(connection)
    try:
        result = run()
    except PyMongoError as exc:
        error = operation.failed(connection, exc, name, collection.name, effect, before)
        error = error or transactions.ended_by_server(exc, connection)
        if error is None and isinstance(exc, OperationFailure):
            raise without_values(exc) from None
        if error is None:
            raise
        # What a server says may hold a document's values: it stays out of tracebacks.
        raise error from (None if isinstance(exc, OperationFailure) else as_cause(exc))
    except BaseException as exc:
        operation.gave_up(connection, exc)
        raise
    operation.succeeded(connection)
    return result


def _operation(name: str, effect: Effect, *, needs_indexes: bool = False) -> Callable[..., Any]:
    @wraps(getattr(Collection, name))
    def perform(self: ModelCollection, *args: Any, **kwargs: Any) -> Any:
        if needs_indexes:
            check_call(name, args, kwargs, self.name)
            if self._model is not None:
                prepared = self._home.prepared
                if self._prepared != prepared.generation or monotonic() >= prepared.look_again_at:
                    self._ensure_indexes()
        run = partial(getattr(super(ModelCollection, self), name), *args, **kwargs)
        return _performed(self, run, name, effect)

    return perform


_READS = (
    "count_documents",
    "distinct",
    "index_information",
    "list_indexes",
)
_WRITES_ONE = (
    "find_one_and_replace",
    "find_one_and_update",
    "insert_one",
    "replace_one",
    "update_one",
)
_WRITES_MANY = ("bulk_write", "insert_many", "update_many")
_DELETES_ONE = ("delete_one", "find_one_and_delete")
_CHANGES = (
    "create_index",
    "create_indexes",
    "delete_many",
    "drop",
    "drop_index",
    "drop_indexes",
)
for _name in _READS:
    setattr(ModelCollection, _name, _operation(_name, "none"))
for _name in _WRITES_ONE:
    setattr(ModelCollection, _name, _operation(_name, "one", needs_indexes=True))
for _name in _WRITES_MANY:
    setattr(ModelCollection, _name, _operation(_name, "many", needs_indexes=True))
for _name in _DELETES_ONE:
    setattr(ModelCollection, _name, _operation(_name, "one"))
for _name in _CHANGES:
    setattr(ModelCollection, _name, _operation(_name, "many"))


def _guarded_batches(cursor_class: Any) -> Callable[[Any], int]:
    def _refresh(self: Any) -> int:
        """Get the next batch, as an operation of the model's collection."""
        if self._id is None:
            self._read_preference = None  # wound back, it may be read elsewhere than before
        if was_joined(self.session):
            _rejoin(self)
        run = partial(cursor_class._refresh, self)
        limit = getattr(self, "_max_time_ms", None)
        with nullcontext() if limit is None else time_limit(limit):
            count: int = _performed(self._collection, run, "find", "none")
        return count

    return _refresh


def _rejoin(cursor: Any) -> None:
    """See to it that ``cursor``, which joined a session, has the one that it needs now."""
    if cursor.cursor_id is None:  # it was wound back, and begins in the present context
        cursor._session = None
    elif cursor.alive and is_out_of_place(cursor.session):
        alias = cursor._collection._connection.alias
        raise TransactionError(
            f"this cursor on {cursor._collection.name} of {alias!r} was begun in a transaction "
            "or db.session() that has ended, or that is another thread's or process's, and can't "
            "go on; read it to its end inside, with list() say, or ask again outside",
            alias=alias,
        )


class _Repeatable:
    """For cursors whose copies begin in the present context, and not in their original's."""

    def _clone_base(self, session: Any) -> Any:
        return super()._clone_base(None if was_joined(session) else session)  # type: ignore[misc]


class _ModelCursor(_Repeatable, Cursor[Any]):
    _refresh = _guarded_batches(Cursor)


class _ModelRawBatchCursor(_Repeatable, RawBatchCursor[Any]):
    _refresh = _guarded_batches(RawBatchCursor)


class _ModelCommandCursor(CommandCursor[Any]):
    _refresh = _guarded_batches(CommandCursor)


class _ModelRawBatchCommandCursor(RawBatchCommandCursor[Any]):
    _refresh = _guarded_batches(RawBatchCommandCursor)


def _effect_of(pipeline: Sequence[Mapping[str, Any]]) -> Effect:
    writes = any(stage in ("$merge", "$out") for each in pipeline for stage in each)
    return "many" if writes else "none"
