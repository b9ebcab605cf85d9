"""GridFS over datalayer's connections: their errors, their deadlines, and their transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gridfs import GridFS, GridIn, NoFile
from gridfs.errors import FileExists
from pymongo.errors import PyMongoError

from datalayer import transactions
from datalayer.connections.connection import Connection
from datalayer.documents.collection import database_of, outside_transaction
from datalayer.documents.model_collection import ModelCollection
from datalayer.errors import DataLayerError, TransactionError

_OF_THE_DRIVER = frozenset({"_id", "length", "uploadDate", "md5", "chunkSize"})


def files_of(connection: Connection, name: str) -> Files:
    """The files that the collections called ``name`` hold on ``connection``; asks no server."""
    return Files(database_of(connection), name)


class Files(GridFS):
    """PyMongo's, whose files can be written in a transaction: their indexes are built outside."""

    def new_file(self, **kwargs: Any) -> GridIn:
        """Like PyMongo's. A file is written inside one transaction, or outside of any."""
        return _Upload(self._collection, **kwargs)

    def put(self, data: Any, **kwargs: Any) -> Any:
        """Like PyMongo's; where it fails, nothing is left of a file with a new id."""
        upload = self.new_file(**kwargs)
        try:
            upload.write(data)
            upload.close()
        except BaseException:
            if "_id" not in kwargs:  # else there may be a file that has it
                self._clean_up(upload._id)
            raise
        return upload._id

    def _clean_up(self, key: Any) -> None:
        if transactions.current() is None:  # which is rolled back
            with suppress(PyMongoError, DataLayerError):
                self.delete(key)


class _Upload(GridIn):
    def __init__(self, collection: Any, **kwargs: Any) -> None:
        super().__init__(collection, **kwargs)
        object.__setattr__(self, "_begun_in", transactions.current())

    def _ensure_indexes(self) -> None:
        with _outside(self._coll):
            super()._ensure_indexes()

    def write(self, data: Any) -> None:
        """Like PyMongo's."""
        self._check_transaction()
        super().write(data)

    def close(self) -> None:
        """Like PyMongo's."""
        if not self.closed:
            self._check_transaction()
        super().close()

    def _check_transaction(self) -> None:
        if self._begun_in is not transactions.current():
            raise TransactionError(
                "a file that was begun in a transaction is written and closed in it, and one "
                "that was begun outside is closed before: a rollback would leave a part of it"
            )


@contextmanager
def _outside(collection: Any) -> Iterator[None]:
    if isinstance(collection, ModelCollection):
        with outside_transaction(collection._connection):
            yield
    else:
        yield  # mongomock's


def prepare_for_transactions(connection: Connection, name: str) -> None:
    """Build the indexes of the files called ``name``: a transaction that has begun doesn't see
    collections that are made later."""
    _Upload(files_of(connection, name)._collection)._ensure_indexes()


def copy_file(source: Files, target: Files, key: Any) -> None:
    """Put the file ``key`` of ``source`` into ``target`` under the same key, with its thumbnail,
    unless it is there."""
    if target.exists(key):
        return
    try:
        stored = source.get(key)
    except NoFile:
        return
    details = {name: value for name, value in stored._file.items() if name not in _OF_THE_DRIVER}
    if details.get("thumbnail_id") is not None:
        copy_file(source, target, details["thumbnail_id"])
    try:
        target.put(stored, _id=key, chunkSize=stored.chunk_size, **details)
    except FileExists:
        return  # somebody else copies it, too
    except BaseException:
        target._clean_up(key)
        raise
