"""Health views: liveness, readiness, and the status for those who may see it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.db import Error as OrmError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed

from datalayer import db
from datalayer.contrib.connecting import connect_within, needs_no_database
from datalayer.contrib.django.connecting import connect, is_connected
from datalayer.contrib.django.responses import response_to
from datalayer.contrib.django.settings import status_token
from datalayer.errors import DataLayerError
from datalayer.web import REMEMBERED_SECONDS, Endpoints, alive, is_temporary

TIMEOUT_SECONDS = 2.0
"""How long the databases have for their pings."""

_READING = ("GET", "HEAD")
_LIVENESS = "/livez"
_COOKIE = "datalayer_status"
_SALT = "datalayer.contrib.django.status"


@cache
def endpoints() -> Endpoints:
    """What answers, with the token of ``DATALAYER`` or of the environment."""
    return Endpoints(token=status_token(), timeout_seconds=TIMEOUT_SECONDS)


def view_of(path: str) -> Callable[[HttpRequest], HttpResponse]:
    """The view that answers as ``datalayer.web`` does for ``path``.

    Liveness asks nobody. The others have a process that is not connected yet do so, and wait no
    longer for it than for a ping: a process that gets no request before it is ready would never
    connect otherwise. Details are for those who send the token, and for staff users of
    ``django.contrib.auth``; ``LoginRequiredMiddleware`` lets strangers through to them, since
    probes have no account. Who has seen them as staff still does for an hour while it can't be
    told, the database of users or sessions being away: a signed cookie, which is bound to the
    session, says so.
    """

    def view(request: HttpRequest) -> HttpResponse:
        if request.method not in _READING:
            return HttpResponseNotAllowed(_READING)
        head = request.method == "HEAD"
        if path == _LIVENESS:
            return response_to(alive(), head=head)
        if not is_connected():
            connect_within(connect, TIMEOUT_SECONDS)
        header = request.headers.get("Authorization")
        is_staff = _is_staff(request)
        may_see = _was_staff(request) if is_staff is None else is_staff
        answer = endpoints().answer(path, authorization=header, authorised=may_see)
        if answer is None:
            raise Http404
        response = response_to(answer, head=head)
        if is_staff is not None:
            _remember(request, response, is_staff=is_staff)
        return response

    view.login_required = False  # type: ignore[attr-defined] # for Django's LoginRequiredMiddleware
    return needs_no_database(view)


def _is_staff(request: HttpRequest) -> bool | None:
    """``None`` where it can't be told, since a database is away."""
    if not apps.is_installed("django.contrib.auth"):
        return False
    try:
        with db.deadline(TIMEOUT_SECONDS):
            user = getattr(request, "user", None)
            # A project's own model of users need not have either.
            return bool(getattr(user, "is_active", False) and getattr(user, "is_staff", False))
    except OrmError:  # the ORM's database is away: the answer must not need it
        return None
    except DataLayerError as exc:  # nor MongoDB, where the project keeps its users there
        if not is_temporary(exc):
            raise
        return None


def _was_staff(request: HttpRequest) -> bool:
    session = _session_of(request)
    noted = request.get_signed_cookie(
        _COOKIE, default=None, salt=_SALT, max_age=int(REMEMBERED_SECONDS)
    )
    return session is not None and noted == session


def _remember(request: HttpRequest, response: HttpResponse, *, is_staff: bool) -> None:
    session = _session_of(request)
    if is_staff and session is not None:
        response.set_signed_cookie(
            _COOKIE,
            session,
            salt=_SALT,
            max_age=int(REMEMBERED_SECONDS),
            secure=request.is_secure(),
            httponly=True,
            samesite="Strict",
        )
    elif _COOKIE in request.COOKIES:
        response.delete_cookie(_COOKIE, samesite="Strict")


def _session_of(request: HttpRequest) -> str | None:
    """What tells the session from others, without showing its key: logging in or out changes
    it, and no database needs to be asked."""
    key = request.COOKIES.get(django_settings.SESSION_COOKIE_NAME)
    return hashlib.sha256(key.encode()).hexdigest() if key else None


def _forget(*, setting: str, **_facts: Any) -> None:
    if setting == "DATALAYER":
        endpoints.cache_clear()


setting_changed.connect(_forget, dispatch_uid="datalayer.contrib.django.views")
