"""The collection of sessions: found, written and deleted by the hash of their identifier, at once
and whatever the request has set for its own operations."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection as Sized
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ReadPreference

from datalayer.connections.registry import registry
from datalayer.context import deadlines
from datalayer.contrib.flask.sessions.values import OPTIONS, escaped, unescaped
from datalayer.documents import Document, UTCDateTimeField, define_model, utc_now
from datalayer.documents.collection import collection_of, outside_transaction
from datalayer.errors import UnavailableError
from datalayer.fields import BinaryField, DictField

_RANDOM_BYTES = 32
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{43}")


def new_identifier() -> str:
    """256 random bits, for a cookie."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


def looks_like_identifier(text: str) -> bool:
    """Whether ``text`` can be one of ours, which is worth a question to the database."""
    return _IDENTIFIER.fullmatch(text) is not None


@dataclass(frozen=True)
class Stored:
    """A session as the database has it, its values tagged."""

    values: dict[str, Any]
    expires_at: datetime


class SessionStore:
    """The sessions of one collection. Each operation on an optional database ends within
    ``timeout_seconds``; on a required one it has the time of any other.

    Raises what operations on a model raise: ``UnavailableError``, ``DeadlineExceededError`` and
    ``NotConnectedError`` while the database is away, ``IndexBuildError`` where the index that
    removes expired sessions can't be built.
    """

    def __init__(self, alias: str, collection: str, timeout_seconds: float) -> None:
        self.alias = alias
        self._timeout_seconds = timeout_seconds
        # Known to MongoEngine from here on, so that its index is built when connecting, and
        # `datalayer indexes` knows it.
        self.model = define_model(
            Document,
            "ServerSession_" + re.sub(r"\W", "_", f"{alias}_{collection}"),
            {
                "key": BinaryField(primary_key=True),
                "data": DictField(),
                "created_at": UTCDateTimeField(),
                "expires_at": UTCDateTimeField(),
            },
            collection=collection,
            indexes=[{"fields": ["expires_at"], "expireAfterSeconds": 0}],
            meta={"db_alias": alias, "timestamps": False, "id_field": "key"},
        )

    @property
    def is_required(self) -> bool:
        """Whether the application can do without the database (``REQUIRED`` in its settings)."""
        connection = registry.find(self.alias)
        return connection is not None and connection.settings.required

    def find(self, identifier: str) -> Stored | None:
        """The session, unless there is none or it has expired."""
        with self._collection() as collection:
            found = collection.find_one(_alive(identifier))
        if found is None:
            return None
        values = {unescaped(key): value for key, value in found["data"].items()}
        return Stored(values, found["expires_at"])

    def insert(self, identifier: str, values: Mapping[str, Any], expires_at: datetime) -> None:
        """Begin a session."""
        data = {escaped(key): value for key, value in values.items()}
        facts = {"data": data, "created_at": utc_now(), "expires_at": expires_at}
        with self._collection() as collection:
            collection.insert_one({"_id": _hash(identifier), **facts})

    def change(
        self,
        identifier: str,
        values: Mapping[str, Any],
        removed: Sized[str],
        expires_at: datetime,
    ) -> bool:
        """Set ``values`` and leave all others alone; says whether there still was a session."""
        update: dict[str, Any] = {"$set": {"expires_at": expires_at}}
        update["$set"] |= {f"data.{escaped(key)}": value for key, value in values.items()}
        if removed:
            update["$unset"] = {f"data.{escaped(key)}": "" for key in removed}
        with self._collection() as collection:
            return bool(collection.update_one(_alive(identifier), update).matched_count)

    def delete(self, identifier: str) -> None:
        """End a session."""
        with self._collection() as collection:
            collection.delete_one({"_id": _hash(identifier)})

    def check(self) -> None:
        """Raise ``UnavailableError`` where an optional database is known to be away; asks no
        server."""
        connection = registry.find(self.alias)
        if connection is not None and (connection.is_unused or connection.settings.required):
            return  # nobody has tried yet, as after a fork; or an attempt is worth its time
        if connection is None or connection.reach() not in ("connected", "degraded"):
            raise UnavailableError(
                f"the session can't be kept: {self.alias!r} is away", alias=self.alias
            )

    @contextmanager
    def _collection(self) -> Iterator[Any]:
        """From the primary and of the alias's own database, outside the request's transaction."""
        connection = registry.own_connection(self.alias)
        is_limited = not connection.settings.required
        limit = deadlines.deadline(self._timeout_seconds) if is_limited else nullcontext()
        with limit, outside_transaction(connection):
            yield collection_of(self.model, connection).with_options(
                codec_options=OPTIONS, read_preference=ReadPreference.PRIMARY
            )


def _hash(identifier: str) -> bytes:
    # Who reads the collection, or a backup of it, can't take over the sessions in it. 256 random
    # bits need neither salt nor a slow hash.
    return hashlib.sha256(identifier.encode("ascii")).digest()


def _alive(identifier: str) -> dict[str, Any]:
    # The server looks for expired ones once a minute.
    return {"_id": _hash(identifier), "expires_at": {"$gt": utc_now()}}
