"""Which collections does a look at schemas go to, and what do their models say of each?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import mongoengine
from bson import CodecOptions
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern

from datalayer.connections.connection import Connection
from datalayer.connections.operation import asking
from datalayer.connections.registry import registry
from datalayer.documents.collection import apart_from_transaction
from datalayer.errors import ConfigurationError
from datalayer.indexes import CollectionPlan, alias_of, collection_schema, plans_on
from datalayer.indexes.existing import collections, own_session
from datalayer.routing import read_preference_for

_COMMITTED = ReadConcern("majority")
# Ids come back to the server as they were.
_AS_STORED: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    uuid_representation=UuidRepresentation.STANDARD,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)


@dataclass(frozen=True)
class Target:
    """A collection that models describe, on a connected database."""

    connection: Connection
    plan: CollectionPlan
    existing: Mapping[str, Any] | None
    """What ``listCollections`` tells of it; ``None`` where it isn't there."""

    @property
    def alias(self) -> str:
        """The alias of its database."""
        return self.connection.alias

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.plan.name

    @property
    def schema(self) -> dict[str, Any]:
        """What its models say of its documents, as ``$jsonSchema``."""
        return collection_schema(self.plan.models)

    @property
    def odd_kind(self) -> str | None:
        """What it is, where it is no collection of documents with a validator of its own."""
        kind = (self.existing or {}).get("type", "collection")
        return {"view": "a view", "timeseries": "a time-series collection"}.get(kind)

    @contextmanager
    def reading(self) -> Iterator[Collection[Any]]:
        """The collection, whose reads go to the members that ``db.read_from`` or the model's
        ``read_from`` names."""
        with reading(self.connection, self.name, self.plan.models[0]) as collection:
            yield collection


@contextmanager
def reading(connection: Connection, name: str, model: Any = None) -> Iterator[Collection[Any]]:
    """A collection whose reads see what won't be rolled back, outside of transactions."""
    preference = read_preference_for(model or mongoengine.Document, connection)
    with apart_from_transaction(connection, name) as collection:
        yield collection.with_options(
            codec_options=_AS_STORED, read_preference=preference, read_concern=_COMMITTED
        )


def targets(
    models: Iterable[Any] | None = None,
    *,
    aliases: Sequence[str] | None = None,
    collection: str | None = None,
) -> list[Target]:
    """The collections of ``models`` (default: of all models whose alias is connected).

    ``aliases`` and ``collection`` leave out all others. A view and a time-series collection are
    left out unless they were named by ``models`` or ``collection``.

    Raises:
        ConfigurationError: where no model describes a collection that was named, or one that was
            named is a view or a time-series collection, or one is on mongomock.
        NotConnectedError: for an alias that isn't connected.
        UnavailableError: where a server is away.
    """
    plans: dict[str, list[CollectionPlan]] = {}
    for alias, plan in described(models, aliases, collection):
        plans.setdefault(alias, []).append(plan)
    found = [
        target
        for alias, there in plans.items()
        for target in _existing(registry.connection(alias), there)
    ]
    named = models is not None or collection is not None
    for target in found if named else ():
        if target.odd_kind:
            raise ConfigurationError(
                f"{target.name!r} on {target.alias!r} is {target.odd_kind}, whose documents no "
                "validator looks at; leave it out",
                alias=target.alias,
            )
    return [target for target in found if not target.odd_kind]


def described(
    models: Iterable[Any] | None, aliases: Sequence[str] | None, collection: str | None
) -> list[tuple[str, CollectionPlan]]:
    """The collections that are chosen as by ``targets``, with their aliases. Asks no server.

    Raises:
        ConfigurationError: for a model without a collection, and where no model describes the
            ``collection`` that was named.
    """
    wanted = None if models is None else _with_collections(models)
    if aliases is None:
        given = registry.aliases() if wanted is None else [alias_of(model) for model in wanted]
        aliases = list(dict.fromkeys(given))
    found = [
        (alias, plan)
        for alias in aliases
        for plan in plans_on(alias)
        if collection in (None, plan.name)
        and (wanted is None or any(model in plan.models for model in wanted))
    ]
    if collection is not None and not found:
        on = " or ".join(map(repr, aliases)) or "no database"
        raise ConfigurationError(
            f"no model that is known describes the collection {collection!r} on {on}; name the "
            "module of its model, with --models on the command line"
        )
    return found


def _with_collections(models: Iterable[Any]) -> list[Any]:
    found = list(models)
    for model in found:
        meta: Mapping[str, Any] = getattr(model, "_meta", {})
        if meta.get("abstract") or not meta.get("collection"):
            name = getattr(model, "__name__", repr(model))
            raise ConfigurationError(
                f"{name} has no collection, so it has no documents to look at; name a document "
                "that is neither abstract nor embedded"
            )
    return found


def _existing(connection: Connection, plans: Sequence[CollectionPlan]) -> list[Target]:
    if connection.settings.kind == "mongomock":
        raise ConfigurationError(
            f"{connection.alias!r} is on mongomock, which knows no $jsonSchema; use a server, an "
            "embedded one say",
            alias=connection.alias,
        )
    with asking(connection, "listing collections"), own_session(connection) as session:
        existing = collections(connection, session, [plan.name for plan in plans])
    return [Target(connection, plan, existing.get(plan.name)) for plan in plans]
