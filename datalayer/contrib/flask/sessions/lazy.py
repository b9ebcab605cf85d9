"""Session interfaces of other extensions, which ask for a client when they are made: made when
the first session is opened, with the application connected."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask, Request, Response, current_app
from flask.sessions import SessionInterface, SessionMixin

from datalayer.connections.registry import registry
from datalayer.contrib.flask.extension import extension_of


class LazySessionInterface(SessionInterface):
    """A session interface that ``make`` makes when it is first used.

    For those that need a client at once, such as Flask-Session's::

        app.session_interface = LazySessionInterface(
            lambda app: MongoDBSessionInterface(
                app, client=db.database.client, db=db.database.name, collection="sessions"
            )
        )

    Importing the application and ``flask routes`` connect to nothing then, and each process has
    an interface over its own client. It is made again where the databases were connected anew.
    A request opens its session before anything else, so the first one connects, whatever it is
    for, unless the extension's ``connect`` is ``"never"``.
    """

    def __init__(self, make: Callable[[Flask], SessionInterface]) -> None:
        self._make = make
        self._making = threading.Lock()
        # Of each application what was made, and the clients that were connected then.
        self._made: WeakKeyDictionary[Flask, tuple[list[Any], SessionInterface]]
        self._made = WeakKeyDictionary()

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        """Have the interface that ``make`` made open the session.

        Raises:
            ConfigurationError: where the application has no ``DataLayer``, and with what
                connecting raises.
        """
        return self._interface(app).open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Have the interface that ``make`` made save the session."""
        self._interface(app).save_session(app, session, response)

    def is_null_session(self, obj: object) -> bool:
        """Ask the interface that ``make`` made."""
        return self._interface().is_null_session(obj)

    def make_null_session(self, app: Flask) -> Any:
        """Have the interface that ``make`` made give an empty session."""
        return self._interface(app).make_null_session(app)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._interface(), name)  # such as Flask-Session's regenerate()

    def _interface(self, app: Flask | None = None) -> SessionInterface:
        if app is None:
            app = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy's
        extension_of(app).connect_on_request(app)
        with self._making:
            clients = [connection.client for connection in registry.connections()]
            made = self._made.get(app)
            if made is None or not _same(made[0], clients):
                made = self._made[app] = (clients, self._make(app))
        return made[1]


def _same(some: list[Any], others: list[Any]) -> bool:
    # Two clients of one cluster are equal, the closed one too.
    return [*map(id, some)] == [*map(id, others)]
