"""What an error inside a transaction means: whether doing it again may help, and what to tell of
one that was caught inside and has ended it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

from datalayer.errors import DataLayerError, TransactionError, UnavailableError
from datalayer.failures.connecting import kind_of
from datalayer.failures.server_codes import ServerCode
from datalayer.failures.tracebacks import chain_of

_REFUSED = frozenset({ServerCode.IllegalOperation, ServerCode.OperationNotSupportedInTransaction})
_MEANINGS: Mapping[int, str] = {
    ServerCode.MaxTimeMSExpired: "a command that took longer than its time",
    ServerCode.WriteConflict: "a write conflict",
    ServerCode.DocumentValidationFailure: "a document that the collection's validator refuses",
    ServerCode.DuplicateKey: "a duplicate key",
}
_PLACE = re.compile(r"collection: [^. ]+\.(\S+) index: ")
_TRANSIENT = "TransientTransactionError"


@dataclass(frozen=True)
class Failure:
    """An error that a transaction has met; nothing of it are the values of documents."""

    what: str
    is_transient: bool
    """Whether it may be gone the next time."""


def failure_in(reply: Mapping[str, Any]) -> Failure | None:
    """The error that the server's reply to a command tells, or ``None``."""
    if not reply.get("ok"):
        error = reply
    elif reply.get("writeErrors"):
        error = reply["writeErrors"][0]
    else:
        return None
    code: int = error.get("code", 0)
    what = _MEANINGS.get(code) or f"an error of the server ({error.get('codeName', code)})"
    if code == ServerCode.DuplicateKey:
        place = _PLACE.search(str(error.get("errmsg")))
        what += f" in {place[1]!r}" if place else ""
    return Failure(what, _TRANSIENT in reply.get("errorLabels", ()))


def caught_by_the_end(exc: BaseException, told: Failure | None) -> Failure:
    """What ends a block inside a transaction, when the one around it goes on.

    ``told`` is the last error that the server has told in the transaction.
    """
    what = told.what if told is not None else kind_of(exc)
    return Failure(what, _is_transient(exc, told))


def explanation(exc: BaseException, alias: str, told: Failure | None) -> DataLayerError | None:
    """Datalayer's error where the block met the server's; ``None`` where ``exc`` may pass."""
    if isinstance(exc, DataLayerError) or not isinstance(exc, Exception):
        return None
    errors = list(_server_errors(exc))
    if any(error.code == ServerCode.NoSuchTransaction for error in errors):
        return over(alias, told)  # the answer to whatever comes after an error in it
    if _is_transient(exc, told):
        return rolled_back(alias)
    if errors and errors[0].code in _REFUSED:
        return TransactionError(
            f"the server of {alias!r} refuses this in a transaction (error {errors[0].code}): "
            "transactions need a replica set, and leave out $merge, $out, time-series collections "
            "and building indexes",
            alias=alias,
        )
    return None


def over(alias: str, told: Failure | None) -> DataLayerError:
    """The error where the server knows nothing of the transaction any more: an earlier error,
    which the application caught, has ended it, or the server itself."""
    if told is None:
        return rolled_back(alias)
    if told.is_transient:
        return rolled_back(alias, f"{told.what}, which was caught inside it,")
    return TransactionError(
        f"{told.what} was caught inside the transaction on {alias!r} and has ended it: the server "
        "has rolled it back, and nothing was written; let the error pass, or do what may fail "
        "before the transaction or after it",
        alias=alias,
    )


def rolled_back(
    alias: str, met: str = "another one or a change of the primary"
) -> UnavailableError:
    """The error for a transaction that the server gave up, through no fault of its own."""
    return UnavailableError(
        f"the transaction on {alias!r} met {met} and was rolled back: nothing was written; it "
        "can be done again, which @db.transactional does by itself",
        alias=alias,
    )


def _is_transient(exc: BaseException, told: Failure | None) -> bool:
    # MongoEngine raises errors of its own, with the driver's as their context.
    for each in chain_of(exc):
        if isinstance(each, TransactionError):
            return False
        if isinstance(each, PyMongoError) and each.has_error_label(_TRANSIENT):
            is_over = (
                isinstance(each, OperationFailure) and each.code == ServerCode.NoSuchTransaction
            )
            return told.is_transient if is_over and told is not None else True
    return isinstance(exc, UnavailableError)


def _server_errors(exc: BaseException) -> Iterator[OperationFailure]:
    """The server's errors that led to ``exc``, without those that were explained already."""
    for each in chain_of(exc):
        if isinstance(each, TransactionError):
            return
        if isinstance(each, OperationFailure):
            yield each
