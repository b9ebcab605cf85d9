"""How the process of a web framework connects: never again with credentials that a server has
refused, for a bounded time where a probe waits, and not for views that need no database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from datalayer import db
from datalayer.concurrency.threads import side_by_side
from datalayer.connections.registry import registry
from datalayer.errors import AuthenticationError, DataLayerError
from datalayer.failures.redaction import without_contents
from datalayer.settings import Settings

logger = logging.getLogger("datalayer.contrib")

View = TypeVar("View", bound=Callable[..., Any])

_MARK = "needs_no_database"


def needs_no_database(view: View) -> View:
    """Mark a view that is to answer without a connection, also while a database is away.

    In Flask it stands below the route, in Django around what a class's ``as_view()`` gives::

        @app.get("/about")
        @needs_no_database
        def about(): ...

        path("about", needs_no_database(About.as_view()))
    """
    setattr(view, _MARK, True)
    return view


def does_without_database(view: object) -> bool:
    """Whether ``view`` was marked with ``needs_no_database``."""
    return getattr(view, _MARK, False) is True


class Connector:
    """Connects all databases of one application.

    Settings whose credentials a server has refused are not tried again, by no request and no
    probe: servers lock accounts after some attempts.
    """

    def __init__(self) -> None:
        # The last settings that were refused, and how. Set and read as a whole, by any thread.
        self._refused: tuple[Settings, AuthenticationError] | None = None

    def connect_all(self, settings: Settings) -> None:
        """``db.connect_all(settings)``, which also says what is raised."""
        refused = self._refused
        if refused is not None and refused[0] == settings:
            raise _copy_of(refused[1])
        try:
            db.connect_all(settings)
        except AuthenticationError as exc:
            self._refused = settings, _copy_of(exc)
            raise


def connect_within(connect: Callable[[], object], timeout_seconds: float) -> None:
    """Call ``connect`` unless the process is connecting already, and wait for ``timeout_seconds``
    at most: then it goes on in the background. Raises nothing; a failure is logged.

    For probes: those of a balancer come before any request, and must be answered in time.
    """
    if not registry.connecting.under_way:
        side_by_side({"connect": partial(_connect_or_log, connect)}, timeout_seconds)


def _connect_or_log(connect: Callable[[], object]) -> None:
    try:
        connect()
    except Exception as exc:
        # Another's text may hold values of documents.
        why = exc if isinstance(exc, DataLayerError) else type(exc).__name__
        logger.error(
            "not connected: %s",
            why,
            exc_info=without_contents(exc),
            extra={"event": "connect_failed"},
        )


def _copy_of(error: AuthenticationError) -> AuthenticationError:
    """The error without what it was raised from and where, which would be kept with it."""
    return type(error)(
        error.message, alias=error.alias, reason=error.reason, elapsed=error.elapsed
    )
