"""How are databases connected for one command? Side by side, soon or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from datalayer import db
from datalayer.concurrency.threads import side_by_side
from datalayer.connections.registry import registry
from datalayer.errors import ConnectError
from datalayer.service.service import service_for
from datalayer.settings import DatabaseSettings, Settings

# A connect has its deadline inside. This one only lets Ctrl-C be heard while it is waited for,
# and is long enough for an embedded server to start.
_GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class Databases:
    """Databases that a command has opened, and the errors of those that refused it."""

    settings: Settings
    refused: Mapping[str, ConnectError]

    def status(self, timeout: float) -> dict[str, Any]:
        """``db.status()`` of these databases, by alias.

        One that is away isn't asked again: connecting has found out why, and the driver goes on
        looking for it. One that refused the connection is told as ``unavailable``.
        """
        services = {alias: db.get(alias) for alias in self.settings}
        entries = {alias: service.status_unasked(None) for alias, service in services.items()}
        answers = side_by_side(
            {
                alias: partial(service.status, timeout)
                for alias, service in services.items()
                if service.is_connected
            },
            timeout + _GRACE_SECONDS,
        )
        entries.update((a, entry) for a, entry in answers.items() if isinstance(entry, dict))
        return {alias: self._entry(alias, entry) for alias, entry in entries.items()}

    def error_of(self, alias: str) -> str | None:
        """Why a database can't be asked, or ``None``."""
        service = db.get(alias)
        if alias in self.refused:
            return self.refused[alias].message
        if service.is_connected:
            return None
        reason: str | None = service.status_unasked(None)["last_error"]
        return reason or "no server of it can be used"

    def _entry(self, alias: str, entry: dict[str, Any]) -> dict[str, Any]:
        settings = self.settings[alias]
        entry["required"] = settings.required  # connecting made every database optional
        if alias in self.refused:
            entry.update(
                state="unavailable",
                database=settings.database,
                hosts=list(settings.hosts),
                uri=settings.redacted_uri,
                last_error=self.refused[alias].message,
            )
            entry["pool"].update(max_size=settings.max_pool_size, min_size=settings.min_pool_size)
        return entry


@contextmanager
def opened(settings: Settings, *, timeout: float, required: bool = False) -> Iterator[Databases]:
    """Connect all databases side by side for a ``with`` block, each within ``timeout`` seconds.

    Unlike ``db.connect_all`` it goes on when one is away, unless they are ``required``: to tell
    so is what some commands are for. No collection or index is built. Databases that are
    connected already are used as they are, and stay connected afterwards.

    Raises:
        ConfigurationError: where the driver refuses the options.
        ConnectError: where a required database can't be reached.
    """
    services = {alias: service_for(alias) for alias in settings if registry.find(alias) is None}
    outcomes = side_by_side(
        {
            alias: partial(service.connect, _single_attempt(settings[alias], timeout, required))
            for alias, service in services.items()
        },
        _GRACE_SECONDS,
    )
    try:
        refused = {
            alias: _refusal(alias, outcome)
            for alias, outcome in outcomes.items()
            if isinstance(outcome, BaseException)
        }
        if required and refused:
            raise next(iter(refused.values()))
        yield Databases(settings, refused)
    finally:
        for alias, service in reversed(services.items()):
            if not isinstance(outcomes[alias], TimeoutError):
                service.disconnect()


def _single_attempt(
    settings: DatabaseSettings, timeout: float, required: bool
) -> DatabaseSettings:
    """The settings for one attempt that ends after ``timeout`` seconds and builds nothing."""
    limit_ms = round(timeout * 1000)
    return replace(
        settings,
        required=required,
        auto_create=False,
        auto_index=False,
        retry_attempts=1,
        retry_max_seconds=limit_ms / 1000,
        server_selection_timeout_ms=min(settings.server_selection_timeout_ms, limit_ms),
        connect_timeout_ms=min(settings.connect_timeout_ms, limit_ms),
    )


def _refusal(alias: str, error: BaseException) -> ConnectError:
    """Why a database is not connected; what has nothing to do with its server is raised."""
    if isinstance(error, TimeoutError):
        return ConnectError(f"{alias!r} did not connect in time", alias=alias)
    if not isinstance(error, ConnectError):
        raise error
    return error
