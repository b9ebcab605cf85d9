"""Flask's session interface over a collection: the cookie, and when something is written."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from flask import Flask, Request, Response, session
from flask.sessions import SessionInterface, SessionMixin

from datalayer.contrib.flask.extension import DataLayer, extension_of
from datalayer.contrib.flask.sessions.session import ServerSession
from datalayer.contrib.flask.sessions.store import (
    SessionStore,
    looks_like_identifier,
    new_identifier,
)
from datalayer.documents import utc_now
from datalayer.errors import ConfigurationError, DataLayerError

logger = logging.getLogger("datalayer.contrib.flask")

_REFRESHED_AFTER = 0.1  # of the lifetime


class ServerSessionInterface(SessionInterface):
    """Sessions in a collection; the browser has a random identifier of 256 bits and no more.

        datalayer = DataLayer(app)
        app.session_interface = ServerSessionInterface()

    ``alias`` says in which database, ``collection`` where in it. A session of
    which ``permanent`` is set lives for ``app.permanent_session_lifetime`` since it was last
    used, any other for ``browser_lifetime``, and no longer than the browser keeps its cookie.
    ``max_bytes`` is what all values of a session may take. Nothing waits for an optional
    database for longer than ``timeout_seconds``: a request goes on without its session. Where
    the database is required (``REQUIRED`` in its settings, as ``default`` is), what is done with
    a session waits and fails as any other query does.

    Cookies have the attributes that ``SESSION_COOKIE_…`` in ``app.config`` say.

    Raises:
        ConfigurationError: for a number that is not above 0, and where the collection is that of
            other sessions.
    """

    def __init__(
        self,
        datalayer: DataLayer | None = None,
        collection: str = "sessions",
        *,
        alias: str = "database1",
        browser_lifetime: timedelta = timedelta(days=1),
        max_bytes: int = 256 * 1024,
        timeout_seconds: float = 1.0,
    ) -> None:
        if not (browser_lifetime > timedelta(0) and max_bytes > 0 and timeout_seconds > 0):
            raise ConfigurationError(
                "browser_lifetime, max_bytes and timeout_seconds of sessions must be more than 0"
            )
        self._datalayer = datalayer
        self._browser_lifetime = browser_lifetime
        self._max_bytes = max_bytes
        self._timeout_seconds = timeout_seconds
        self._store = SessionStore(alias, collection, timeout_seconds)

    def open_session(self, app: Flask, request: Request) -> ServerSession:
        """The session of a request; asks no database.

        Raises:
            ConfigurationError: where the application has no ``DataLayer``.
        """
        extension = self._datalayer or extension_of(app)
        sent = request.cookies.get(self.get_cookie_name(app), "")
        return ServerSession(
            self._store,
            sent if looks_like_identifier(sent) else None,
            partial(extension.connect_within, self._timeout_seconds, app),
        )

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write what has changed, or what has to be known so that the session lives on.

        Raises:
            TypeError, ValueError: for a value that can't be stored, and for too many of them.
            UnavailableError: and what else a write raises; what the request had done is done.
        """
        if not isinstance(session, ServerSession) or not session.was_read:
            return
        response.vary.add("Cookie")
        if session.is_given_up or not session.is_available:
            return
        try:
            if session:
                self._keep(app, session, response)
            elif session.identifier is not None or session.modified:
                self._end(app, session, response)
        except Exception:
            session.is_given_up = True  # the page that tells the error would be one more attempt
            raise

    def get_expiration_time(self, app: Flask, session: SessionMixin) -> datetime | None:
        """When the cookie of a permanent session ends; ``None`` for one of the browser's."""
        return utc_now() + app.permanent_session_lifetime if session.permanent else None

    def _keep(self, app: Flask, session: ServerSession, response: Response) -> None:
        changed, removed, size = session.changes()
        if size > self._max_bytes:
            raise ValueError(
                f"the session takes {size} bytes, and max_bytes allows {self._max_bytes}; keep "
                "large things in a collection of your own, and their ids in the session"
            )
        lifetime = self._lifetime(app, session)
        expires_at = utc_now() + lifetime
        before = session.identifier
        if before is None or session.renew:
            session.identifier = new_identifier()
            self._store.insert(session.identifier, session.tagged_values(), expires_at)
            if before is not None:
                self._store.delete(before)
            self._send(app, session, response)
        elif changed or removed or session.modified:
            if not self._store.change(before, changed, removed, expires_at):
                _tell_of_loss()
            elif session.permanent or "_permanent" in (*changed, *removed):
                self._send(app, session, response)
        elif self._is_due(app, session, expires_at, lifetime):
            self._refresh(app, session, response, expires_at)

    def _is_due(
        self, app: Flask, session: ServerSession, expires_at: datetime, lifetime: timedelta
    ) -> bool:
        if not app.config["SESSION_REFRESH_EACH_REQUEST"] or session.expires_at is None:
            return False
        return expires_at - session.expires_at > lifetime * _REFRESHED_AFTER

    def _refresh(
        self, app: Flask, session: ServerSession, response: Response, expires_at: datetime
    ) -> None:
        assert session.identifier is not None  # noqa: S101 - for the type checker: it was stored
        try:
            lives_on = self._store.change(session.identifier, {}, (), expires_at)
        except DataLayerError as exc:  # also where the reply was lost: the page is none the worse
            logger.warning(
                "a session was not made to live on: %s",
                exc,
                extra={"alias": self._store.alias, "event": "session_unavailable"},
            )
            return
        if lives_on and session.permanent:
            self._send(app, session, response)

    def _lifetime(self, app: Flask, session: SessionMixin) -> timedelta:
        return app.permanent_session_lifetime if session.permanent else self._browser_lifetime

    def _end(self, app: Flask, session: ServerSession, response: Response) -> None:
        if session.identifier is not None:
            self._store.delete(session.identifier)
        response.delete_cookie(self.get_cookie_name(app), **self._attributes(app))

    def _send(self, app: Flask, session: ServerSession, response: Response) -> None:
        response.set_cookie(
            self.get_cookie_name(app),
            session.identifier or "",
            expires=self.get_expiration_time(app, session),
            **self._attributes(app),
        )

    def _attributes(self, app: Flask) -> dict[str, Any]:
        return {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
            "partitioned": self.get_cookie_partitioned(app),
        }


def regenerate_session() -> None:
    """Give the visitor's session another identifier, its contents kept: when somebody signs in,
    or gets further rights. Who knew the one before has nothing of it.

    Raises:
        ConfigurationError: where the application's sessions are not ``ServerSessionInterface``'s.
        UnavailableError: while the database is away.
    """
    regenerate = getattr(session, "regenerate", None)
    if regenerate is None:
        raise ConfigurationError(
            "regenerate_session() needs app.session_interface = ServerSessionInterface()"
        )
    regenerate()


def _tell_of_loss() -> None:
    # Not written anew: somebody may have signed out in another request.
    logger.warning(
        "a session was ended while a request had it; what the request changed in it is dropped",
        extra={"event": "session_ended_meanwhile"},
    )
