"""Says in an ``IndexBuildError`` why a collection or an index could not be built and what to do.

The server's own text is never repeated: it can hold values of the documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import ConnectionFailure, NetworkTimeout, OperationFailure, PyMongoError

from datalayer.core import Connection
from datalayer.errors import IndexBuildError, NotConnectedError
from datalayer.indexes.declared import CollectionPlan
from datalayer.operation_errors import OUT_OF_DISK_SPACE

__all__ = ["explained"]

_INDEX_NAME = re.compile(r"index: (\S+) dup key")


@contextmanager
def explained(
    connection: Connection, plan: CollectionPlan | None, *, writing: bool = False
) -> Iterator[None]:
    """Turn the driver's errors inside the block into ``IndexBuildError``, or into
    ``NotConnectedError`` where the database was disconnected meanwhile.

    When ``writing``, the error of a server that is away passes as it is: the write itself would
    have raised the same.
    """
    try:
        yield
    except PyMongoError as exc:
        if connection.closed and not isinstance(exc, OperationFailure):
            raise NotConnectedError(
                f"{_place(connection, plan)} could not be built: the database was disconnected "
                "meanwhile; call db.disconnect_all() only when the work has ended",
                alias=connection.alias,
            ) from None
        away = isinstance(exc, ConnectionFailure) and not isinstance(exc, NetworkTimeout)
        if writing and away:
            raise
        # Without the driver's error as its cause: a traceback would print the values of the
        # documents that stand in the way of a unique index.
        raise _explain(exc, connection, plan) from None


def _place(connection: Connection, plan: CollectionPlan | None) -> str:
    what = repr(plan.name) + " on" if plan else "the collections of"
    return f"{what} {connection.alias!r}"


def _explain(
    exc: PyMongoError, connection: Connection, plan: CollectionPlan | None
) -> IndexBuildError:
    alias, collection = connection.alias, plan.name if plan else None
    where = _place(connection, plan)
    index: str | None = None
    if isinstance(exc, OperationFailure) and exc.code in (11000, 11001):
        index, keys = _duplicated(exc)
        message = (
            f"the unique index {index!r} of {where} can't be built: documents share the same "
            f"{keys}; remove or change the duplicates, then connect again or run "
            "`datalayer indexes sync`"
        )
    elif isinstance(exc, OperationFailure) and exc.code in (85, 86):
        message = (
            f"an index of {where} exists with other options than its model declares; "
            "`datalayer indexes diff` shows which, and `datalayer indexes sync --drop` "
            "builds it anew"
        )
    elif isinstance(exc, OperationFailure) and exc.code == 13:
        message = (
            f"the user may not create indexes for {where}: grant it readWrite, or set "
            "AUTO_INDEX and AUTO_CREATE to false and let another user run "
            "`datalayer indexes sync`"
        )
    elif isinstance(exc, OperationFailure) and exc.code == OUT_OF_DISK_SPACE:
        message = (
            f"{where} could not be built because the server's disk is full; make room there, "
            "then connect again"
        )
    elif exc.timeout:
        message = (
            f"building {where} did not end within its deadline; look at the server's load, or "
            "build it off the request path with `datalayer indexes sync`"
        )
    elif isinstance(exc, OperationFailure):
        message = (
            f"the server refused to build {where} (error {exc.code}); compare the indexes in "
            "the model's meta with the server's log"
        )
    else:
        message = (
            f"{where} could not be built because the server can't be reached "
            f"({type(exc).__name__}); look at `datalayer doctor`, then connect again"
        )
    return IndexBuildError(message, alias=alias, collection=collection, index=index)


def _duplicated(exc: OperationFailure) -> tuple[str | None, str]:
    """The name of the index and the names of its keys, without their values."""
    details = exc.details or {}
    found = _INDEX_NAME.search(str(details.get("errmsg", "")))
    keys = " and ".join(details.get("keyPattern", {})) or "values"
    return (found.group(1) if found else None), keys
