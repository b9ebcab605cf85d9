"""Makes plans: resolves names, asks both databases, and refuses what could not end well. Writes
nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, get_args

from pymongo.errors import OperationFailure, PyMongoError

from datalayer.connections.registry import registry
from datalayer.errors import ConfigurationError, DataLayerError, NotConnectedError
from datalayer.failures.server_codes import AUTHORISATION, PASSING
from datalayer.transfer.endpoint import Endpoint, same_database, share_a_cluster
from datalayer.transfer.errors import explained
from datalayer.transfer.plan import Conflicts, Method, Part, Plan
from datalayer.transfer.planning import checks
from datalayer.transfer.planning.selection import Model, selected
from datalayer.transfer.raw.read_ahead import keeps_order
from datalayer.transfer.transform import function_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_LEAST_LEASE_SECONDS = 0.5
_SMALL_BYTES = 256
_RANGE_BYTES = 2 * 2**20
_FEWEST, _MOST, _MOST_IN_ONE_CLUSTER = 5_000, 10_000, 20_000
"""Documents in a range, where nothing else is said; found by benchmarks/transfer.py."""


def plan(
    name: str,
    *,
    source: str | None = None,
    target: str,
    models: Iterable[str | Model] = (),
    collections: Iterable[str] | Mapping[str, str] = (),
    filter: str | Mapping[str, Any] | None = None,
    move: bool = False,
    conflicts: Conflicts = "fail",
    method: Method | None = None,
    fields: Mapping[str, str | None] | None = None,
    constants: Mapping[str, Any] | None = None,
    transform: str | None = None,
    inverse: str | None = None,
    carry_options: bool = True,
    batch_size: int | None = None,
    rate: float | None = None,
    max_lag_seconds: float | None = None,
    lease_seconds: float = 30.0,
    recipe: str | None = None,
    snapshot: bool = False,
    follow: bool = False,
) -> Plan:
    """A checked plan for the transfer ``name``. Writes nothing anywhere.

    Arguments:
        source: the alias to read from; default: that of the models.
        target: the alias to write to.
        models: classes, or their names, whose collections are transferred.
        collections: names, or a mapping of names in the source to names in the target.
        filter: which documents, as a mapping or as Extended JSON; default: all.
        move: delete from the source what was verified in the target.
        conflicts: what to do with documents that the target has already: ``fail`` (it must
            hold no documents at all), ``skip`` or ``replace``.
        method: ``merge``, by the server itself, or ``copy``, through this process; default:
            ``merge`` within a cluster where documents keep their form and aren't small.
        fields: for a field of the target, the source's field, or ``None`` to leave it out.
        constants: fields that every document gets.
        transform: ``module:function``; takes a document and gives the one to store. It keeps
            ``_id`` and gives the same for the same document, as verification runs it again.
        inverse: ``module:function``, the way back. Without it, a move that changes documents
            keeps the originals beside the journal.
        carry_options: create the target with the source's options and indexes.
        batch_size: documents in a range, the unit of work; default: 10,000 where the server
            copies, else 5,000, and more where they are small: 10,000, within a cluster 20,000.
            Ranges of large documents have fewer.
        rate: at most so many documents a second.
        max_lag_seconds: pause while a secondary of the target is further behind.
        lease_seconds: how long a runner that died keeps others out.
        snapshot: copy one point in time, when the run began. The server keeps the past for
            ``minSnapshotHistoryWindowInSeconds`` (300 by default): the copy has to end by then.
        follow: carry over what changes in the source since the run began, until ``cut_over``.

    Raises:
        ConfigurationError: for names, filters and combinations that are wrong in themselves.
        TransferError: for databases that are not in a state for it, privileges and space.
    """
    source, pairs, queries = selected(models, collections, filter, source)
    asked = Plan(
        name=name,
        source=source,
        target=target,
        parts=(),
        move=move,
        conflicts=conflicts,
        method="copy" if method is None else method,
        fields=fields or {},
        constants=constants or {},
        transform=transform,
        inverse=inverse,
        carry_options=carry_options,
        batch_size=_FEWEST if batch_size is None else batch_size,
        rate=rate,
        max_lag_seconds=max_lag_seconds,
        lease_seconds=lease_seconds,
        recipe=recipe,
        snapshot=snapshot,
        follow=follow,
    )
    _check_values(asked)
    origin, destination = _endpoint(source), _endpoint(target)
    one_cluster = share_a_cluster(origin, destination)
    _check_form(asked)
    _check_pairs(asked, pairs, same=same_database(origin, destination))
    _check_method(asked, one_cluster=one_cluster)
    with explained(f"planning {name!r}"):
        parts = tuple(_part(origin, old, new, queries[old]) for old, new in pairs.items())
        method = method or _best_method(asked, parts, one_cluster=one_cluster)
        batch_size = batch_size or _best_batch_size(parts, method, one_cluster=one_cluster)
        made = replace(asked, parts=parts, method=method, batch_size=batch_size)
        checks.check(made, origin, destination)
    return made


def _check_values(asked: Plan) -> None:
    problems = []
    if not _NAME.fullmatch(asked.name):
        problems.append(
            f"a transfer's name has up to 80 letters, digits, - and _, unlike {asked.name!r}"
        )
    if asked.conflicts not in get_args(Conflicts):
        problems.append(f"conflicts is fail, skip or replace, not {asked.conflicts!r}")
    if asked.method not in get_args(Method):
        problems.append(f"the method is merge or copy, not {asked.method!r}")
    if not 1 <= asked.batch_size <= 50_000:
        problems.append(f"the batch size is from 1 to 50,000, not {asked.batch_size}")
    for name in ("rate", "max_lag_seconds"):
        value = getattr(asked, name)
        if value is not None and not value > 0:
            problems.append(f"{name} is more than 0, not {value}")
    if asked.lease_seconds < _LEAST_LEASE_SECONDS:
        problems.append(
            f"lease_seconds is at least {_LEAST_LEASE_SECONDS}, not {asked.lease_seconds}"
        )
    if problems:
        raise ConfigurationError(problems)


def _check_form(asked: Plan) -> None:
    """Refuse what can't be done to documents on their way."""
    for function in filter(None, (asked.transform, asked.inverse)):
        function_of(function)
    mapped = [*asked.fields, *filter(None, asked.fields.values())]
    if "_id" in (*mapped, *asked.constants):
        raise ConfigurationError("documents keep their _id: it can't be mapped or set")
    dotted = [name for name in mapped if "." in name]
    if dotted:
        raise ConfigurationError(
            f"only whole fields can be mapped, not {dotted[0]!r}; use a transform for parts"
        )
    if asked.inverse and not asked.reshapes:
        raise ConfigurationError("an inverse needs a transform that it takes back")


