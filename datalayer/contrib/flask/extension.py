"""The extension ``DataLayer``: connects an application's databases, and puts a session around each
request."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import click
from flask import Flask, current_app, g, has_app_context, request, request_started

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.contrib.connecting import Connector, connect_within, does_without_database
from datalayer.contrib.flask.command import datalayer_command
from datalayer.contrib.flask.error_handlers import answer_failures
from datalayer.contrib.flask.json_provider import add_documents
from datalayer.contrib.flask.mongoengine_names import mongoengine_name
from datalayer.contrib.flask.settings import settings_from
from datalayer.contrib.flask.template_helpers import add_page_links
from datalayer.errors import ConfigurationError, DataLayerError
from datalayer.settings import Settings
from datalayer.terminal import printable_lines

if TYPE_CHECKING:
    from pymongo import MongoClient

NAME = "datalayer"
"""The extension's key in ``app.extensions``."""

Connect = Literal["first_request", "now", "never"]

_SESSION = "_datalayer_session"


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

    With ``json``, the application's JSON (``jsonify``, and what views return) holds documents,
    querysets and pages too, and shows times as ISO 8601. Templates can call ``page_links``.

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
        json: bool = True,
    ) -> None:
        if connect not in ("first_request", "now", "never"):
            raise ConfigurationError('connect must be "first_request", "now" or "never"')
        self._given = settings
        self._connect = connect
        self._session = session
        self._handle_errors = handle_errors
        self._json = json
        # What each application uses; set and read as a whole, by any thread.
        self._accepted: WeakKeyDictionary[Flask, Settings] = WeakKeyDictionary()
        self._connectors: WeakKeyDictionary[Flask, Connector] = WeakKeyDictionary()
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
        self._connectors[app] = Connector()
        app.cli.add_command(datalayer_command(self.settings))
        app.shell_context_processor(partial(self._for_the_shell, app))
        request_started.connect(self._begin_request, app)
        if self._session:
            app.teardown_request(_end_session)
        if self._handle_errors:
            answer_failures(app)
        if self._json:
            add_documents(app)
        add_page_links(app)
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
        return Settings(
            {**self._given, **chosen},
            recorder=self._given.recorder,
            migrations=self._given.migrations,
            migrations_at_connect=self._given.migrations_at_connect,
        )

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
                self._connectors[app].connect_all(settings)
                # Not ours where another application's run was under way: it is shared.
                present = registry.settings
            if present is not None and present != settings:
                raise _refusal(app, present, settings)
        if present is not None:
            self._accepted[app] = present

    def connect_on_request(self, app: Flask) -> None:
        """``connect_now``, unless ``connect`` is ``"never"`` or the application is connected.

        Each request does so that may need a database; for code that runs before all of it.
        """
        if self._connect != "never" and not self._is_connected(app):
            self.connect_now(app)

    def connect_within(self, seconds: float, app: Flask | None = None) -> None:
        """Begin to connect where nobody has, and wait for ``seconds`` at most; raise nothing.

        For probes: those of a balancer come before any request, and must be answered in time.
        """
        app = self._application(app)
        if self._connect != "never" and not self._is_connected(app):
            connect_within(partial(self.connect_now, app), seconds)

    @property
    def connection(self) -> dict[str, MongoClient[Any]]:
        """The client of each alias of the current application, which is connected for it.

        Raises:
            ConfigurationError: where there is no current application, and as ``connect_now``.
            ConnectError: as ``connect_now``.
        """
        self.connect_on_request(self._application(None))
        return {each.settings.alias: each.client for each in registry.connections()}

    if not TYPE_CHECKING:  # a type checker would take any name, and each misspelt one

        def __getattr__(self, name: str) -> Any:
            """``db.Document``, ``db.StringField`` and what else an application that comes from
            flask-mongoengine asks its object for. Types are known where it is imported from
            ``datalayer.documents`` and ``datalayer.fields``."""
            return mongoengine_name(name)

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


def extension_of(app: Flask) -> DataLayer:
    """The ``DataLayer`` of an application.

    Raises:
        ConfigurationError: where it has none.
    """
    extension = app.extensions.get(NAME)
    if not isinstance(extension, DataLayer):
        raise ConfigurationError(
            f"the Flask application {app.name!r} has no DataLayer; call init_app(app) on one"
        )
    return extension


def _asks_a_database(app: Flask) -> bool:
    endpoint = request.endpoint
    if endpoint is None:
        return True  # the page that says "not found" may tell who is signed in
    if endpoint == "static" or endpoint.endswith(".static"):
        return False
    return not does_without_database(app.view_functions.get(endpoint))


def _end_session(_: BaseException | None) -> None:
    stack: ExitStack | None = g.pop(_SESSION, None)
    if stack is not None:
        stack.close()


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
