"""Keeps in a visitor's session that he may see something, for the time that the database which
says so is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps

from flask import session

from datalayer.web import REMEMBERED_SECONDS, is_temporary

Question = Callable[[], object]


def remembered(
    who: Question, *, seconds: float = REMEMBERED_SECONDS
) -> Callable[[Question], Callable[[], bool]]:
    """Decorates a function that says, in a request, whether the visitor may do something.

    Its yes still holds while it can't be asked because a database is away, for ``seconds`` since
    it was last given (an hour unless something else is said). So somebody whose right is taken
    meanwhile has lost it by then; as soon as the function answers, its answer counts.

    The yes and its time stand in Flask's session, which is signed, together with ``who()``: that
    is to say from the session alone who asks, and ``None`` of a stranger. Somebody else who signs
    in with the same browser doesn't inherit it::

        @remembered(lambda: session.get("user_id"))
        def is_admin() -> bool:
            return current_user().is_admin

        app.register_blueprint(health_blueprint(authorise=is_admin))
    """

    def decorate(function: Question) -> Callable[[], bool]:
        key = f"datalayer.{getattr(function, '__name__', 'remembered')}"

        @wraps(function)
        def ask() -> bool:
            asking = who()
            try:
                says_yes = bool(function())
            except Exception as exc:
                if asking is None or not is_temporary(exc):
                    raise
                if _age_of(session.get(key), str(asking)) > seconds:
                    raise
                return True
            _note(key, None if asking is None else str(asking), says_yes, seconds)
            return says_yes

        return ask

    return decorate


def _age_of(noted: object, asking: str) -> float:
    """How many seconds ago a yes was noted of who asks now; infinity where none was."""
    if not isinstance(noted, (list, tuple)) or len(noted) != 2:
        return float("inf")
    whom, at = noted
    if whom != asking or not isinstance(at, int) or at > time.time() + 1:
        return float("inf")
    return time.time() - at


def _note(key: str, asking: str | None, says_yes: bool, seconds: float) -> None:
    """Keep a yes, or forget it. Not with each request: each would send the cookie again."""
    if asking is None or not says_yes:
        if key in session:
            del session[key]
    elif _age_of(session.get(key), asking) > seconds / 20:
        session[key] = [asking, int(time.time())]
