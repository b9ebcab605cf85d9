"""Shards collections by the keys that their models declare, and tells how they lie on the shards.
Only a sharded cluster's router (``mongos``) knows of shards; another server is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mongoengine.errors import InvalidQueryError, LookUpError
from pymongo.errors import OperationFailure, PyMongoError

from datalayer import indexes
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.errors import (
    AuthenticationError,
    ConfigurationError,
    IndexBuildError,
    UnavailableError,
)
from datalayer.failures.server_codes import PASSING, ServerCode
from datalayer.failures.tracebacks import as_cause, without_locals
from datalayer.indexes import CollectionPlan

__all__ = ["ShardAction", "ShardKey", "Sharding", "State", "declared_key", "look", "sync"]

State = Literal["as declared", "not sharded", "extensible", "another key", "not declared"]


@dataclass(frozen=True)
class ShardKey:
    """The fields by which a collection is sharded, by their names in the database."""

    fields: tuple[tuple[str, Any], ...]
    """Each with 1, or with ``"hashed"``."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ShardKey:
        """As the server stores it: numbers there may be ``1.0``."""
        return cls(
            tuple((name, kind if kind == "hashed" else 1) for name, kind in document.items())
        )

    def __str__(self) -> str:
        return ", ".join(name if kind == 1 else f"{name} {kind}" for name, kind in self.fields)

    @property
    def document(self) -> dict[str, Any]:
        """As commands take it."""
        return dict(self.fields)

    def begins(self, other: ShardKey) -> bool:
        """Whether ``other`` has the same fields first, and more."""
        return self != other and other.fields[: len(self.fields)] == self.fields


@dataclass(frozen=True)
class Sharding:
    """How one collection is sharded, and how its models want it."""

    alias: str
    collection: str
    declared: ShardKey | None
    actual: ShardKey | None
    documents: Mapping[str, int] = field(default_factory=dict)
    """How many there are on each shard, as the shards estimate it."""
    obstacle: str | None = None
    """Why the server would not shard it by the declared key."""

    @property
    def state(self) -> State:
        """How the declared key and the actual one compare.

        ``extensible`` is a collection whose key only lacks the last of the declared fields.
        """
        if self.declared is None:
            return "not declared"
        if self.actual is None:
            return "not sharded"
        if self.actual == self.declared:
            return "as declared"
        return "extensible" if self.actual.begins(self.declared) else "another key"

    @property
    def is_pending(self) -> bool:
        """Whether the models want it in another way."""
        return self.state not in ("as declared", "not declared")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "alias": self.alias,
            "collection": self.collection,
            "declared": None if self.declared is None else self.declared.document,
            "actual": None if self.actual is None else self.actual.document,
            "state": self.state,
            "obstacle": self.obstacle,
            "documents": dict(self.documents),
        }


@dataclass(frozen=True)
class ShardAction:
    """Something that ``sync`` did: a collection was sharded, or its key was extended."""

    alias: str
    collection: str
    kind: Literal["sharded", "extended"]
    key: ShardKey

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "alias": self.alias,
            "collection": self.collection,
            "action": self.kind,
            "key": self.key.document,
        }


def declared_key(plan: CollectionPlan) -> ShardKey | None:
    """The key of ``meta["shard_key"]``, MongoEngine's own: the names of fields.

    ``meta["shard_hashed"]`` names the one of them by whose hash documents are spread.

    Raises:
        ConfigurationError: for a field that there isn't, and for models of one collection that
            want different keys.
    """
    found = {key for model in plan.models if (key := _key_of(model)) is not None}
    if len(found) > 1:
        keys = " and ".join(sorted(f"({key})" for key in found))
        raise ConfigurationError(
            f"the models of {plan.name!r} declare different shard keys: {keys}"
        )
    return found.pop() if found else None


def look(alias: str) -> list[Sharding]:
    """All collections on ``alias`` that are sharded, or whose models want them to be.

    Raises:
        ConfigurationError: where the server is no router of a sharded cluster, and for what
            models declare.
        AuthenticationError: without the privilege to read how collections are sharded
            (``clusterMonitor`` has it).
        UnavailableError: when the router does not answer.
    """
    connection = registry.connection(alias)
    return [
        replace(each, documents=_documents(connection, each.collection)) if each.actual else each
        for each in _compared(connection, _plans(alias))
    ]


def sync(alias: str) -> list[ShardAction]:
    """Shard the collections whose models want it, and extend keys that lack declared fields.

    The index that the key needs is built first. A collection that is sharded by another key is
    left as it is: resharding writes all of it anew, and is for an operator to begin.

    Raises:
        ConfigurationError: like ``look``; and where the server would refuse one of the keys,
            before anything is done.
        IndexBuildError: for what the server refuses all the same; what was done stays done.
    """
    connection = registry.connection(alias)
    plans = _plans(alias)
    found = _compared(connection, plans)
    wanted = [each for each in found if each.state in ("not sharded", "extensible")]
    for each in wanted:
        if each.obstacle is not None:
            raise ConfigurationError(
                f"{alias}.{each.collection} can't be sharded by ({each.declared}): "
                f"{each.obstacle}",
                alias=alias,
            )
    return [
        _shard(connection, plans[each.collection], each.declared, extend=each.actual is not None)
        for each in wanted
        if each.declared is not None
    ]


