"""When a Django process connects: at its first request that may need a database, or when it is
told to. Never in ``ready()``, which every ``manage.py`` command runs, and so do the parents of
runserver's reloader and of gunicorn's workers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from datalayer import db
from datalayer.concurrency.threads import side_by_side
from datalayer.connections.registry import registry
from datalayer.contrib.django.configuration import read_settings
from datalayer.errors import AuthenticationError
from datalayer.failures.redaction import without_contents
from datalayer.settings import Settings

logger = logging.getLogger("datalayer.contrib.django")

MARK = "needs_no_database"
"""The attribute of a view that ``ConnectMiddleware`` lets pass without connecting."""

View = TypeVar("View", bound=Callable[..., Any])


class _Refused:
    """The last settings whose credentials a server has refused. Set and read as a whole."""

    latest: tuple[Settings, AuthenticationError] | None = None


def needs_no_database(view: View) -> View:
    """Mark a view that is to answer without a connection.

    It then does so also while a database is away. Of a class, mark what ``as_view()`` gives::

        path("about", needs_no_database(About.as_view()))
    """
    setattr(view, MARK, True)
    return view


def is_connected() -> bool:
    """Whether this process has connected; costs nothing. Servers may be away meanwhile."""
    return registry.settings is not None


def connect() -> None:
    """Connect every database of the dict ``DATALAYER``; nothing happens in a process that has.

    Threads that call it at the same time share one run. What was connected before a fork serves
    the child too, with sockets of its own.

    Raises:
        ConfigurationError: for bad settings, all problems at once.
        ConnectError: when a required database stays unreachable. After an
            ``AuthenticationError`` the same settings are not tried again, by no request and no
            probe: servers lock accounts after some attempts.
        IndexBuildError: when a required database's indexes can't be built.
    """
    if is_connected():
        return
    settings = read_settings()
    refused = _Refused.latest
    if refused is not None and refused[0] == settings:
        raise _like(refused[1])
    try:
        db.connect_all(settings)
    except AuthenticationError as exc:
        _Refused.latest = settings, _like(exc)
        raise


def connect_within(seconds: float) -> None:
    """``connect``, for at most ``seconds``; it goes on in the background, and a failure is
    logged."""
    if is_connected() or registry.connecting.under_way:
        return
    side_by_side({"connect": _try_to_connect}, seconds)


def _try_to_connect() -> None:
    try:
        connect()
    except Exception as exc:
        logger.error(
            "the databases could not be connected",
            exc_info=without_contents(exc),
            extra={"event": "connect_failed"},
        )


def _like(error: AuthenticationError) -> AuthenticationError:
    """The same error without what it was raised from and where."""
    return type(error)(
        error.message, alias=error.alias, reason=error.reason, elapsed=error.elapsed
    )
