"""A pytest plugin for MongoEngine's own test suite: an embedded server in the place of the one on
the default port, and the engine for all documents where ``ACCELERATE`` is set."""

from __future__ import annotations

import os
from typing import Any

from mongoengine import connection

from datalayer.documents import accelerate
from datalayer.embedded import EmbeddedMongo

_servers: list[EmbeddedMongo] = []


def pytest_configure(config: Any) -> None:
    server = EmbeddedMongo(in_memory=True, journal=False)
    _servers.append(server)
    host, port = server.hosts[0].split(":")
    connection.DEFAULT_HOST, connection.DEFAULT_PORT = host, int(port)
    if os.environ.get("ACCELERATE"):
        accelerate()


def pytest_unconfigure(config: Any) -> None:
    for server in _servers:
        server.stop()
