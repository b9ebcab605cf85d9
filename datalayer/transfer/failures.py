"""Turns what the driver raises during a transfer into ``TransferError``: what stopped it, and how
it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from datalayer.errors import TransferError

__all__ = ["NOT_PERMITTED", "explained"]

NOT_PERMITTED = frozenset({13, 8000})
"""Unauthorized, and Atlas' own code for it."""
_VALIDATION = 121
_NO_SPACE = 14031


@contextmanager
def explained(what: str, advice: str = "") -> Iterator[None]:
    """Say in a ``TransferError`` that ``what`` stopped, and give ``advice``."""
    try:
        yield
    except PyMongoError as exc:
        # Without the driver's error as its cause: its text can hold values of documents.
        raise TransferError(f"{what} stopped: {_reason(exc)}{advice}") from None


def _reason(exc: PyMongoError) -> str:
    code = _code_of(exc)
    if code in NOT_PERMITTED:
        return (
            "the user lacks a privilege that it needs; `datalayer doctor --print-roles` prints "
            "what to grant"
        )
    if code == _VALIDATION:
        return "a document does not pass the validator of the target"
    if code == _NO_SPACE:
        return "the target's disk is full"
    if isinstance(exc, OperationFailure) and not exc.timeout:
        return f"the server refused an operation ({type(exc).__name__}, error {code})"
    return f"a server can't be reached, or did not answer in time ({type(exc).__name__})"


def _code_of(exc: PyMongoError) -> int | None:
    if isinstance(exc, BulkWriteError):
        errors = exc.details.get("writeErrors") or [{}]
        code: int | None = errors[0].get("code")
        return code
    return exc.code if isinstance(exc, OperationFailure) else None
