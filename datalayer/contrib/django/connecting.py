"""When a Django process connects: at its first request that may need a database, or when it is
told to. Never in ``ready()``, which every ``manage.py`` command runs, and so do the parents of
runserver's reloader and of gunicorn's workers."""

from __future__ import annotations

from datalayer.connections.registry import registry
from datalayer.contrib.connecting import Connector
from datalayer.contrib.django.settings import read_settings

_connector = Connector()


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
    if not is_connected():
        _connector.connect_all(read_settings())
