"""The driver's collection as models have it: its operations and cursors raise datalayer's errors,
and its writes check what is stored and see to the model's indexes first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial, wraps
from time import monotonic, perf_counter
from typing import Any

import pymongo
from mongoengine.context_managers import set_read_write_concern
from pymongo.collection import Collection
from pymongo.command_cursor import CommandCursor, RawBatchCommandCursor
from pymongo.cursor import Cursor, RawBatchCursor
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from datalayer import indexes, transactions
from datalayer.connections import operation
from datalayer.connections.batch_sizes import SizedBatches, note_wait
from datalayer.connections.connection import Connection
from datalayer.context import read_only
from datalayer.context.session import is_out_of_place, was_joined
from datalayer.documents.engine import encoded, written
from datalayer.documents.fields.bson_limits import check_call
from datalayer.errors import TransactionError
from datalayer.failures.operations import Effect
from datalayer.failures.redaction import without_values
from datalayer.failures.tracebacks import as_cause

_SECONDS_IN_A_TRANSACTION = 5.0


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


def insertable(documents: Sequence[Any], collection: Any) -> list[Any]:
    """What ``collection`` is given to insert ``documents``, which have their ids: BSON where it
    takes that and the document has nothing that it may be refused for, else a dictionary."""
    is_models = isinstance(collection, ModelCollection)
    if not is_models or collection.database.client.options.auto_encryption_opts is not None:
        return [written(document) for document in documents]
    options = collection.codec_options
    found = [encoded(document, options) for document in documents]
    return [
        written(document) if bson is None else bson
        for document, bson in zip(documents, found, strict=True)
    ]


def time_limit(milliseconds: int) -> AbstractContextManager[None]:
    """What ``max_time_ms`` asks for. The driver sends the deadline of the connection in the place
    of an operation's own limit, which would never be heard."""
    return pymongo.timeout(milliseconds / 1000)


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

    def over(
        self,
        connection: Connection,
        home: Connection,
        model: Any = None,
        prepared: int | None = None,
    ) -> ModelCollection:
        """This collection, as the one that was just made of ``model`` over ``connection``."""
        self._connection = connection
        self._home = home
        self._model = model
        self._prepared = prepared
        return self

    def __getitem__(self, name: str) -> Any:
        """The collection of this one's name, a dot and ``name``, as those of GridFS."""
        return self._like_this(f"{self.name}.{name}").over(self._connection, self._home)

    def with_options(self, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's; stays a collection of the model."""
        other = self._like_this(self.name, *args, **kwargs)
        return other.over(self._connection, self._home, self._model, self._prepared)

    def _like_this(
        self,
        name: str,
        codec_options: Any = None,
        read_preference: Any = None,
        write_concern: Any = None,
        read_concern: Any = None,
    ) -> ModelCollection:
        return ModelCollection(
            self.database,
            name,
            codec_options=codec_options or self.codec_options,
            read_preference=read_preference or self.read_preference,
            write_concern=write_concern or self.write_concern,
            read_concern=read_concern or self.read_concern,
        )

    def find(self, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's."""
        return _ModelCursor(self, *args, **kwargs)

    def find_raw_batches(self, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's."""
        return _ModelRawBatchCursor(self, *args, **kwargs)

    def aggregate(self, pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's."""
        run = partial(super().aggregate, pipeline, *args, **kwargs)
        return _performed(self, run, "aggregate", _effect_of(self, pipeline))

    def aggregate_raw_batches(self, pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        """Like PyMongo's."""
        run = partial(super().aggregate_raw_batches, pipeline, *args, **kwargs)
        return _performed(self, run, "aggregate", _effect_of(self, pipeline))

    def _aggregate(self, *args: Any, **kwargs: Any) -> Any:
        asked = perf_counter()
        # Both of them come here, with the driver's class of cursors.
        command, pipeline, kind, *others = args
        kind = _MODEL_CURSORS[kind]
        cursor: Any = super()._aggregate(command, pipeline, kind, *others, **kwargs)
        note_wait(cursor, perf_counter() - asked)
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
        model, prepared = self._model, self._home.built_indexes
        indexes.notice_drops(self._home)
        generation = prepared.generation
        if generation == self._prepared:
            return
        ensure = partial(indexes.ensure, model, self._home, self.name)
        with limit:
            _performed(self, ensure, "building the indexes", "none")
        self._prepared = generation
        if isinstance(model._collection, ModelCollection):
            model._disconnect()  # the next one knows that they stand


def _performed(
    collection: ModelCollection, run: Callable[[], Any], name: str, effect: Effect
) -> Any:
    connection = collection._connection
    before = operation.begin(connection)
    try:
        result = run()
    except PyMongoError as exc:
        if transactions.bound(connection) is connection and transactions.current():
            effect = "none"  # before the commit
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


def _operation(name: str, effect: Effect, *, stores: bool) -> Callable[..., Any]:
    writes = effect != "none"

    @wraps(getattr(Collection, name))
    def perform(self: ModelCollection, *args: Any, **kwargs: Any) -> Any:
        if writes and read_only.variable.get() is not None:
            read_only.check(f"{name} of {self.name!r}")
        if stores:
            check_call(name, args, kwargs, self.name)
            if self._model is not None:
                prepared = self._home.built_indexes
                if self._prepared != prepared.generation or monotonic() >= prepared.look_again_at:
                    self._ensure_indexes()
        # Looked up with each call: what measures an application may have replaced it.
        run = partial(getattr(super(ModelCollection, self), name), *args, **kwargs)
        return _performed(self, run, name, effect)

    return perform


_OPERATIONS: tuple[tuple[Effect, bool, str], ...] = (
    ("none", False, "count_documents distinct index_information list_indexes"),
    ("one", True, "find_one_and_replace find_one_and_update insert_one replace_one update_one"),
    ("many", True, "bulk_write insert_many update_many"),
    ("one", False, "delete_one find_one_and_delete"),
    ("many", False, "create_index create_indexes delete_many drop drop_index drop_indexes"),
)
for _effect, _stores, _names in _OPERATIONS:
    for _name in _names.split():
        setattr(ModelCollection, _name, _operation(_name, _effect, stores=_stores))


class _GuardedBatches(SizedBatches):
    """For a class before one of the driver's cursors: each batch is an operation of the model's
    collection."""

    def _refresh(self) -> int:
        cursor: Any = self
        if cursor._killed:  # all was read: no server is asked
            return len(cursor._data)
        if cursor._id is None:
            cursor._read_preference = None  # wound back, it may be read elsewhere than before
        if cursor._session is not None and was_joined(cursor._session):
            _rejoin(cursor)
        limit = getattr(cursor, "_max_time_ms", None)
        if limit is None:
            return int(_performed(cursor._collection, super()._refresh, "find", "none"))
        with time_limit(limit):
            return int(_performed(cursor._collection, super()._refresh, "find", "none"))


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


class _ModelCursor(_Repeatable, _GuardedBatches, Cursor[Any]):
    may_give_bytes = True


class _ModelRawBatchCursor(_Repeatable, _GuardedBatches, RawBatchCursor[Any]):
    pass


class _ModelCommandCursor(_GuardedBatches, CommandCursor[Any]):
    pass


class _ModelRawBatchCommandCursor(_GuardedBatches, RawBatchCommandCursor[Any]):
    pass


_MODEL_CURSORS: Mapping[Any, Any] = {
    CommandCursor: _ModelCommandCursor,
    RawBatchCommandCursor: _ModelRawBatchCommandCursor,
}


def _effect_of(collection: ModelCollection, pipeline: Sequence[Mapping[str, Any]]) -> Effect:
    writes = any(stage in ("$merge", "$out") for each in pipeline for stage in each)
    if writes:
        read_only.check(f"aggregate of {collection.name!r}")
    return "many" if writes else "none"
