"""Loads and saves a session as ``django.contrib.sessions`` asks for it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from mongoengine.errors import NotUniqueError

from datalayer import db
from datalayer.contrib.django.connecting import connect
from datalayer.contrib.django.sessions.documents import Session
from datalayer.documents import utc_now


class SessionStore(SessionBase):
    """The session of one request. It is read when it is first looked at.

    Derive from it, in a module of your own that ``SESSION_ENGINE`` names, to give another
    ``document`` or ``timeout_seconds``: how long one operation may take at most, 2 by default.

    Raises (from whatever looks at the session, and from the middleware that saves it):
        UnavailableError: while the database is away.
        DeadlineExceededError, OutcomeUnknownError: where it took too long.
    """

    document: ClassVar[Any] = Session
    timeout_seconds: ClassVar[float] = 2.0

    def load(self) -> dict[str, Any]:
        """What the session holds; where there is none, or it has expired, it becomes a new one."""
        with db.deadline(self.timeout_seconds):
            found = self.document.objects(pk=self.session_key, expires_at__gt=utc_now()).first()
        if found is None:
            self._session_key = None
            return {}
        held: dict[str, Any] = self.decode(found.data)
        return held

    def exists(self, session_key: str) -> bool:
        """Whether there is a session with this key."""
        with db.deadline(self.timeout_seconds):
            return self.document.objects(pk=session_key).only("pk").first() is not None

    def create(self) -> None:
        """Begin a session with a new key, and store it."""
        while True:
            self._session_key = self._get_new_session_key()
            try:
                self.save(must_create=True)
            except CreateError:
                continue  # another process took this key meanwhile
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        """Store the session.

        Raises:
            CreateError: with ``must_create`` where the key is taken.
            UpdateError: where the session was deleted meanwhile, by logging out in another
                window perhaps; it isn't brought back.
        """
        if self.session_key is None:
            self.create()
            return
        data = self.encode(self._get_session(no_load=must_create))
        expires_at = self.get_expiry_date()
        with db.deadline(self.timeout_seconds):
            if must_create:
                self._insert(data, expires_at)
            elif not self._update(data, expires_at):
                raise UpdateError

    def delete(self, session_key: str | None = None) -> None:
        """Delete the session with this key, by default this one."""
        key = self.session_key if session_key is None else session_key
        if key is not None:
            with db.deadline(self.timeout_seconds):
                self.document.objects(pk=key).delete()

    @classmethod
    def clear_expired(cls) -> None:
        """What ``manage.py clearsessions`` does. The server does it by itself, each minute."""
        connect()
        cls.document.objects(expires_at__lte=utc_now()).delete()

    def _insert(self, data: str, expires_at: Any) -> None:
        made = self.document(key=self.session_key, data=data, expires_at=expires_at)
        try:
            made.save(force_insert=True)
        except NotUniqueError:
            raise CreateError from None

    def _update(self, data: str, expires_at: Any) -> bool:
        """Whether the session was there. One operation: what was deleted before stays so."""
        outcome = self.document.objects(pk=self.session_key).update_one(
            data=data, expires_at=expires_at, full_result=True
        )
        return bool(outcome.matched_count)
