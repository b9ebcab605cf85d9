"""How do collections lie on the shards? Compares it with the keys that their models declare, and
shards those that are not. Only a sharded cluster's router (``mongos``) knows of shards; another
server is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

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
from datalayer.sharding.shard_key import ShardKey, declared_key
from datalayer.sharding.shard_key import obstacle as find_obstacle

State = Literal["as declared", "not sharded", "extensible", "another key", "not declared"]


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
            obstacle=find_obstacle(plans[name], declared[name]) if name in declared else None,
        )
        for name in sorted({*declared, *actual})
    ]


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
