"""Which aggregations tell what a server does? They return figures and names, never contents."""

from __future__ import annotations

import re
from typing import Any

_MOST = 20
_INTERNAL = {"$not": {"$regex": r"^(admin|local|config)\."}}
_NAME_OF_COMMAND = {
    "$arrayElemAt": [
        {"$map": {"input": {"$objectToArray": "$command"}, "in": "$$this.k"}},
        0,
    ]
}


def long_operations(slow_ms: int, *, all_users: bool = True) -> list[dict[str, Any]]:
    """Operations that have been running for ``slow_ms``, and transactions open for as long
    that do nothing. Those that wait for news by design are left out: heartbeats, tailing."""
    microseconds = slow_ms * 1000
    return [
        {"$currentOp": {"allUsers": all_users, "idleSessions": True}},
        {
            "$match": {
                "$or": [
                    {"active": True, "microsecs_running": {"$gte": microseconds}},
                    {
                        "type": "idleSession",
                        "transaction.timeOpenMicros": {"$gte": microseconds},
                    },
                ],
                "op": {"$ne": "none"},
                "ns": _INTERNAL,
                "command.hello": {"$exists": False},
                "command.isMaster": {"$exists": False},
                "command.ismaster": {"$exists": False},
                "cursor.awaitData": {"$ne": True},
            }
        },
        {
            "$project": {
                "_id": 0,
                "collection": "$ns",
                "command": {"$ifNull": [_NAME_OF_COMMAND, "$op"]},
                "idle_transaction": {"$eq": ["$type", "idleSession"]},
                "scans": {"$eq": ["$planSummary", "COLLSCAN"]},
                "waits": "$waitingForLock",
                "seconds": {
                    "$divide": [
                        {"$ifNull": ["$microsecs_running", "$transaction.timeOpenMicros"]},
                        1_000_000,
                    ]
                },
            }
        },
        {"$sort": {"seconds": -1}},
        {"$limit": _MOST},
    ]


def running_operations(database: str, *, all_users: bool) -> list[dict[str, Any]]:
    """The operations at work on a database, the longest first."""
    return [
        {"$currentOp": {"allUsers": all_users, "idleConnections": False}},
        {"$match": {"active": True, "ns": {"$regex": rf"^{re.escape(database)}\."}}},
        {"$sort": {"microsecs_running": -1}},
        {"$limit": _MOST},
        {
            "$project": {
                "_id": 0,
                "collection": "$ns",
                "command": {"$ifNull": [_NAME_OF_COMMAND, "$op"]},
                "microseconds": {"$ifNull": ["$microsecs_running", 0]},
            }
        },
    ]


CLIENTS: list[dict[str, Any]] = [
    {"$currentOp": {"allUsers": True, "idleConnections": True, "idleSessions": False}},
    {"$match": {"appName": {"$exists": True}}},
    {"$group": {"_id": "$appName", "connections": {"$addToSet": "$connectionId"}}},
    {"$project": {"_id": 0, "name": "$_id", "connections": {"$size": "$connections"}}},
    {"$sort": {"connections": -1}},
    {"$limit": _MOST},
]
"""Who holds how many connections."""

INDEX_USES: list[dict[str, Any]] = [
    {"$indexStats": {}},
    {
        "$project": {
            "_id": 0,
            "name": 1,
            "uses": "$accesses.ops",
            "since": "$accesses.since",
            "unique": "$spec.unique",
            "ttl": "$spec.expireAfterSeconds",
        }
    },
]
"""How often each index of a collection was used, and since when that is counted."""

SCANS: list[dict[str, Any]] = [
    {"$match": {"planSummary": "COLLSCAN", "ns": {"$not": {"$regex": r"\.system\."}}}},
    {
        "$group": {
            "_id": {"collection": "$ns", "operation": "$op"},
            "times": {"$sum": 1},
            "slowest_ms": {"$max": "$millis"},
        }
    },
    {
        "$project": {
            "_id": 0,
            "collection": "$_id.collection",
            "operation": "$_id.operation",
            "times": 1,
            "slowest_ms": 1,
        }
    },
    {"$sort": {"times": -1}},
    {"$limit": _MOST},
]
"""The queries of ``system.profile`` that read a whole collection."""
