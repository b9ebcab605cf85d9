"""What does connecting do about migrations that are not applied? What
``DATALAYER_MIGRATIONS_AT_CONNECT`` says."""

from __future__ import annotations

import logging

from pymongo.errors import PyMongoError

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.errors import ConfigurationError, MigrationError
from datalayer.failures.connecting import kind_of
from datalayer.migrations.checking import MigrationCheck, checked
from datalayer.migrations.files import find, place_of
from datalayer.settings import Settings

logger = logging.getLogger("datalayer.migrations")


def see_to_migrations(settings: Settings, *, default_is_connected: bool) -> None:
    """Log, or refuse, what is not applied; nothing where the setting is ``ignore``.

    An optional default database that is away is not waited for: that nothing is known is logged.

    Raises:
        ConfigurationError: with ``require``, where there is no such package or folder.
        MigrationError: with ``require``, where something is not applied, or can't be found out.
    """
    wanted = settings.migrations_at_connect
    if wanted == "ignore":
        return
    try:
        if DEFAULT_ALIAS not in settings:
            raise ConfigurationError(
                f"DATALAYER_MIGRATIONS_AT_CONNECT is {wanted}, and there is no database "
                f"{DEFAULT_ALIAS!r}, which holds the history of migrations"
            )
        if settings[DEFAULT_ALIAS].kind == "mongomock":
            return  # nothing stays there
        if not default_is_connected:
            _warn(f"{DEFAULT_ALIAS!r} is away, so it is not known which migrations are applied")
            return
        found = _found(settings)
    except (ConfigurationError, MigrationError) as exc:
        if wanted == "require":
            raise
        _warn(exc.message)
        return
    if wanted == "require" and (found.pending or found.unfinished):
        raise MigrationError(
            f"the database is not as this code needs it: {'; '.join(found.problems)}. Apply them "
            "by `datalayer migrations apply` before it is started, or set "
            "DATALAYER_MIGRATIONS_AT_CONNECT=warn",
            alias=DEFAULT_ALIAS,
        )
    if found.problems:
        _warn("; ".join(found.problems))


def _found(settings: Settings) -> MigrationCheck:
    files = find(place_of(settings.migrations))
    try:
        found = checked(files)
        registry.pending_migrations = len(found.pending)
        return found
    except PyMongoError as exc:
        registry.connection(DEFAULT_ALIAS)  # says so itself where it was disconnected meanwhile
        raise MigrationError(
            f"it can't be found out which migrations are applied ({kind_of(exc)}); the user of "
            f"{DEFAULT_ALIAS!r} has to be able to read its database",
            alias=DEFAULT_ALIAS,
        ) from None


def _warn(what: str) -> None:
    logger.warning("migrations: %s", what, extra={"event": "migrations"})
