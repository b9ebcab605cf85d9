"""Which errors a client of a web application may answer by trying again a little later, or by
loading again what it was about to change."""

from __future__ import annotations

from datalayer.errors import (
    AuthenticationError,
    ConnectError,
    DeadlineExceededError,
    NotConnectedError,
    PoolExhaustedError,
    UnavailableError,
)
from datalayer.web.answer import Answer, json_answer

RETRY_AFTER_SECONDS = 2
"""A planned fail-over takes a second, an unplanned one about twelve; asking again is cheap."""

TEMPORARY_ERRORS: tuple[type[Exception], ...] = (
    ConnectError,
    DeadlineExceededError,
    NotConnectedError,
    PoolExhaustedError,
    UnavailableError,
)
"""Errors of operations that had no effect, so that the same request may come again.

``is_temporary`` excepts ``AuthenticationError``, which is a kind of ``ConnectError``.
"""


def is_temporary(error: BaseException) -> bool:
    """Whether the operation had no effect and may succeed a little later.

    ``OutcomeUnknownError`` is none: a client that sent the request again could write twice.
    ``AuthenticationError`` is none either: waiting doesn't make a password right.
    """
    return isinstance(error, TEMPORARY_ERRORS) and not isinstance(error, AuthenticationError)


def temporary_failure(retry_after_seconds: int = RETRY_AFTER_SECONDS) -> Answer:
    """503 with ``Retry-After`` (RFC 9110, section 10.2.3). Tells nothing of the database."""
    return json_answer(
        503,
        {"error": "temporarily unavailable, please try again"},
        headers={"Retry-After": str(retry_after_seconds)},
    )


def conflict() -> Answer:
    """409, for a ``StaleDocumentError``: nothing was written, and the same request would meet the
    same change (RFC 9110, section 15.5.10). Tells nothing of the document."""
    return json_answer(409, {"error": "changed meanwhile, please load it again"})
