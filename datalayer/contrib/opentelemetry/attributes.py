"""What metrics and spans both say of a database, by OpenTelemetry's semantic conventions."""

from __future__ import annotations

from datalayer.settings import DatabaseSettings

Attributes = dict[str, str | int]

SCHEMA = "https://opentelemetry.io/schemas/1.33.0"
"""The first in which the conventions for database clients are stable."""
_MONGODB_PORT = 27017


def pool(settings: DatabaseSettings) -> Attributes:
    """The alias names the pool, or those of all its servers together."""
    return {"db.client.connection.pool.name": settings.alias}


def database(settings: DatabaseSettings) -> Attributes:
    """The alias's own database."""
    return {
        **pool(settings),
        "db.system.name": "mongodb",
        "db.namespace": settings.database,
        **_server(settings),
    }


def failed(error: str) -> Attributes:
    """How an operation has failed: with the server's code, or the driver's class of it."""
    attributes: Attributes = {"error.type": error}
    if error.isdecimal():
        attributes["db.response.status_code"] = error
    return attributes


def _server(settings: DatabaseSettings) -> Attributes:
    """The server's address where there is only one: which of several answered isn't known."""
    if len(settings.hosts) != 1:
        return {}
    host, _, port = settings.hosts[0].rpartition(":")
    if not port.isdecimal():
        return {"server.address": settings.hosts[0]}
    server: Attributes = {"server.address": host.strip("[]")}
    if int(port) != _MONGODB_PORT:
        server["server.port"] = int(port)
    return server
