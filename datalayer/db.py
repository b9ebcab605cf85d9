"""All databases behind one facade: connect them, close them, ask how they are.

from datalayer import db

db.connect_all()
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from datalayer import indexes, outbox, recorder
from datalayer.concurrency.greenlets import refuse_unsafe_patching
from datalayer.concurrency.threads import side_by_side
from datalayer.concurrency.uwsgi import warn_of_standing_still, warn_of_unsafe_forks
from datalayer.connections.registry import how_to_configure, registry
from datalayer.context import deadlines
from datalayer.context.decorators import Block, with_block
from datalayer.database import database
from datalayer.database1 import database1
from datalayer.documents.queries.safe_filter import safe_filter
from datalayer.errors import ConfigurationError
from datalayer.failures.redaction import without_contents
from datalayer.failures.tracebacks import TrimmedTraceback
from datalayer.retry import retry
from datalayer.routing import databases, read_from, router, tenants, using
from datalayer.service.service import DatabaseService, service_for
from datalayer.settings import Settings
from datalayer.shutdown import flush, graceful_shutdown
from datalayer.transactions import on_commit, session, transaction, transactional

__all__ = [
    "connect_all",
    "connected",
    "database",
    "database1",
    "databases",
    "deadline",
    "disconnect_all",
    "get",
    "graceful_shutdown",
    "on_commit",
    "outbox",
    "read_from",
    "recorder",
    "retry",
    "router",
    "safe_filter",
    "session",
    "status",
    "tenants",
    "transaction",
    "transactional",
    "using",
]

logger = logging.getLogger("datalayer.db")

_SHARE_FOR_THE_PING = 0.85
_SHARE_FOR_ALL = 0.95  # what is left is for the answer to get back to the caller in time


def connect_all(settings: Settings | None = None) -> dict[str, Any]:
    """Connect every configured database, side by side, and return ``status()``.

    Without ``settings`` they are read from the environment and ``.env``. Calling it again does
    nothing; threads that call it at the same time share one run. When a required database
    fails, those that this call had opened are closed again and the first error is raised.

    Raises:
        ConfigurationError: for bad settings, all problems at once; where gevent has patched the
            standard library too late.
        ConnectError: when a required database stays unreachable; ``AuthenticationError`` for
            refused credentials, of optional databases too.
        IndexBuildError: when a required database's collections or indexes can't be built.
        MigrationError: with ``DATALAYER_MIGRATIONS_AT_CONNECT=require``, when migrations are not
            applied.
    """
    with TrimmedTraceback():
        return registry.connecting.run(partial(_connect_all, settings))


def disconnect_all() -> None:
    """Close every database, the one connected last first. Idempotent.

    What log handlers and the recorder hold is stored first. All are closed even if one fails;
    the failure is logged. Databases that are still open when the interpreter ends are closed
    then.
    """
    registry.connecting.wait()
    flush()
    for alias in list(registry.relays):
        outbox.stop(alias)
    for alias in reversed(registry.aliases()):
        _disconnect(get(alias))
    registry.settings = None


def status(timeout: float = 2.0) -> dict[str, Any]:
    """How each database is doing, by alias. Never raises, never connects.

    The pings run side by side and end after ``timeout`` seconds. Before ``connect_all`` it
    tells of ``default`` and ``database1`` as disconnected.
    """
    shown = {database.alias, database1.alias, *(registry.settings or ()), *registry.aliases()}
    services: dict[str, DatabaseService] = {
        alias: service for alias, service in registry.services.items() if alias in shown
    }
    answers = side_by_side(
        {
            alias: partial(service.status, timeout * _SHARE_FOR_THE_PING)
            for alias, service in services.items()
        },
        timeout * _SHARE_FOR_ALL,
    )
    return {
        alias: services[alias].status_unasked("the ping did not end in time")
        if isinstance(answer, BaseException)
        else answer
        for alias, answer in answers.items()
    }


def get(alias: str) -> DatabaseService:
    """The service of any configured alias.

    Raises:
        ConfigurationError: for an alias that was never connected and is not one of the two.
    """
    try:
        service: DatabaseService = registry.services[alias]
    except KeyError:
        raise ConfigurationError(
            f"no database has the alias {alias!r}; there are {', '.join(registry.services)} "
            "(further ones are named in DATALAYER_ALIASES)",
            alias=alias,
        ) from None
    return service


@with_block
def connected(settings: Settings | None = None) -> Iterator[dict[str, Any]]:
    """``connect_all`` at the start of a ``with`` block and ``disconnect_all`` at its end."""
    answer = connect_all(settings)
    try:
        yield answer
    finally:
        disconnect_all()


def deadline(seconds: float) -> Block[None]:
    """Give the operations of a ``with`` block ``seconds`` in all, instead of the default.

    A block inside another can only have less time than is left of the outer one.
    """
    if not seconds > 0:
        raise ValueError(f"a deadline must be more than 0 seconds, not {seconds!r}")
    return _limited(seconds)


@with_block
def _limited(seconds: float) -> Iterator[None]:
    with deadlines.deadline(seconds):
        yield


def _connect_all(settings: Settings | None) -> dict[str, Any]:
    refuse_unsafe_patching()  # also where the parent of this process had connected
    settings = settings or registry.settings or registry.read_settings()
    if registry.settings is None:
        warn_of_standing_still()
        warn_of_unsafe_forks()
        for warning in settings.warnings:
            logger.warning("%s", warning, extra={"event": "settings"})
        _warn_of_unconfigured(settings)
    services = {alias: service_for(alias) for alias in settings}
    calls = {alias: partial(service.open, settings[alias]) for alias, service in services.items()}
    look = _LookAtMigrations(settings)
    if look.is_wanted and "default" in calls:
        calls["default"] = partial(calls["default"], before_building=look)
    try:
        outcomes = side_by_side(calls)
    except BaseException:  # Ctrl-C, say: the other databases are still connecting
        for service in services.values():
            _disconnect(service)
        raise
    try:
        _raise_first([each for each in outcomes.values() if isinstance(each, BaseException)])
        if look.is_wanted and not look.is_done:
            look(default_is_connected="default" in settings and get("default").is_connected)
    except BaseException:
        for alias in reversed([alias for alias, opened in outcomes.items() if opened is True]):
            _disconnect(services[alias])
        raise
    registry.settings = settings
    recorder.configure(settings.recorder)
    if all(outcomes.values()):
        # All were verified a moment ago: pinging them again would tell nothing new.
        return {alias: service.status_verified() for alias, service in services.items()}
    return status()


def _raise_first(errors: Sequence[BaseException]) -> None:
    for other in errors[1:]:
        errors[0].add_note(f"also: {other}")
    if errors:
        raise errors[0]


class _LookAtMigrations:
    """Once in a process, as soon as the default database has answered, and before anything is
    built there that only migrated documents allow: a unique index, say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.is_wanted = registry.settings is None and settings.migrations_at_connect != "ignore"
        self.is_done = False

    def __call__(self, *, default_is_connected: bool = True) -> None:
        from datalayer.migrations.at_connect import see_to_migrations  # few applications ask

        self.is_done = True
        see_to_migrations(self._settings, default_is_connected=default_is_connected)


def _warn_of_unconfigured(settings: Settings) -> None:
    for alias, models in indexes.unconfigured(settings).items():
        logger.warning(
            "no database has the alias %r, which %s names in its meta: %s",
            alias,
            ", ".join(models),
            how_to_configure(alias, settings),
            extra={"alias": alias, "event": "settings"},
        )


def _disconnect(service: DatabaseService) -> None:
    try:
        service.disconnect()
    except Exception as exc:
        logger.error(
            "%s did not close cleanly",
            service.alias,
            exc_info=without_contents(exc),
            extra={"alias": service.alias, "event": "disconnect_failed"},
        )
