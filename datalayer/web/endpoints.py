"""The answers behind ``/livez``, ``/readyz``, ``/status`` and ``/status.json``."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from types import MappingProxyType
from typing import Any

from datalayer import db
from datalayer.concurrency.threads import SingleFlight
from datalayer.health import verdict
from datalayer.web.answer import Answer, json_answer
from datalayer.web.authorisation import Guard
from datalayer.web.health_json import CONTENT_TYPE, health_document
from datalayer.web.migrations_known import Migrations, MigrationsWatch
from datalayer.web.page import STYLE, page
from datalayer.web.snapshot import Snapshot, take_snapshot
from datalayer.web.workers import publisher

_ASK_FOR_TOKEN = MappingProxyType({"WWW-Authenticate": 'Basic realm="datalayer", charset="UTF-8"'})
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_SELF_CONTAINED = MappingProxyType(
    {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
    }
)


def alive() -> Answer:
    """That the process answers at all. Asks no database: no restart brings one back."""
    return json_answer(200, {"status": "pass"}, CONTENT_TYPE)


class Endpoints:
    """What a process tells of itself over HTTP.

    ``token`` lets a caller see details: errors, hosts and figures. Without one it is read from
    ``DATALAYER_STATUS_TOKEN``; where that is not set either, nobody sees them, unless the
    application says that a caller is ``authorised``. ``timeout_seconds`` is how long the
    databases have for their pings; requests that come at the same time share them.

    Raises:
        ConfigurationError: for a token of under 16 characters.
    """

    def __init__(self, *, token: str | None = None, timeout_seconds: float = 2.0) -> None:
        # One that is empty, from a variable that isn't set say, is none.
        self._guard = Guard(token) if token and token.strip() else Guard.from_env()
        self._timeout = timeout_seconds
        publisher.offer()
        # By process: a child must not wait for a run that its parent had under way.
        self._flights: dict[int, SingleFlight[dict[str, Any]]] = {}
        self._watches: dict[int, MigrationsWatch] = {}
        self._pages: dict[str, Callable[[bool], Answer]] = {
            "/livez": lambda authorised: alive(),
            "/readyz": lambda authorised: self.readyz(detailed=authorised),
            "/status": lambda authorised: self.status_page(authorised=authorised),
            "/status.json": lambda authorised: self.status_json(authorised=authorised),
        }

    @property
    def paths(self) -> tuple[str, ...]:
        """What ``answer`` knows."""
        return tuple(self._pages)

    def answer(
        self, path: str, *, authorization: str | None = None, authorised: bool = False
    ) -> Answer | None:
        """The answer to a GET or HEAD of ``path``; ``None`` for a path that isn't of these.

        ``authorization`` is the request's header of that name.
        """
        give = self._pages.get(path)
        return None if give is None else give(authorised or self._guard.admits(authorization))

    def readyz(self, *, detailed: bool = False) -> Answer:
        """200 where every required database answers its ping, 503 where one doesn't; and where
        migrations of this code aren't applied that the setting requires."""
        status, migrations = self._known(always=False)
        judged = migrations.judged(verdict(status))
        document = health_document(status, judged, detailed=detailed, now=datetime.now(UTC))
        return json_answer(200 if judged.ready else 503, document, CONTENT_TYPE)

    def status_json(self, *, authorised: bool) -> Answer:
        """What the status page shows, as JSON; 401 for those who may not see it."""
        if not authorised:
            return self._refusal()
        return json_answer(200, self._snapshot().as_json())

    def status_page(self, *, authorised: bool) -> Answer:
        """One self-contained HTML page; 401 for those who may not see it."""
        if not authorised:
            return self._refusal()
        body = page(self._snapshot()).encode()
        return Answer(200, "text/html; charset=utf-8", body, _SELF_CONTAINED)

    def _refusal(self) -> Answer:
        if self._guard.has_token:
            return json_answer(
                401, {"error": "the token is missing or wrong"}, headers=_ASK_FOR_TOKEN
            )
        why = "there is no token: set DATALAYER_STATUS_TOKEN to see the status"
        return json_answer(403, {"error": why})

    def _snapshot(self) -> Snapshot:
        status, migrations = self._known()
        return take_snapshot(status, self._timeout, migrations)

    def _known(self, *, always: bool = True) -> tuple[dict[str, Any], Migrations]:
        watch = self._watches.setdefault(os.getpid(), MigrationsWatch())
        started = monotonic()
        watch.begin(self._timeout, always=always)
        status = self._status()
        return status, watch.known(self._timeout - (monotonic() - started))

    def _status(self) -> dict[str, Any]:
        flight = self._flights.setdefault(os.getpid(), SingleFlight())
        return flight.run(lambda: db.status(self._timeout))
