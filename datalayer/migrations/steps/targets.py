"""Which collection does a step go to, and can it be migrated?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pymongo import ReadPreference, WriteConcern
from pymongo.collection import Collection

from datalayer import transactions
from datalayer.connections.connection import Connection
from datalayer.connections.operation import asking
from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.documents.collection import plain_collection
from datalayer.errors import MigrationError
from datalayer.indexes import alias_of
from datalayer.indexes.existing import collections, own_session
from datalayer.transfer.codecs import DECODED

TargetName: TypeAlias = "str | tuple[str, str] | type[Any]"
"""A model, the name of a collection of ``default``, or ``(alias, name)``."""
_OWN_PREFIX = "datalayer_"
_KINDS = {
    "view": "is a view, which has no documents of its own; migrate the collection under it",
    "timeseries": (
        "is a time-series collection, whose documents can't be changed one by one; write them "
        "anew with m.transfer()"
    ),
}


@dataclass(frozen=True)
class Target:
    """A collection, or what a model of several has in it."""

    alias: str
    name: str
    model: Any = None

    def __str__(self) -> str:
        return f"{self.alias}.{self.name}"

    @property
    def connection(self) -> Connection:
        """The connection of its alias; raises ``NotConnectedError`` where it isn't connected."""
        return registry.connection(self.alias)

    @property
    def collection(self) -> Collection[Any]:
        """The collection: the primary's data, and writes confirmed by a majority."""
        return self.beside(self.name)

    def beside(self, name: str) -> Collection[Any]:
        """Another collection of the same database."""
        return plain_collection(self.connection, name).with_options(
            codec_options=DECODED,
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern("majority"),
        )

    def selecting(self, *conditions: Mapping[str, Any]) -> dict[str, Any]:
        """A filter of all ``conditions`` at once, for the documents of the model only."""
        all_of_them = [dict(each) for each in (*conditions, self._of_model()) if each]
        if len(all_of_them) <= 1:
            return all_of_them[0] if all_of_them else {}
        return {"$and": all_of_them}

    def _of_model(self) -> dict[str, Any]:
        # The first of several models in a collection has all that is in it.
        if self.model is None or "." not in self.model._class_name:
            return {}
        return {"_cls": {"$in": list(self.model._subclasses)}}

    def error(self, message: str) -> MigrationError:
        """An error about it."""
        return MigrationError(message, alias=self.alias)

    @property
    def has_transactions(self) -> bool:
        """Whether its server can do them."""
        servers = self.connection.client.topology_description.server_descriptions().values()
        return not any(each.server_type_name == "Standalone" for each in servers)

    def exists(self) -> bool:
        """Whether the collection is there.

        Raises:
            MigrationError: where it can't be migrated; where its name is wrong, as far as one can
                tell: there is no such collection, but others that have documents.
        """
        connection = self.connection
        if connection.settings.kind == "mongomock":
            raise self.error(
                f"{self.alias!r} is on mongomock, where nothing can be migrated; use a server, an "
                "embedded one say"
            )
        with asking(connection, "listing collections"), own_session(connection) as session:
            found = collections(connection, session, [self.name]).get(self.name)
        if found is None:
            if self.model is None:
                self._check_name(connection)
            return False
        kind = found.get("type", "collection")
        if kind in _KINDS:
            raise self.error(f"{self.name!r} on {self.alias!r} {_KINDS[kind]}")
        if found.get("options", {}).get("capped"):
            raise self.error(
                f"{self.name!r} on {self.alias!r} is capped: its documents go while they are "
                "changed; move them to another collection with m.transfer()"
            )
        return True

    def _check_name(self, connection: Connection) -> None:
        with asking(connection, "listing collections"), own_session(connection) as session:
            names = sorted(collections(connection, session))
            names = [name for name in names if not name.startswith((_OWN_PREFIX, "system."))]
            database = connection.database
            used = [name for name in names if database[name].find_one({}, {}, session=session)]
        if used:  # else the database is new, and there is nothing to change anywhere
            raise self.error(
                f"there is no collection {self.name!r} on {self.alias!r}, which has "
                f"{_listed(names)}; correct the name"
            )

    def check_not_shard_key(self, fields: Iterable[str]) -> None:
        """Refuse ``fields`` by which the collection is sharded.

        Raises:
            MigrationError: for one of them, or a part of one.
        """
        connection = self.connection
        if connection.client.topology_description.topology_type_name != "Sharded":
            return
        namespace = f"{connection.settings.database}.{self.name}"
        with asking(connection, "asking how a collection is sharded"):
            found = connection.client["config"]["collections"].find_one({"_id": namespace}) or {}
        for key in found.get("key", {}):
            for field in fields:
                if f"{key}.".startswith(f"{field}.") or f"{field}.".startswith(f"{key}."):
                    raise self.error(
                        f"{self.name!r} on {self.alias!r} is sharded by {key!r}, so {field!r} "
                        "can't be changed by a migration; reshard the collection first"
                    )

    def check_transaction(self) -> None:
        """Refuse to work outside of a transaction that is to hold all of a migration.

        Raises:
            MigrationError: where the transaction around it doesn't cover the alias.
        """
        begun = transactions.current()
        if begun is not None and self.alias not in begun.aliases:
            raise self.error(
                f"this migration is one transaction on {', '.join(begun.aliases)}, and would "
                f"change {self} outside of it; name {self.alias!r} in its `transaction`, or make "
                "two migrations of it"
            )


def target_of(target: TargetName) -> Target:
    """The target that a step was given.

    Raises:
        MigrationError: where it is none.
    """
    if isinstance(target, str) and target:
        return Target(DEFAULT_ALIAS, target)
    if isinstance(target, tuple) and len(target) == 2 and all(map(_is_name, target)):
        return Target(*target)
    meta: Mapping[str, Any] | None = getattr(target, "_meta", None)
    if isinstance(target, type) and meta is not None:
        name_of: Callable[[], str] | None = getattr(target, "_get_collection_name", None)
        name = None if meta.get("abstract") or name_of is None else name_of()
        if name:
            return Target(alias_of(target), name, target)
        raise MigrationError(
            f"{target.__name__} has no collection: it is abstract, or embedded; name a model that "
            "has one"
        )
    raise MigrationError(
        "a target is a model, the name of a collection of 'default', or (alias, name), unlike "
        f"{target!r}"
    )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _listed(names: list[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} others"
