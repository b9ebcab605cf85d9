"""How do migrations stand to this process's code? Asked seldom, in a thread, and by nobody waited
for longer than a probe has anyway; what was last known counts until the next answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.errors import DataLayerError
from datalayer.health import Verdict
from datalayer.migrations.checking import MigrationCheck, checked
from datalayer.migrations.files import File, find, place_of
from datalayer.migrations.history import History

ASKED_EVERY_SECONDS = 10.0
_MOST_TOLD = 5


@dataclass(frozen=True)
class Migrations:
    """What is known of the migrations of the connected default database."""

    at_connect: str = "ignore"
    """The setting ``DATALAYER_MIGRATIONS_AT_CONNECT``."""
    check: MigrationCheck | None = None
    """``None`` where there are no migrations, or nothing is known yet."""
    holder: str | None = None
    """The runner that is at work, as host:process."""
    error: str | None = None
    """Why the last question got no answer; ``check`` is the one before."""

    @property
    def hinder(self) -> bool:
        """Whether requests should go elsewhere, as this code needs what isn't applied: only where
        the setting is ``require``. What later code has applied, or is applying, is no hindrance:
        so it is while that is being rolled out."""
        if self.at_connect != "require" or self.check is None:
            return False
        return bool(self.check.pending or self.check.unfinished)

    def judged(self, verdict: Verdict) -> Verdict:
        """``verdict``, with what the migrations mean for it: nothing where they are ignored."""
        found = self.check
        if self.at_connect == "ignore" or found is None or found.is_current:
            return verdict
        wrong = replace(found, newer=())
        return replace(
            verdict,
            ready=verdict.ready and not self.hinder,
            degraded=True,
            reasons=(*verdict.reasons, *(f"migrations: {each}" for each in wrong.problems)),
        )

    @property
    def hints(self) -> Iterator[str]:
        """What is worth a look, and what to do."""
        found = self.check
        if self.error:
            yield f"migrations: how they stand is not known ({self.error})"
        if found is None:
            return
        if self.at_connect == "ignore" and found.pending:
            yield (
                f"migrations: {len(found.pending)} not applied; `datalayer migrations plan` tells "
                "what they would do"
            )
        if found.unfinished and self.holder is None:
            yield (
                f"migrations: {found.unfinished[0]} was stopped or has failed, and nobody is at "
                "work on it; `datalayer migrations status` tells why"
            )
        for name in (*found.edited, *found.missing)[:_MOST_TOLD]:
            yield (
                f"migrations: the file of {name} is another than the one that was applied, or "
                "gone; `datalayer migrations status` tells more"
            )

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        check = None if self.check is None else self.check.as_dict()
        return {
            "at_connect": self.at_connect,
            "check": check,
            "holder": self.holder,
            "error": self.error,
        }


@dataclass
class MigrationsWatch:
    """Asks now and then, for one process."""

    _lock: threading.Lock = field(default_factory=threading.Lock)  # guards what is below
    _known: Migrations = field(default_factory=Migrations)
    _asked_at: float = float("-inf")
    _answer: Future[Migrations] | None = None
    _files: Mapping[str, tuple[File, ...]] = field(default_factory=dict)

    def begin(self, timeout_seconds: float, *, always: bool = True) -> None:
        """Ask, unless that was done a moment ago or is under way. Without ``always``, only where
        the setting says that anybody minds."""
        settings = registry.settings
        minds = settings is not None and settings.migrations_at_connect != "ignore"
        if settings is None or not (always or minds):
            return
        with self._lock:
            due = monotonic() - self._asked_at >= ASKED_EVERY_SECONDS
            if not due or (self._answer is not None and not self._answer.done()):
                return
            self._asked_at = monotonic()
            answer = self._answer = Future()
        threading.Thread(
            target=self._ask,
            args=(answer, timeout_seconds),
            name="datalayer-migrations",
            daemon=True,
        ).start()

    def known(self, timeout_seconds: float) -> Migrations:
        """What is known, with the answer that is on its way if it comes by then."""
        answer = self._answer
        if answer is not None:
            try:
                return answer.result(max(timeout_seconds, 0.0))
            except FutureTimeoutError:
                return replace(self._known, error="the history did not answer in time")
        return self._known

    def _ask(self, answer: Future[Migrations], timeout_seconds: float) -> None:
        found = self._known
        try:
            found = self._asked(timeout_seconds)
        except PyMongoError as exc:  # whose text may hold values of documents
            found = replace(found, error=f"the history can't be read ({type(exc).__name__})")
        except DataLayerError as exc:
            found = replace(found, error=exc.message)
        except Exception as exc:  # noqa: BLE001 - a package that can't be imported, say
            found = replace(found, error=f"they can't be looked at ({type(exc).__name__})")
        finally:
            self._known = found
            answer.set_result(found)

    def _asked(self, timeout_seconds: float) -> Migrations:
        settings = registry.settings
        if settings is None or DEFAULT_ALIAS not in settings:
            return Migrations()
        setting = settings.migrations_at_connect
        if settings[DEFAULT_ALIAS].kind == "mongomock":
            return Migrations(setting)
        name = settings.migrations
        if name not in self._files:
            # Once: files that a deployment puts in the place of these belong to other code than
            # that of this process.
            place = place_of(name)
            if not place.path.is_dir():
                return Migrations(setting)
            self._files = {name: find(place)}
        if not self._files[name]:
            return Migrations(setting)
        with pymongo.timeout(timeout_seconds):
            check = checked(self._files[name])
            registry.pending_migrations = len(check.pending)
            return Migrations(setting, check, History().held_by()[0])
