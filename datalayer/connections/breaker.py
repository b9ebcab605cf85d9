"""Lets calls to a database that is away fail at once, instead of each waiting for a time-out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Literal

from datalayer.errors import UnavailableError

FAILURES_TO_OPEN = 3
COOL_DOWN_SECONDS = 5.0


class CircuitBreaker:
    """Counts failures in a row and refuses calls while a database is known to be away.

    It opens when the driver's monitoring has lost the last usable server, and closes when it has
    found one again: that costs no call anything. A server that hangs looks alive to the
    monitoring for a while, so ``FAILURES_TO_OPEN`` calls in a row that waited in vain open it
    too; after ``COOL_DOWN_SECONDS`` one call is let through, and its end decides.

    A call that ended without an answer for a reason that may be its own, such as a deadline of
    the caller's, decides nothing: after ``FAILURES_TO_OPEN`` of them in a row the server has to
    be asked by whoever counted the last one.

    Not pybreaker: that one knows only of calls, so each recovery would have to be found out by
    an application's thread that waits for a time-out.
    """

    def __init__(self, alias: str, clock: Callable[[], float] = monotonic) -> None:
        self._alias = alias
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Close: the database was reached, or the process was forked."""
        self._lock = threading.Lock()  # guards the fields below
        self._away = False
        self._unanswered = 0  # calls in a row without an answer, whatever the reason
        self._failures = 0  # of them, those that waited in vain
        self._question: object | None = None  # the one that the server is being asked
        self._try_again_at: float | None = None
        self._trying = False  # whether the end of a call that tries is awaited

    @property
    def state(self) -> Literal["closed", "open"]:
        """``open`` while calls are refused."""
        return "open" if self._away or self._try_again_at is not None else "closed"

    def open(self) -> None:
        """Refuse all calls until ``reset``: no server can be used."""
        self._away = True

    def check(self) -> None:
        """Let a call pass, or raise ``UnavailableError`` at once."""
        if not self._away and self._try_again_at is None:
            return
        with self._lock:
            if not self._away:
                now = self._clock()
                if self._try_again_at is None:
                    return
                if now >= self._try_again_at:
                    self._try_again_at = now + COOL_DOWN_SECONDS  # this call tries, others wait
                    self._trying = True
                    return
        raise UnavailableError(
            f"{self._alias!r} is away, and calls to it fail at once until it is back; "
            f"db.get({self._alias!r}).status() tells the last error",
            alias=self._alias,
        )

    def failed(self) -> None:
        """Count a call that the database left unanswered for as long as it may take."""
        with self._lock:
            self._unanswered += 1
            self._failures += 1
            if self._failures >= FAILURES_TO_OPEN:
                self._cool_down()

    def succeeded(self) -> None:
        """The database has answered a call."""
        if self._unanswered:
            with self._lock:
                self._unanswered = self._failures = 0
                self._close()

    def undecided(self) -> None:
        """A call has ended that tells nothing of the database: if it tried, the next one may."""
        if self._trying:
            with self._lock:
                self._let_the_next_try()

    def doubted(self) -> object | None:
        """Count a call without an answer that may have been given too little time for one.

        Returns a question where the server is to be asked now, whose outcome goes to
        ``answered``; one at a time.
        """
        with self._lock:
            self._unanswered += 1
            if self._question is not None:
                return None
            if self._unanswered < FAILURES_TO_OPEN:
                self._let_the_next_try()
                return None
            self._question = object()
            return self._question

    def answered(self, question: object, *, answer: bool | None) -> None:
        """What came of a question: an answer, none in time, or, with ``None``, neither."""
        with self._lock:
            if question is not self._question:
                return  # closed meanwhile
            self._question = None
            if answer is False and self._unanswered >= FAILURES_TO_OPEN:
                self._cool_down()
                return
            if answer:
                self._unanswered = self._failures
            if answer and self._failures < FAILURES_TO_OPEN:
                self._close()
            else:
                self._let_the_next_try()

    # Inside, under the lock

    def _cool_down(self) -> None:
        self._try_again_at = self._clock() + COOL_DOWN_SECONDS
        self._trying = False

    def _close(self) -> None:
        self._try_again_at = None
        self._trying = False

    def _let_the_next_try(self) -> None:
        if self._trying:
            self._try_again_at = self._clock()
            self._trying = False
