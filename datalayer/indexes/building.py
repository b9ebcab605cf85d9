"""Creates the collections and indexes that models declare: for a whole database at connect, and
for one model before its first write where it was first seen later."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from datalayer.concurrency import SingleFlight
from datalayer.core import Connection, registry
from datalayer.errors import IndexBuildError
from datalayer.indexes.comparing import Index, changed_options, compare
from datalayer.indexes.declared import CollectionPlan, Model, alias_of, plan_for, plans_on
from datalayer.indexes.explaining import explained
from datalayer.indexes.mock import build_mock

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

__all__ = ["build", "create_collection", "create_indexes", "ensure", "forget", "own_session"]

BUILD_SECONDS = 600.0
"""The deadline of one index build. A shorter ``db.deadline`` around the call still holds."""

_RACES = frozenset(
    {
        26,  # NamespaceNotFound: another process dropped the collection meanwhile
        112,  # WriteConflict
        117,  # ConflictingOperationInProgress
        276,  # IndexBuildAborted
        285,  # IndexBuildAlreadyInProgress
        12587,  # BackgroundOperationInProgressForNamespace
    }
)
_OTHER_OPTIONS = frozenset({85, 86})  # IndexOptionsConflict, IndexKeySpecsConflict
_ATTEMPTS = 5
_PAUSE_SECONDS = 0.1
_DECIDES_THE_KIND = frozenset({"capped", "timeseries.timeField", "timeseries.metaField"})


def build(alias: str) -> None:
    """Create what the models on ``alias`` declare and the database lacks.

    Follows the settings ``auto_create`` and ``auto_index``; several processes may do it at once.
    The models whose part succeeded may write from then on; the others refuse to.

    Raises:
        IndexBuildError: the first failure, after all collections were tried.
    """
    connection = registry.connection(alias)
    plans = plans_on(alias)
    if not plans or not (connection.settings.auto_create or connection.settings.auto_index):
        # Capped and time-series collections are looked at before the first write: it would make
        # a plain one where they are missing.
        _mark_prepared(connection, [plan for plan in plans if not plan.options])
        return
    failures: list[IndexBuildError] = []
    with explained(connection, None), own_session(connection) as session:
        existing = _collections(connection, session)
    for plan in plans:
        try:
            _prepare(connection, plan, existing)
        except IndexBuildError as exc:
            failures.append(exc)
    if failures:
        for other in failures[1:]:
            failures[0].add_note(f"also: {other}")
        raise failures[0]


def ensure(model: Model, alias: str | None = None, collection: str | None = None) -> None:
    """See to it that the collection and indexes of ``model`` exist; cheap once they do.

    Threads that ask at the same time share one run. ``alias`` and ``collection`` are those
    that the model declares, unless given.

    Raises:
        IndexBuildError: each time, until the cause is removed.
        NotConnectedError: before ``connect``.
        PyMongoError: the driver's own where the server is away, as for the write itself.
    """
    alias = alias or alias_of(model)
    collection = collection or model._get_collection_name()
    connection = registry.connection(alias)
    # Again where the run that this call joined was for a relative of the model.
    while (model, collection) not in connection.prepared:
        flight = connection.preparing.setdefault(collection, SingleFlight())
        flight.run(partial(_prepare_late, connection, model, collection))


def forget(model: Model) -> None:
    """Have the collection and indexes of ``model`` built again before the next write."""
    connection = registry.connection(alias_of(model))
    collection = model._get_collection_name()
    for relative, name in list(connection.prepared):
        if name == collection:
            connection.prepared.discard((relative, name))
            relative._disconnect()  # the next one is asked for, and guarded, again


@contextmanager
def own_session(connection: Connection) -> Iterator[ClientSession | None]:
    """A session of our own, so that nothing here joins a transaction that is bound around it.

    An index that is created inside a transaction is gone again after a rollback.
    """
    if connection.settings.kind == "mongomock":
        yield None
        return
    with connection.client.start_session() as session:
        yield session


def create_collection(
    connection: Connection, plan: CollectionPlan, session: ClientSession | None
) -> Mapping[str, Any]:
    """Create the collection; returns the options it has, which may be another process's."""
    try:
        connection.database.create_collection(
            plan.name, session=session, check_exists=False, **plan.options
        )
    except OperationFailure as exc:
        if exc.code != 48:  # NamespaceExists: another process was faster
            raise
    return _collections(connection, session, plan.name).get(plan.name, {})


