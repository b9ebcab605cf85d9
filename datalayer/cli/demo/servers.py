"""Where the demo runs: on two private servers of its own, or on a server named by the user, in
databases that hold nothing but what the demo made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from datalayer import db
from datalayer.concurrency.threads import side_by_side
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConfigurationError
from datalayer.settings import Settings
from datalayer.settings.uri import parse, with_database

DATABASES = {"default": "datalayer_demo", "database1": "datalayer_demo_analytics"}

_MARK = "made_by_datalayer_demo"  # a collection that says whose the database is


@dataclass(frozen=True)
class DemoServers:
    """The settings to connect with, and the analytics server where the demo may stop it."""

    name: str
    settings: Settings
    analytics: EmbeddedMongo | None = None


@contextmanager
def on_private_servers() -> Iterator[DemoServers]:
    """Two private servers, started side by side, that leave nothing behind.

    Two rather than one, so that one can be stopped while the other goes on.
    """
    _refuse_to_interfere()
    started = side_by_side(dict.fromkeys(DATABASES, EmbeddedMongo))
    servers = {alias: one for alias, one in started.items() if isinstance(one, EmbeddedMongo)}
    try:
        for outcome in started.values():
            if isinstance(outcome, BaseException):
                raise outcome
        uris = {alias: servers[alias].uri_for(name) for alias, name in DATABASES.items()}
        settings = Settings(databases=uris)
        yield DemoServers("two private servers", settings, servers["database1"])
    finally:
        side_by_side({alias: server.stop for alias, server in servers.items()})


@contextmanager
def on_server(uri: str, *, keep: bool) -> Iterator[DemoServers]:
    """The demo's two databases on the server of ``uri``, dropped at the end unless ``keep``.

    Raises:
        ConfigurationError: when one of the databases holds data that no demo has made.
    """
    _refuse_to_interfere()
    uris = {alias: _with_database(uri, name) for alias, name in DATABASES.items()}
    _claim(uris)
    settings = Settings(databases=uris)
    try:
        yield DemoServers(settings["default"].redacted_uri, settings)
    finally:
        if not keep:
            with _bare(uris):
                for alias in DATABASES:
                    _drop(alias)


def _refuse_to_interfere() -> None:
    if registry.aliases():
        raise ConfigurationError(
            "this process is connected to databases already; run the demo in one of its own"
        )


def _with_database(uri: str, name: str) -> str:
    """``uri``, which may lack a database, for the database ``name`` with the same credentials."""
    scheme, _, rest = uri.strip().partition("://")
    address, mark, query = rest.partition("?")
    if not address.rpartition("@")[2].partition("/")[2]:
        # Where a URI names no database, its user is known to "admin".
        uri = f"{scheme}://{address.rstrip('/')}/admin{mark}{query}"
    parsed, problems = parse(uri)
    if parsed is None:
        raise ConfigurationError(f"--uri {problem}" for problem in problems)
    if parsed.kind != "mongodb":
        raise ConfigurationError("--uri takes a mongodb:// or mongodb+srv:// URI")
    return with_database(parsed, name).text


def _claim(uris: Mapping[str, str]) -> None:
    """Empty what an earlier demo left and mark the databases as the demo's."""
    with _bare(uris):
        strangers = [DATABASES[alias] for alias in DATABASES if not _is_ours(alias)]
        if strangers:
            raise ConfigurationError(
                f"the server has data that the demo did not make in {' and '.join(strangers)}; "
                "rename or drop it, or run the demo elsewhere"
            )
        for alias in DATABASES:
            _drop(alias)
            db.get(alias).client[DATABASES[alias]][_MARK].insert_one({"_id": "datalayer demo"})


def _is_ours(alias: str) -> bool:
    names = db.get(alias).client[DATABASES[alias]].list_collection_names()
    return not names or _MARK in names


def _drop(alias: str) -> None:
    db.get(alias).client.drop_database(DATABASES[alias])


@contextmanager
def _bare(uris: Mapping[str, str]) -> Iterator[None]:
    """Both databases connected, without any collection or index being built in them."""
    plain = {"auto_create": False, "auto_index": False, "required": True, "retry_attempts": 1}
    with db.connected(Settings(databases={a: {"uri": uri, **plain} for a, uri in uris.items()})):
        yield
