"""What has to hold before a transfer begins: the state of the target, privileges, and space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo.errors import OperationFailure

from datalayer.errors import TransferError
from datalayer.indexes import Index, compare
from datalayer.indexes.comparing import changed_options
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.journal.entry import RANGES, TRANSFERS
from datalayer.transfer.plan import Part, Plan

_KIND = ("timeseries.timeField", "timeseries.metaField", "capped", "collation")
_READS = frozenset({"find", "listIndexes"})
_WATCHES = frozenset({"find", "changeStream"})
_EVERY_COLLECTION = ""
_WRITES = frozenset({"find", "insert", "update", "remove", "createIndex", "createCollection"})


def check(plan: Plan, origin: Endpoint, destination: Endpoint) -> None:
    """Refuse a plan that could not end well.

    Raises:
        TransferError: saying what is in the way.
    """
    _check_replica_set(destination, "the journal needs transactions")
    if plan.snapshot or plan.follow:
        _check_replica_set(origin, "only a replica set has a past to read, and changes to follow")
    _check_privileges(plan, origin, destination)
    for part in plan.parts:
        _check_kind(plan, part)
        _check_target(plan, part, destination)
    _check_space(plan, destination)


def _check_replica_set(endpoint: Endpoint, why: str) -> None:
    hello = endpoint.command({"hello": 1})
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise TransferError(
            f"{endpoint.alias!r} is a server on its own, and {why}; run it as a replica set (of "
            "one member, if need be)",
            alias=endpoint.alias,
        )


def _check_kind(plan: Plan, part: Part) -> None:
    special = "timeseries" in part.options or part.options.get("capped")
    if special and plan.move:
        raise TransferError(
            f"documents can't be deleted one by one from {part.source!r}, a capped or "
            "time-series collection: copy it instead of moving",
            alias=plan.source,
        )
    if special and plan.follow:
        raise TransferError(
            f"the server doesn't tell of all changes to {part.source!r}, a capped or time-series "
            "collection: it can't be followed",
            alias=plan.source,
        )
    if part.options.get("capped") and plan.snapshot:
        raise TransferError(
            f"the server keeps no past of {part.source!r}, a capped collection: it can't be "
            "copied from a snapshot",
            alias=plan.source,
        )
    if part.options.get("capped") and plan.method == "merge":
        raise TransferError(
            f"{part.source!r} is a capped collection, whose order the server doesn't keep when it "
            "copies by itself: it can only be copied by the method copy",
            alias=plan.source,
        )
    if "timeseries" in part.options and (plan.conflicts != "fail" or plan.method == "merge"):
        raise TransferError(
            f"{part.source!r} is a time-series collection, whose _ids are not unique: it can "
            "only go to an empty one, by the method copy",
            alias=plan.source,
        )


def _check_target(plan: Plan, part: Part, endpoint: Endpoint) -> None:
    found = next(iter(endpoint.database.list_collections(filter={"name": part.target})), None)
    if found is None:
        return
    where = f"{part.target!r} on {endpoint.alias!r}"
    if found["type"] == "view":
        raise TransferError(f"{where} is a view; name another target", alias=endpoint.alias)
    wanted = dict(part.options) if plan.carry_options else {}
    wanted |= {"collation": part.options.get("collation", {"locale": "simple"})}
    # Compared both ways: what the source lacks and the target has counts too.
    present = found.get("options", {})
    present = {"collation": {"locale": "simple"}, **present}
    differing = {
        each.name
        for one, other in ((wanted, present), (present, wanted))
        for each in changed_options(one, other)
    }
    wrong = sorted(differing & set(_KIND))
    if wrong:
        raise TransferError(
            f"{where} exists and is of another kind than the source ({', '.join(wrong)}), which "
            "can't be changed in place; name another target, or drop it",
            alias=endpoint.alias,
        )
    if plan.conflicts == "fail" and endpoint.collection(part.target).find_one({}, {"_id": 1}):
        raise TransferError(
            f"{where} holds documents already; empty it, name another target, or say what to do "
            "about documents of the same _id with --conflicts skip or replace",
            alias=endpoint.alias,
        )
    if part.options.get("capped") and endpoint.collection(part.target).find_one({}, {"_id": 1}):
        raise TransferError(
            f"{where} is capped and holds documents, of which the oldest would be lost to new "
            "ones; name another target",
            alias=endpoint.alias,
        )
    if plan.carry_options:
        _check_indexes(part, endpoint, where)


def _check_indexes(part: Part, endpoint: Endpoint, where: str) -> None:
    expected = [Index.of(index) for index in part.indexes]
    actual = [Index.of(index) for index in endpoint.collection(part.target).list_indexes()]
    _, changed, _ = compare(expected, actual)
    if changed:
        raise TransferError(
            f"the index {changed[0].actual.name!r} of {where} differs from the source's; drop "
            "it, or leave options and indexes alone with --no-options",
            alias=endpoint.alias,
        )


def _check_space(plan: Plan, endpoint: Endpoint) -> None:
    stats = endpoint.command({"dbStats": 1})
    free = stats.get("fsTotalSize", 0) - stats.get("fsUsedSize", 0)
    needed = sum(part.size_bytes for part in plan.parts)
    if stats.get("fsTotalSize") and not room_for(needed, int(free)):
        raise TransferError(
            f"the documents take about {needed / 2**20:,.0f} MiB, and the disk of "
            f"{endpoint.alias!r} has {free / 2**20:,.0f} MiB left; make room first",
            alias=endpoint.alias,
        )


def room_for(needed_bytes: int, free_bytes: int) -> bool:
    """Whether documents fit, with a tenth to spare; compression is not counted on."""
    return needed_bytes * 1.1 <= free_bytes


def _check_privileges(plan: Plan, origin: Endpoint, destination: Endpoint) -> None:
    reads = _READS | ({"remove", "insert"} if plan.move else set())
    of_origin = {part.source: reads for part in plan.parts}
    if plan.follow:
        of_origin[_EVERY_COLLECTION] = _WATCHES
    written = [*(part.target for part in plan.parts), TRANSFERS, RANGES]
    for endpoint, needed in ((origin, of_origin), (destination, dict.fromkeys(written, _WRITES))):
        try:
            status = endpoint.command({"connectionStatus": 1, "showPrivileges": True})
        except OperationFailure:
            continue
        info = status["authInfo"]
        if not info["authenticatedUsers"]:
            continue  # access control is off, or the server will say so itself
        database = endpoint.connection.settings.database
        for name, actions in needed.items():
            missing = lacks(info["authenticatedUserPrivileges"], database, name, actions)
            if missing:
                where = repr(name) if name else "every collection"
                raise TransferError(
                    f"the user may not {', '.join(sorted(missing))} in {where} on "
                    f"{endpoint.alias!r}; grant it that, readWrite say",
                    alias=endpoint.alias,
                )


def lacks(
    privileges: Iterable[Mapping[str, Any]], database: str, collection: str, actions: Iterable[str]
) -> set[str]:
    """The actions on a collection that none of ``privileges`` allows."""
    missing = set(actions)
    for privilege in privileges:
        resource = privilege["resource"]
        if resource.get("anyResource") or (
            resource.get("db") in ("", database) and resource.get("collection") in ("", collection)
        ):
            missing -= set(privilege["actions"])
            if "anyAction" in privilege["actions"]:
                missing.clear()
    return missing
