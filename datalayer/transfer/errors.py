"""Turns what the driver raises during a transfer into ``TransferError``: what stopped it, and how
it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from datalayer.failures.connecting import kind_of
from datalayer.failures.server_codes import (
    AUTHORISATION,
    NOT_PRIMARY,
    SHUTTING_DOWN,
    ServerCode,
    code_of,
)
from datalayer.failures.tracebacks import without_locals
from datalayer.terminal import printable
from datalayer.transfer.plan import Part, Plan

_MOST_SHOWN = 5
_LONGEST_SHOWN = 80

PAST_IS_GONE = frozenset({ServerCode.SnapshotTooOld, ServerCode.SnapshotUnavailable})
"""The collection or its indexes have changed since."""
_HISTORY_IS_GONE = frozenset(
    {ServerCode.ChangeStreamFatalError, ServerCode.ChangeStreamHistoryLost}
)

_REFUSALS: dict[int, str] = {
    ServerCode.DocumentValidationFailure: "it does not pass the validator of the target",
    ServerCode.Overflow: "it is nested more deeply than the server takes",
    ServerCode.BSONObjectTooLarge: "it is larger than the server takes",
}


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
    fields = printable(", ".join(error.get("keyPattern", {})))
    return TransferError(
        f"{part.target!r} on {plan.target!r} has a unique index on "
        f"{fields}, which documents of the source would break; "
        "remove the duplicates, then resume, or roll back",
        alias=plan.target,
    )


def other_spelling(plan: Plan, part: Part, ids: Sequence[Any]) -> TransferError:
    """What to raise when documents can't be replaced, as their ids would change."""
    return TransferError(
        f"{part.target!r} on {plan.target!r} holds documents whose ids its collation takes for "
        f"those of the source, spelt otherwise ({shown(ids)}): an _id can't be replaced by "
        "another. Remove them from the target, or take --conflicts skip",
        alias=plan.target,
    )


class Kept:
    """What a rollback finds, or leaves, of documents that it may not take back."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.changed = self.made_anew = 0
        self._first: dict[str, list[Any]] = {"changed": [], "made_anew": []}

    def add(self, changed: Sequence[Any], made_anew: Sequence[Any]) -> None:
        """Count more of them; of the ids the first are kept, to be shown."""
        self.changed += len(changed)
        self.made_anew += len(made_anew)
        for name, ids in (("changed", changed), ("made_anew", made_anew)):
            self._first[name] += ids[: _MOST_SHOWN + 1 - len(self._first[name])]

    @property
    def count(self) -> int:
        """Of documents."""
        return self.changed + self.made_anew

    def left(self, plan: Plan) -> str:
        """What there is to say where everything else was taken back."""
        ids = [*self._first["made_anew"], *self._first["changed"]]
        return (
            f"{self.count} documents of {self.part.target!r} on {plan.target!r} are left as they "
            f"are ({shown(ids)})"
        )

    def told(self, plan: Plan) -> Iterator[str]:
        """What there is to say about them."""
        if self.changed:
            yield (
                f"documents of {self.part.target!r} on {plan.target!r} have changed since they "
                f"were verified, or others have put them there: {self.changed} "
                f"({shown(self._first['changed'])}); --force takes them back all the same, as "
                "they are now"
            )
        if self.made_anew:
            yield (
                f"documents that were moved from {self.part.source!r} on {plan.source!r} have "
                f"been made anew there: {self.made_anew} ({shown(self._first['made_anew'])}); "
                "both are left in place: remove one of the two yourself, or take back all others "
                "by --force"
            )


def kept_documents(plan: Plan, kept: Iterable[Kept]) -> None:
    """Raise where a rollback has to leave something.

    Raises:
        TransferError: saying how many documents, which, and what to do.
    """
    told = [text for each in kept for text in each.told(plan)]
    if told:
        raise TransferError(". ".join(told), alias=plan.target)


def others_in(plan: Plan, part: Part, count: int) -> TransferError:
    """What to raise where a time-series collection holds more than this transfer's documents."""
    return TransferError(
        f"{part.target!r} on {plan.target!r} holds {count} documents of others, and a time-series "
        "collection can only be taken back as a whole: move them elsewhere first",
        alias=plan.target,
    )


def document_refused(
    plan: Plan, part: Part, identifier: Any, error: OperationFailure | Mapping[str, Any]
) -> TransferError:
    """What to raise when the server refuses one document for what it is."""
    code = error.code if isinstance(error, OperationFailure) else error.get("code")
    reason = _REFUSALS.get(code or 0, f"the server refuses it (error {code})")
    return TransferError(
        f"the document {shown([identifier])} of {part.source!r} on {plan.source!r} can't be "
        f"stored in {part.target!r} on {plan.target!r}: {reason}; correct that, then go on: "
        f"`datalayer transfer resume {plan.name}`, or take back what was written",
        alias=plan.target,
    )


def shown(ids: Sequence[Any]) -> str:
    """Up to five ids, for a message."""
    texts = [repr(one)[:_LONGEST_SHOWN] for one in ids[:_MOST_SHOWN]]
    return ", ".join(texts) + (", ..." if len(ids) > _MOST_SHOWN else "")


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
        return f"the server refused an operation ({kind_of(exc)}, error {code})"
    return f"a server can't be reached, or did not answer in time ({kind_of(exc)})"
