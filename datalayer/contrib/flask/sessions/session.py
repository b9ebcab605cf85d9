"""A session as a request sees it: read when it is first looked at, and where the database is away
empty and not to be written."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from flask.sessions import SessionMixin

from datalayer.contrib.flask.sessions.store import SessionStore
from datalayer.contrib.flask.sessions.values import as_bson, tagged, untagged
from datalayer.errors import UnavailableError
from datalayer.web import is_temporary

logger = logging.getLogger("datalayer.contrib.flask")

_ABSENT = object()


class ServerSession(SessionMixin):
    """What stands in the session of one visitor. Keys are texts.

    It is read from the database when it is first looked at. While an optional database is away
    it is empty, and changing it raises ``UnavailableError``: nobody is signed in or out who is
    told so. While a required one is away, the first look at it raises what any query would.
    """

    accessed = False
    modified = False

    def __init__(
        self, store: SessionStore, identifier: str | None, before_reading: Callable[[], object]
    ) -> None:
        self.identifier = identifier
        """The one that the browser sent, as long as it may be a session's. It is a secret."""
        self.expires_at: datetime | None = None
        self.renew = False
        self.is_given_up = False
        """Whether it could not be written, and nobody shall try again."""
        self._store = store
        self._before_reading = before_reading
        self._values: dict[str, Any] | None = None  # None: nobody has looked yet
        self._stored: dict[str, Any] = {}  # as the database has them, tagged
        self._away: Exception | None = None

    @property
    def was_read(self) -> bool:
        """Whether the request has looked at it."""
        return self._values is not None

    @property
    def is_available(self) -> bool:
        """False where the database is away, so that nobody knows what stands in it."""
        try:
            self._read()
        except Exception as exc:
            if not is_temporary(exc):
                raise
            return False
        return self._away is None

    @property
    def new(self) -> bool:  # type: ignore[override]  # a variable in Flask
        """Whether the visitor had no session before this request."""
        self._read()
        return self.identifier is None

    def regenerate(self) -> None:
        """Give the session another identifier with this response, its contents kept.

        Raises:
            UnavailableError: while the database is away.
        """
        self._change()
        self.renew = True

    def tagged_values(self) -> dict[str, Any]:
        """All values as they are stored."""
        return {key: tagged(value) for key, value in self._read().items()}

    def changes(self) -> tuple[dict[str, Any], list[str], int]:
        """The values, tagged, that differ from the stored ones, also inside lists and mappings;
        the keys that are gone; and how many bytes all values take.

        Raises:
            TypeError: for a value that can't be stored.
        """
        changed, size = {}, 0
        for key, value in self._read().items():
            now = tagged(value)
            encoded = as_bson(key, now)
            size += len(encoded)
            before = self._stored.get(key, _ABSENT)
            if before is _ABSENT or as_bson(key, before) != encoded:
                changed[key] = now
        return changed, [key for key in self._stored if key not in self._read()], size

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._change()[key] = value
        self.modified = True

    def __delitem__(self, key: str) -> None:
        del self._change()[key]
        self.modified = True

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def pop(self, key: str, *default: Any) -> Any:
        """As of a dictionary. Raises ``UnavailableError`` while the database is away."""
        self._change()  # also where nothing is there to take out: that may be a signing out
        return super().pop(key, *default)

    def clear(self) -> None:
        """As of a dictionary. Raises ``UnavailableError`` while the database is away."""
        self._change().clear()
        self.modified = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._store.alias!r}>"  # without what stands in it

    def _change(self) -> dict[str, Any]:
        values = self._read()
        if self._away is not None:
            raise UnavailableError(
                f"the session can't be changed: it could not be read from {self._store.alias!r}",
                alias=self._store.alias,
            ) from self._away
        self._store.check()
        return values

    def _read(self) -> dict[str, Any]:
        if self._values is not None:
            return self._values
        self.accessed = True
        self._values = {}
        self._before_reading()
        if self.identifier is None:
            return self._values
        try:
            found = self._store.find(self.identifier)
        except Exception as exc:
            if not is_temporary(exc):
                self._values = None
                raise
            self._away = exc  # what is made after the error, a page on it say, finds it empty
            if self._store.is_required:
                raise
            logger.warning(
                "a session is empty, as %s is away: %s",
                self._store.alias,
                exc,
                extra={"alias": self._store.alias, "event": "session_unavailable"},
            )
            return self._values
        if found is None:
            self.identifier = None
            return self._values
        self._stored, self.expires_at = found.values, found.expires_at
        self._values = {key: untagged(value) for key, value in found.values.items()}
        return self._values
