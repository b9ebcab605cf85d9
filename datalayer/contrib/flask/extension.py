"""The extension: connects when an application begins to serve, and what goes on around each
request."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar
from weakref import WeakKeyDictionary

import click
from flask import Flask, current_app, g, has_app_context, request, request_started

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.contrib.flask.command import datalayer_command
from datalayer.contrib.flask.config import settings_from
from datalayer.contrib.flask.failures import answer_temporary_failures
from datalayer.errors import AuthenticationError, ConfigurationError, DataLayerError
from datalayer.settings import Settings
from datalayer.terminal import printable_lines

logger = logging.getLogger("datalayer.contrib.flask")

NAME = "datalayer"
"""The extension's key in ``app.extensions``."""

Connect = Literal["first_request", "now", "never"]
View = TypeVar("View", bound=Callable[..., Any])

_SESSION = "_datalayer_session"
_MARK = "needs_no_database"


def needs_no_database(view: View) -> View:
    """Mark a view that is to answer without a connection.

    It then does so also while a database is away::

        @app.get("/about")
        @needs_no_database
        def about(): ...
    """
    setattr(view, _MARK, True)
    return view


class DataLayer:
    """Connects an application's databases.

    ``settings`` take the place of those in ``app.config`` and the environment.

    ``connect`` says when. ``"first_request"``: before anything else of the first request in
    each process, so that importing the application, ``flask routes``, the reloader's parent and
    a server's master connect to nothing. ``"now"``: in ``init_app``, except under the ``flask``
    command, where it is the first request again. ``"never"``: the application does it itself.

    With ``session``, each request is inside ``db.session()``: what it reads follows what it
    wrote and read before, also from secondaries. It ends when the request's context does; a
    streamed body that is made later is outside.

    With ``handle_errors``, an error of an operation that had no effect and may succeed a little
    later becomes ``503 Service Unavailable`` with ``Retry-After``.

    One process has one set of databases: applications with the same settings share them.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        settings: Settings | None = None,
        connect: Connect = "first_request",
        session: bool = False,
        handle_errors: bool = False,
    ) -> None:
        if connect not in ("first_request", "now", "never"):
            raise ConfigurationError('connect must be "first_request", "now" or "never"')
        self._given = settings
        self._connect = connect
        self._session = session
        self._handle_errors = handle_errors
        # What each application uses; set and read as a whole, by any thread.
        self._accepted: WeakKeyDictionary[Flask, Settings] = WeakKeyDictionary()
        self._refused: WeakKeyDictionary[Flask, tuple[Settings, AuthenticationError]]
        self._refused = WeakKeyDictionary()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Add the extension to ``app``, which may be configured later still.

        Raises:
            ConfigurationError: where ``app`` has one already. With ``connect="now"``, what
                ``connect_now`` raises.
        """
        if NAME in app.extensions:
            raise ConfigurationError(
                f"the Flask application {app.name!r} has a DataLayer already; use that one, "
                f'app.extensions["{NAME}"]'
            )
        app.extensions[NAME] = self
        app.cli.add_command(datalayer_command(self.settings))
        app.shell_context_processor(partial(self._for_the_shell, app))
        request_started.connect(self._begin_request, app)
        if self._session:
            app.teardown_request(_end_session)
        if self._handle_errors:
            answer_temporary_failures(app)
        if self._connect == "now" and os.environ.get("FLASK_RUN_FROM_CLI") != "true":
            self.connect_now(app)

    def settings(self, app: Flask | None = None, **overrides: Any) -> Settings:
        """The settings of ``app`` (default: the current one); see ``settings_from``.

        Raises:
            ConfigurationError: with all problems at once.
        """
        if self._given is None:
            return settings_from(self._application(app).config, **overrides)
        chosen = {
            alias: replace(self._given[alias], uri=overrides[name])
            for alias, name in (("default", "mongodb_uri"), ("database1", "database1_uri"))
            if overrides.get(name) is not None
        }
        if not chosen:
            return self._given
        return Settings({**self._given, **chosen}, recorder=self._given.recorder)

    def connect_now(self, app: Flask | None = None) -> None:
        """Connect the databases of ``app`` (default: the current one) unless they are connected.

        For commands and scripts; requests do it by themselves. Where ``app.testing`` is set,
        what a test has connected before is used as it is.

        Raises:
            ConfigurationError: for bad settings, and where the process is connected with others.
            ConnectError: as ``db.connect_all``. After an ``AuthenticationError`` the same
                settings are not tried again: servers lock accounts after some attempts.
        """
        app = self._application(app)
        present = registry.settings
        if present is None or not app.testing:
            settings = self.settings(app)
            if present is None:
                self._connect_all(app, settings)
                # Not ours where another application's run was under way: it is shared.
                present = registry.settings
            if present is not None and present != settings:
                raise _refusal(app, present, settings)
        if present is not None:
            self._accepted[app] = present

    def _connect_all(self, app: Flask, settings: Settings) -> None:
        refused = self._refused.get(app)
        if refused is not None and refused[0] == settings:
            raise _like(refused[1])
        try:
            db.connect_all(settings)
        except AuthenticationError as exc:
            self._refused[app] = (settings, _like(exc))
            raise

    def connect_on_request(self, app: Flask) -> None:
        """What each request does that may ask a database; for what goes before all of it.

        Raises what ``connect_now`` raises.
        """
        if self._connect != "never" and not self._is_connected(app):
            self.connect_now(app)

    def connect_within(self, seconds: float, app: Flask | None = None) -> None:
        """Begin to connect where nobody has, and wait for ``seconds`` at most; raise nothing.

        For probes: those of a balancer come before any request, and must be answered in time.
        """
        app = self._application(app)
        if self._connect == "never" or self._is_connected(app) or registry.connecting.under_way:
            return
        thread = threading.Thread(
            target=self._connect_or_log, args=(app,), name="datalayer-connect", daemon=True
        )
        thread.start()
        thread.join(seconds)

    def _connect_or_log(self, app: Flask) -> None:
        try:
            self.connect_now(app)
        except DataLayerError as exc:
            logger.error("not connected: %s", exc, extra={"event": "not_connected"})

    def _is_connected(self, app: Flask) -> bool:
        present = registry.settings
        return present is not None and self._accepted.get(app) is present

    def _begin_request(self, app: Flask, **_: Any) -> None:
        # On the signal, since before_request functions and URL processors may read from the
        # database; what is raised here comes to the application's error handlers all the same.
        if not _asks_a_database(app):
            return
        self.connect_on_request(app)
        if self._session:
            stack = ExitStack()
            stack.enter_context(db.session())
            setattr(g, _SESSION, stack)

    def _for_the_shell(self, app: Flask) -> dict[str, Any]:
        if self._connect != "never":
            try:
                self.connect_now(app)
            except DataLayerError as exc:
                click.echo(printable_lines(f"datalayer is not connected: {exc}"), err=True)
        return {"db": db}

    def _application(self, app: Flask | None) -> Flask:
        if app is None:
            if not has_app_context():
                raise ConfigurationError(
                    "there is no current Flask application; give it as an argument, or do this "
                    "inside app.app_context()"
                )
            app = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy's
        if app.extensions.get(NAME) is not self:
            raise ConfigurationError(
                f"the Flask application {app.name!r} does not know this DataLayer; call "
                "init_app(app) first"
            )
        return app


def _asks_a_database(app: Flask) -> bool:
    endpoint = request.endpoint
    if endpoint is None:
        return True  # the page that says "not found" may tell who is signed in
    if endpoint == "static" or endpoint.endswith(".static"):
        return False
    return not getattr(app.view_functions.get(endpoint), _MARK, False)


def _end_session(_: BaseException | None) -> None:
    stack: ExitStack | None = g.pop(_SESSION, None)
    if stack is not None:
        stack.close()


def _like(error: AuthenticationError) -> AuthenticationError:
    """The same error without what it was raised from and where."""
    return type(error)(
        error.message, alias=error.alias, reason=error.reason, elapsed=error.elapsed
    )


def _refusal(app: Flask, present: Settings, wanted: Settings) -> ConfigurationError:
    differing = sorted(
        alias
        for alias in {*present, *wanted}
        if present.databases.get(alias) != wanted.databases.get(alias)
    )
    what = ", ".join(map(repr, differing)) or "the recorder"
    return ConfigurationError(
        f"the Flask application {app.name!r} has other settings than those that this process is "
        f"connected with (they differ in {what}); give all its applications the same settings, "
        "name further databases in DATALAYER_ALIASES, or run them in processes of their own. "
        "Tests that connect by themselves set app.testing"
    )
