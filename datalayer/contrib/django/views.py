"""Health views: liveness, readiness, and the status for those who may see it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.apps import apps
from django.core.signals import setting_changed
from django.db import Error as OrmError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed

from datalayer import db
from datalayer.contrib.django.answers import response_to
from datalayer.contrib.django.configuration import status_token
from datalayer.contrib.django.connecting import connect_within, needs_no_database
from datalayer.errors import DataLayerError
from datalayer.web import Endpoints, alive, is_temporary

__all__ = ["endpoints", "view_of"]

TIMEOUT_SECONDS = 2.0
"""How long the databases have for their pings."""

_READING = ("GET", "HEAD")
_LIVENESS = "/livez"


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
    probes have no account.
    """

    def view(request: HttpRequest) -> HttpResponse:
        if request.method not in _READING:
            return HttpResponseNotAllowed(_READING)
        head = request.method == "HEAD"
        if path == _LIVENESS:
            return response_to(alive(), head=head)
        connect_within(TIMEOUT_SECONDS)
        header = request.headers.get("Authorization")
        answer = endpoints().answer(path, authorization=header, authorised=_is_staff(request))
        if answer is None:
            raise Http404
        return response_to(answer, head=head)

    view.login_required = False  # type: ignore[attr-defined] # for Django's LoginRequiredMiddleware
    return needs_no_database(view)


def _is_staff(request: HttpRequest) -> bool:
    if not apps.is_installed("django.contrib.auth"):
        return False
    try:
        with db.deadline(TIMEOUT_SECONDS):
            user = getattr(request, "user", None)
            # A project's own model of users need not have either.
            return bool(getattr(user, "is_active", False) and getattr(user, "is_staff", False))
    except OrmError:  # the ORM's database is away: the answer must not need it
        return False
    except DataLayerError as exc:  # nor MongoDB, where the project keeps its users there
        if not is_temporary(exc):
            raise
        return False


def _forget(*, setting: str, **_facts: Any) -> None:
    if setting == "DATALAYER":
        endpoints.cache_clear()


setting_changed.connect(_forget, dispatch_uid="datalayer.contrib.django.views")