def _check_pairs(asked: Plan, pairs: Mapping[str, str], *, same: bool) -> None:
    """Refuse to write to what is read, where both aliases are of the ``same`` database."""
    for old, new in pairs.items():
        if same and old == new:
            raise ConfigurationError(
                f"the collection {old!r} of {asked.source!r} and of {asked.target!r} is the same "
                "one; name another target",
                alias=asked.target,
            )
    if same and asked.follow and set(pairs) & set(pairs.values()):
        raise ConfigurationError(
            "a collection that is written to can't be followed; transfer one after the other"
        )


def _check_method(asked: Plan, *, one_cluster: bool) -> None:
    if asked.method == "merge" and (asked.reshapes or not one_cluster):
        raise ConfigurationError(
            "the server can copy by itself (merge) only within a cluster, and only documents "
            "that keep their form; leave the method to datalayer, or take copy"
        )


def _endpoint(alias: str) -> Endpoint:
    try:
        endpoint = Endpoint.of(alias)
    except NotConnectedError as exc:
        if alias in registry.aliases():
            raise
        known = ", ".join(registry.aliases())
        raise ConfigurationError(
            f"no connected database has the alias {alias!r}; there are {known or 'none'}",
            alias=alias,
        ) from exc
    if endpoint.connection.settings.kind == "mongomock":
        raise ConfigurationError(
            f"{alias!r} is on mongomock, which has no transactions to keep a journal with; use "
            "embedded:// instead",
            alias=alias,
        )
    return endpoint


def _part(origin: Endpoint, old: str, new: str, query: dict[str, Any]) -> Part:
    found = next(iter(origin.database.list_collections(filter={"name": old})), None)
    if found is None:
        raise ConfigurationError(
            f"{origin.alias!r} has no collection {old!r}; look at the spelling",
            alias=origin.alias,
        )
    if found["type"] == "view":
        raise ConfigurationError(
            f"{old!r} on {origin.alias!r} is a view; transfer the collection it shows",
            alias=origin.alias,
        )
    count = _count(origin, old, query)
    indexes = origin.collection(old).list_indexes()
    return Part(
        source=old,
        target=new,
        filter=query,
        count=count,
        size_bytes=count * _average_bytes(origin, old),
        options=found.get("options", {}),
        indexes=tuple(dict(index) for index in indexes if index["name"] != "_id_"),
    )


def _count(origin: Endpoint, name: str, query: dict[str, Any]) -> int:
    collection = origin.collection(name)
    try:
        if not query:
            return collection.estimated_document_count()  # kept by the server
        return collection.count_documents(query)
    except OperationFailure as exc:
        if exc.code in AUTHORISATION | PASSING:
            raise
        raise ConfigurationError(
            f"the server refuses the filter for {name!r} (error {exc.code}); $where, $near and "
            "$text can't be used here",
            alias=origin.alias,
        ) from exc


def _average_bytes(origin: Endpoint, name: str) -> int:
    try:
        return int(origin.command({"collStats": name}).get("avgObjSize", 0))
    except (PyMongoError, DataLayerError):
        return 0  # a guess less: only the check of the space needs it


def _best_method(asked: Plan, parts: tuple[Part, ...], *, one_cluster: bool) -> Method:
    special = any("timeseries" in part.options or keeps_order(part) for part in parts)
    if not one_cluster or asked.reshapes or special:
        return "copy"
    # The server takes as long for a small document as for a larger one.
    return "copy" if _average(parts) < _SMALL_BYTES else "merge"


def _best_batch_size(parts: tuple[Part, ...], method: Method, *, one_cluster: bool) -> int:
    """Few large ranges cost the servers less, and many small ones keep both of two busy. Each has
    to fit into memory where this process copies."""
    if method == "merge":
        return _MOST
    most = _MOST_IN_ONE_CLUSTER if one_cluster else _MOST
    return max(_FEWEST, min(most, _RANGE_BYTES // int(_average(parts))))


def _average(parts: tuple[Part, ...]) -> float:
    """The bytes of a document, of all parts together."""
    count = sum(part.count for part in parts)
    return max(sum(part.size_bytes for part in parts) / count, 1) if count else _SMALL_BYTES
