"""Turns what the driver raises during a transfer into ``TransferError``: what stopped it, and how
it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from datalayer.errors import TransferError
from datalayer.server_codes import AUTHORISATION, NOT_PRIMARY, SHUTTING_DOWN, ServerCode, code_of
from datalayer.traceback_locals import without_locals
from datalayer.transfer.plan import Part, Plan

__all__ = [
    "PAST_IS_GONE",
    "explained",
    "fail_over",
    "foreign_documents",
    "index_in_the_way",
]

PAST_IS_GONE = frozenset({ServerCode.SnapshotTooOld, ServerCode.SnapshotUnavailable})
"""The collection or its indexes have changed since."""
_HISTORY_IS_GONE = frozenset(
    {ServerCode.ChangeStreamFatalError, ServerCode.ChangeStreamHistoryLost}
)


def foreign_documents(plan: Plan) -> TransferError:
    """What to raise when the target got documents of the same ``_id`` from somebody else."""
    return TransferError(
        f"the target {plan.target!r} got documents of the same _id from somebody else during the "
        "transfer; they were left as they are. Look into them, then take back what was written: "
        f"`datalayer transfer rollback {plan.name}`",
        alias=plan.target,
    )


def index_in_the_way(plan: Plan, part: Part, error: Mapping[str, Any]) -> TransferError:
    """What to raise when the server refuses a document for a unique index."""
    return TransferError(
        f"{part.target!r} on {plan.target!r} has a unique index on "
        f"{', '.join(error.get('keyPattern', {}))}, which documents of the source would break; "
        "remove the duplicates, then resume, or roll back",
        alias=plan.target,
    )


def fail_over(exc: BaseException) -> bool:
    """Whether ``exc`` comes of a primary that was lost: there will be another, if none is there
    already. Where the driver has waited for one in vain it is of no use to wait again."""
    if isinstance(exc, BulkWriteError):
        errors = [*exc.details["writeErrors"], *exc.details.get("writeConcernErrors", ())]
        return any(each.get("code") in NOT_PRIMARY | SHUTTING_DOWN for each in errors)
    return isinstance(exc, ConnectionFailure) and not isinstance(exc, ServerSelectionTimeoutError)


@contextmanager
def explained(what: str, advice: str = "") -> Iterator[None]:
    """Say in a ``TransferError`` that ``what`` stopped, and give ``advice``."""
    try:
        yield
    except PyMongoError as exc:
        # Without the driver's error as its cause: its text can hold values of documents.
        raise TransferError(f"{what} stopped: {_reason(without_locals(exc))}{advice}") from None


def _reason(exc: PyMongoError) -> str:
    code = code_of(exc)
    if code in AUTHORISATION:
        return (
            "the user lacks a privilege that it needs; `datalayer doctor --print-roles` prints "
            "what to grant"
        )
    if code == ServerCode.DocumentValidationFailure:
        return "a document does not pass the validator of the target"
    if code == ServerCode.OutOfDiskSpace:
        return "the target's disk is full"
    if code in PAST_IS_GONE:
        return (
            "the source keeps its past for minSnapshotHistoryWindowInSeconds (300 by default), "
            "and that of the snapshot is gone; take back what was copied, and give the server a "
            "longer window, or follow the changes instead"
        )
    if code in _HISTORY_IS_GONE:
        return (
            "the oplog of the source no longer reaches back to the changes to be followed; take "
            "back what was copied, and begin again with a larger oplog"
        )
    if isinstance(exc, OperationFailure) and not exc.timeout:
        return f"the server refused an operation ({type(exc).__name__}, error {code})"
    return f"a server can't be reached, or did not answer in time ({type(exc).__name__})"
