"""Shards collections by the keys that their models declare, and tells how they lie on the shards.

``shard_key`` reads the declared keys; ``syncing`` asks the router and shards.
"""

from __future__ import annotations

from datalayer.sharding.shard_key import ShardKey, declared_key
from datalayer.sharding.syncing import ShardAction, Sharding, State, look, sync

__all__ = ["ShardAction", "ShardKey", "Sharding", "State", "declared_key", "look", "sync"]
