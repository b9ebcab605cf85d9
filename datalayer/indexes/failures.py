"""Says in an ``IndexBuildError`` which collection or index could not be built, why, and what to
do. The server's own text is repeated only where it can't hold values of the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bson.errors import BSONError
from pymongo import IndexModel
from pymongo.errors import ConnectionFailure, NetworkTimeout, OperationFailure, PyMongoError

from datalayer.connections.connection import Connection
from datalayer.errors import IndexBuildError, NotConnectedError
from datalayer.failures.connecting import kind_of
from datalayer.failures.server_codes import AUTHORISATION, DUPLICATE_KEY, ServerCode
from datalayer.indexes.advice import (
    advice_on,
    difference_of,
    is_about_declaration,
    reason_of,
    shown,
    sibling_advice,
    trouble_with_documents,
)
from datalayer.indexes.comparing import ChangedIndex
from datalayer.indexes.declared import CollectionPlan

_INDEX_NAME = re.compile(r"index: (\S+) ")


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
    except BSONError as exc:
        raise IndexBuildError(
            f"{_place(connection, plan)} could not be built: a value in its options or in those "
            f"of its indexes can't be sent ({type(exc).__name__}); give values that BSON has",
            alias=connection.alias,
            collection=plan.name if plan else None,
        ) from None
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


def index_refused(
    exc: OperationFailure,
    connection: Connection,
    plan: CollectionPlan,
    index: IndexModel,
    change: ChangedIndex | None = None,
) -> IndexBuildError:
    """The error for an index that the server refuses as it is declared.

    ``change`` is the index that stands in its place.
    """
    what = f"the index {shown(index)} of {_place(connection, plan)}"
    declared = {each.document["name"] for each in plan.indexes} - {index.document["name"]}
    if change is not None and change.actual.name in declared:
        message = (
            f"{what} can't be built: {change.actual.name!r}, declared too, is in its place "
            f"({reason_of(exc)}); {advice_on(index, exc)}"
        )
    elif change is not None:
        drop = "" if change.in_place else " --drop"
        message = (
            f"{what} exists in another form: {change.actual.name!r} is there, and "
            f"{difference_of(change)}; `datalayer indexes sync{drop}` brings it in line"
        )
    else:
        message = f"{what} can't be built: {reason_of(exc)}; {advice_on(index, exc)}"
    return IndexBuildError(
        message, alias=connection.alias, collection=plan.name, index=index.document["name"]
    )


def _place(connection: Connection, plan: CollectionPlan | None) -> str:
    what = repr(plan.name) + " on" if plan else "the collections of"
    return f"{what} {connection.label}"


def _explain(
    exc: PyMongoError, connection: Connection, plan: CollectionPlan | None
) -> IndexBuildError:
    where = _place(connection, plan)
    index: str | None = None
    if isinstance(exc, OperationFailure) and not exc.timeout:
        index, message = _refused(exc, plan, where)
    elif exc.timeout:
        message = (
            f"building {where} did not end within its deadline; look at the server's load, or "
            "build it off the request path with `datalayer indexes sync`; where this was in a "
            "transaction that had read the collection, write to it once before the transaction"
        )
    else:
        message = (
            f"{where} could not be built because the server can't be reached "
            f"({kind_of(exc)}); look at `datalayer doctor`, then connect again"
        )
    return IndexBuildError(
        message, alias=connection.alias, collection=plan.name if plan else None, index=index
    )


def _refused(
    exc: OperationFailure, plan: CollectionPlan | None, where: str
) -> tuple[str | None, str]:
    """The name of the index, where it is known, and the message."""
    if exc.code in DUPLICATE_KEY:
        return _duplicated(exc, plan, where)
    if trouble := trouble_with_documents(exc):
        return _unfit(*trouble, plan, f"of {where} can't be built ({reason_of(exc)})")
    if exc.code in AUTHORISATION:
        return None, (
            f"the user may not create indexes for {where}: grant it readWrite, or set "
            "AUTO_INDEX and AUTO_CREATE to false and let another user run "
            "`datalayer indexes sync`"
        )
    if exc.code == ServerCode.OutOfDiskSpace:
        return None, (
            f"{where} could not be built because the server's disk is full; make room there, "
            "then connect again"
        )
    if exc.code == ServerCode.UnsatisfiableCommitQuorum:
        return None, (
            f"{where} could not be built: the replica set lacks the members that its "
            "commit quorum asks for; take votingMembers, majority or a smaller number"
        )
    remedy = (
        "change what the model declares"
        if is_about_declaration(exc)
        else "look into the server's log, and compare the indexes in the model's meta"
    )
    return None, f"the server refused to build {where}: {reason_of(exc)}; {remedy}"


def _duplicated(
    exc: OperationFailure, plan: CollectionPlan | None, where: str
) -> tuple[str | None, str]:
    """Names the index and its keys, without their values."""
    details: Any = exc.details or {}
    found = _INDEX_NAME.search(str(details.get("errmsg", "")))
    name = found.group(1) if found else None
    keys = " and ".join(details.get("keyPattern", {})) or "values"
    message = (
        f"the unique index {name!r} of {where} can't be built: documents share the same "
        f"{keys}; remove or change the duplicates, then connect again or run "
        "`datalayer indexes sync`"
    )
    if plan is not None:
        for index in plan.indexes:
            if index.document["name"] == name and (advice := sibling_advice(plan, index)):
                message += f". Perhaps they are none: {advice}"
    return name, message


def _unfit(
    kind: str, trouble: str, plan: CollectionPlan | None, what: str
) -> tuple[str | None, str]:
    indexes = [
        index
        for index in (plan.indexes if plan else ())
        if kind in index.document["key"].values() or (not kind and len(index.document["key"]) > 1)
    ]
    named = " or ".join(map(shown, indexes)) or "an index"
    name = indexes[0].document["name"] if len(indexes) == 1 else None
    return name, (
        f"the index {named} {what}: {trouble}; correct the documents, or leave them out of it "
        'with a "partialFilterExpression"'
    )
