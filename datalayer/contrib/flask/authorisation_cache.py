"""Keeps in a visitor's session that he may see something, for the time that the database which
says so is away."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import wraps
from math import ceil
from typing import Any

from flask import Response, after_this_request, current_app, request, session
from itsdangerous import BadSignature, URLSafeSerializer

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

    Where the session is kept in a database (``ServerSessionInterface``), which may be the one
    that is away, they stand in a cookie of their own, signed with the application's secret key.
    It counts alone while nobody knows what stands in the session, and goes with signing out.
    """

    def decorate(function: Question) -> Callable[[], bool]:
        key = f"datalayer.{getattr(function, '__name__', 'remembered')}"

        @wraps(function)
        def ask() -> bool:
            place = _place_of(key, seconds)
            if not getattr(session, "is_available", True):
                noted = place.read()
                return noted is not None and _age_of(noted, noted[0]) <= seconds
            asking = who()
            try:
                says_yes = bool(function())
            except Exception as exc:
                if asking is None or not is_temporary(exc):
                    raise
                if _age_of(place.read(), str(asking)) > seconds:
                    raise
                return True
            _note(place, None if asking is None else str(asking), says_yes, seconds)
            return says_yes

        return ask

    return decorate


Noted = tuple[str, int]
"""Who was given a yes, and when, in seconds since 1970."""


class _Session:
    """Keeps a yes in Flask's session."""

    def __init__(self, key: str) -> None:
        self._key = key

    def read(self) -> Noted | None:
        return _noted(session.get(self._key))

    def keep(self, noted: Noted) -> None:
        session[self._key] = list(noted)

    def forget(self) -> None:
        if self._key in session:
            del session[self._key]


class _Cookie:
    """Keeps a yes in a signed cookie with the attributes of the session's."""

    def __init__(self, key: str, seconds: float) -> None:
        self._key = re.sub(r"[^\w.-]", "_", key, flags=re.ASCII)  # "<lambda>" names no cookie
        self._seconds = seconds

    def read(self) -> Noted | None:
        signer, sent = self._signer(), request.cookies.get(self._key)
        if signer is None or sent is None:
            return None
        try:
            return _noted(signer.loads(sent))
        except BadSignature:
            return None

    def keep(self, noted: Noted) -> None:
        signer = self._signer()
        if signer is None:
            return
        value = signer.dumps(list(noted))

        @after_this_request
        def send(response: Response) -> Response:
            response.set_cookie(
                self._key, value, max_age=ceil(self._seconds), **_attributes_of_the_session_s()
            )
            return response

    def forget(self) -> None:
        if self._key not in request.cookies:
            return

        @after_this_request
        def take_back(response: Response) -> Response:
            response.delete_cookie(self._key, **_attributes_of_the_session_s())
            return response

    def _signer(self) -> URLSafeSerializer | None:
        secret, identifier = current_app.secret_key, getattr(session, "identifier", None)
        if not secret or identifier is None:
            return None
        keys = [*(current_app.config["SECRET_KEY_FALLBACKS"] or ()), secret]
        # It belongs to the one session: who signs out loses his cookie, and this with it.
        return URLSafeSerializer(keys, salt=f"{self._key} {identifier}")


def _place_of(key: str, seconds: float) -> _Session | _Cookie:
    return _Cookie(key, seconds) if hasattr(session, "is_available") else _Session(key)


def _attributes_of_the_session_s() -> dict[str, Any]:
    app, cookie = current_app, current_app.session_interface
    return {
        "domain": cookie.get_cookie_domain(app),
        "path": cookie.get_cookie_path(app),
        "secure": cookie.get_cookie_secure(app),
        "httponly": True,
        "samesite": cookie.get_cookie_samesite(app),
    }


def _noted(value: object) -> Noted | None:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return None
    whom, at = value
    return (whom, at) if isinstance(whom, str) and isinstance(at, int) else None


def _age_of(noted: Noted | None, asking: str) -> float:
    """How many seconds ago a yes was noted of who asks now; infinity where none was."""
    if noted is None or noted[0] != asking or noted[1] > time.time() + 1:
        return float("inf")
    return time.time() - noted[1]


def _note(place: _Session | _Cookie, asking: str | None, says_yes: bool, seconds: float) -> None:
    """Keep a yes, or forget it. Not with each request: each would send the cookie again."""
    if asking is None or not says_yes:
        place.forget()
    elif _age_of(place.read(), asking) > seconds / 20:
        place.keep((asking, int(time.time())))