def create_indexes(
    connection: Connection,
    plan: CollectionPlan,
    indexes: Iterable[IndexModel],
    session: ClientSession | None,
) -> None:
    """Create ``indexes`` in one command, again where another process got in between."""
    collection = connection.database[plan.name]
    wanted = list(indexes)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            collection.create_indexes(wanted, session=session)
        except OperationFailure as exc:
            if exc.code in _OTHER_OPTIONS:
                remaining = _without_twins(connection, plan, wanted, session)
                if len(remaining) < len(wanted):
                    wanted = remaining
                    if wanted:
                        continue
                    return
            if exc.code not in _RACES or attempt == _ATTEMPTS:
                raise
            time.sleep(_PAUSE_SECONDS * attempt)
        else:
            return


def _prepare_late(connection: Connection, model: Model, collection: str) -> None:
    if (model, collection) not in connection.prepared:
        plan = plan_for(model, connection.alias, collection)
        with explained(connection, plan, writing=True), own_session(connection) as session:
            existing = _collections(connection, session, collection)
        _prepare(connection, plan, existing, writing=True)


def _prepare(
    connection: Connection,
    plan: CollectionPlan,
    existing: Mapping[str, Mapping[str, Any]],
    *,
    writing: bool = False,
) -> None:
    settings = connection.settings
    if settings.kind == "mongomock":
        build_mock(connection.database, plan)
    elif existing.get(plan.name, {}).get("type") != "view":
        with (
            explained(connection, plan, writing=writing),
            pymongo.timeout(BUILD_SECONDS),
            own_session(connection) as session,
        ):
            present = existing.get(plan.name)
            if present is None and settings.auto_create and plan.needs_creating:
                present = create_collection(connection, plan, session)
            _check_kind(connection, plan, present)
            if settings.auto_index and plan.auto_index and plan.indexes:
                create_indexes(connection, plan, plan.indexes, session)
    _mark_prepared(connection, [plan])


def _mark_prepared(connection: Connection, plans: Iterable[CollectionPlan]) -> None:
    connection.prepared.update((model, plan.name) for plan in plans for model in plan.models)


def _collections(
    connection: Connection, session: ClientSession | None, name: str | None = None
) -> dict[str, Mapping[str, Any]]:
    """The collections of the database, or the named one, as ``listCollections`` tells of them."""
    if connection.settings.kind == "mongomock":
        return {}
    found = connection.database.list_collections(
        session=session, filter={"name": name} if name is not None else None
    )
    return {each["name"]: each for each in found}


def _check_kind(
    connection: Connection, plan: CollectionPlan, present: Mapping[str, Any] | None
) -> None:
    """Refuse a plain collection in the place of a capped or a time-series one.

    The server makes a plain one by itself at the first write to a collection that isn't there.
    """
    options = (present or {}).get("options", {})
    wrong = [
        change.name
        for change in changed_options(plan.options, options)
        if change.name in _DECIDES_THE_KIND
    ]
    if not wrong:
        return
    where = f"the collection {plan.name!r} on {connection.alias!r}"
    if present is None:
        message = (
            f"{where} needs options of its own and does not exist; create it with "
            "`datalayer indexes sync`, or switch AUTO_CREATE on"
        )
    else:
        message = (
            f"{where} exists, but its model declares another kind ({', '.join(wrong)}), which "
            "can't be changed in place: move its documents to a new collection, or drop it"
        )
    raise IndexBuildError(message, alias=connection.alias, collection=plan.name)


def _without_twins(
    connection: Connection,
    plan: CollectionPlan,
    wanted: list[IndexModel],
    session: ClientSession | None,
) -> list[IndexModel]:
    """Leave out the indexes that exist already under another name.

    Raises the same failure again where an index really differs.
    """
    actual = [
        Index.of(document)
        for document in connection.database[plan.name].list_indexes(session=session)
    ]
    by_index = {index.document["name"]: index for index in wanted}
    collation = plan.options.get("collation")
    expected = [Index.of(index.document, collation) for index in wanted]
    missing, changed, _ = compare(expected, actual)
    return [by_index[index.name] for index in (*missing, *(each.expected for each in changed))]