def _plans(alias: str) -> dict[str, CollectionPlan]:
    return {plan.name: plan for plan in indexes.plans_on(alias)}


def _compared(connection: Connection, plans: Mapping[str, CollectionPlan]) -> list[Sharding]:
    """All that are sharded or should be, without a look at their documents."""
    _check_router(connection)
    declared = {name: key for name, plan in plans.items() if (key := declared_key(plan))}
    actual = _sharded(connection)
    return [
        Sharding(
            alias=connection.alias,
            collection=name,
            declared=declared.get(name),
            actual=actual.get(name),
            obstacle=_obstacle(plans[name], declared[name]) if name in declared else None,
        )
        for name in sorted({*declared, *actual})
    ]


def _key_of(model: Any) -> ShardKey | None:
    names = model._meta.get("shard_key") or ()
    hashed = model._meta.get("shard_hashed")
    if hashed is not None and hashed not in names:
        raise ConfigurationError(
            f"{model.__name__} names {hashed!r} in shard_hashed, but not in shard_key"
        )
    fields = [(_stored_name(model, name), "hashed" if name == hashed else 1) for name in names]
    return ShardKey(tuple(fields)) if fields else None


def _stored_name(model: Any, name: str) -> str:
    try:
        path = model._lookup_field(name.replace("__", ".").split("."))
    except (LookUpError, InvalidQueryError) as exc:
        raise ConfigurationError(
            f"{model.__name__} has no field {name!r}, which its shard_key names"
        ) from exc
    return ".".join(part if isinstance(part, str) else part.db_field for part in path)


def _obstacle(plan: CollectionPlan, key: ShardKey) -> str | None:
    # https://www.mongodb.com/docs/manual/core/sharding-shard-key/#unique-indexes
    if plan.options.get("capped"):
        return "capped collections can't be sharded"
    for index in plan.indexes:
        document = index.document
        if (
            document.get("unique")
            and tuple(document["key"].items())[: len(key.fields)] != key.fields
        ):
            return (
                f"its unique index {document['name']!r} does not begin with these fields, and no "
                "shard knows the values of the others"
            )
    return None


def _check_router(connection: Connection) -> None:
    with _asking(connection, "tell what it is"):
        hello = connection.client.admin.command("hello")
    if hello.get("msg") != "isdbgrid":
        raise ConfigurationError(
            f"{connection.alias!r} at {', '.join(connection.settings.hosts)} is not the router "
            "(mongos) of a sharded cluster, so it has no shards",
            alias=connection.alias,
        )


def _sharded(connection: Connection) -> dict[str, ShardKey]:
    prefix = f"{connection.settings.database}."
    query = {
        "_id": {"$gte": prefix, "$lt": f"{connection.settings.database}/"},  # the next character
        "dropped": {"$ne": True},  # before MongoDB 5.0
        "unsplittable": {"$ne": True},  # since 7.1: on one shard, and known to the router
    }
    with _asking(connection, "tell which collections are sharded"):
        found = list(connection.client["config"]["collections"].find(query, {"key": True}))
    return {each["_id"].removeprefix(prefix): ShardKey.of(each["key"]) for each in found}


def _documents(connection: Connection, collection: str) -> dict[str, int]:
    with _asking(connection, f"count the documents of {collection!r}"):
        each = connection.database[collection].aggregate([{"$collStats": {"storageStats": {}}}])
        return {one["shard"]: one["storageStats"]["count"] for one in each}


def _shard(
    connection: Connection, plan: CollectionPlan, key: ShardKey, *, extend: bool
) -> ShardAction:
    admin = connection.client.admin
    name = f"{connection.settings.database}.{plan.name}"
    with _asking(connection, f"shard {plan.name!r} by ({key})", plan.name):
        if key.fields != (("_id", 1),):
            connection.database[plan.name].create_index(list(key.fields))
        if extend:
            admin.command("refineCollectionShardKey", name, key=key.document)
        else:
            admin.command("enableSharding", connection.settings.database)  # needed before 6.0
            # A shard key compares bytes, whatever the collection's own order is.
            command: dict[str, Any] = {"shardCollection": name, "key": key.document}
            if "collation" in plan.options:
                command["collation"] = {"locale": "simple"}
            admin.command(command)
    return ShardAction(connection.alias, plan.name, "extended" if extend else "sharded", key)


@contextmanager
def _asking(connection: Connection, what: str, collection: str | None = None) -> Iterator[None]:
    alias = connection.alias
    try:
        yield
    except OperationFailure as exc:
        without_locals(exc)
        if exc.code in PASSING:
            raise _no_answer(connection) from None
        if exc.code == ServerCode.Unauthorized:
            raise AuthenticationError(
                f"the user of {alias!r} has no privilege to {what}; clusterMonitor may look, and "
                "clusterManager may shard",
                alias=alias,
            ) from None
        raise IndexBuildError(
            f"the router of {alias!r} refuses to {what} (error {exc.code})",
            alias=alias,
            collection=collection,
        ) from None  # what a server says may hold a document's values
    except PyMongoError as exc:
        raise _no_answer(connection) from as_cause(without_locals(exc))


def _no_answer(connection: Connection) -> UnavailableError:
    alias = connection.alias
    return UnavailableError(
        f"the router of {alias!r} at {', '.join(connection.settings.hosts)} does not answer, or "
        "can't do it now; try it again later",
        alias=alias,
    )
