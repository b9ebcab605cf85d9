"""By which fields is a collection to be sharded? What its models declare, and what the server
would have against it. Asks no server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mongoengine.errors import InvalidQueryError, LookUpError

from datalayer.errors import ConfigurationError
from datalayer.indexes import CollectionPlan


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


def obstacle(plan: CollectionPlan, key: ShardKey) -> str | None:
    """Why the server would not shard the collection by ``key``; ``None`` where it would."""
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
