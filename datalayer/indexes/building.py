"""Creates the collections and indexes that models declare: for a whole database at connect, and
for one model before its first write where it was first seen later."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from datalayer.concurrency.threads import SingleFlight
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.errors import IndexBuildError
from datalayer.failures.server_codes import INDEX_EXISTS, ServerCode
from datalayer.indexes.advice import is_about_declaration, obstructed_siblings
from datalayer.indexes.comparing import ChangedIndex, Index, changed_options, compare
from datalayer.indexes.declared import (
    CollectionPlan,
    Model,
    alias_of,
    plan_for,
    plans_on,
    registered_on,
)
from datalayer.indexes.existing import collections, identify, notice_drops, own_session
from datalayer.indexes.failures import explained, index_refused
from datalayer.indexes.mock import build_mock
from datalayer.retry import retrying

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

logger = logging.getLogger("datalayer.indexes")

BUILD_SECONDS = 600.0
"""The deadline of one index build. A shorter ``db.deadline`` around the call still holds."""

NO_OPTIONS: Mapping[str, Any] = {}

_RACES = frozenset(
    {
        ServerCode.NamespaceNotFound,  # another process dropped the collection meanwhile
        ServerCode.WriteConflict,
        ServerCode.ConflictingOperationInProgress,
        ServerCode.IndexBuildAborted,
        ServerCode.IndexBuildAlreadyInProgress,
        ServerCode.BackgroundOperationInProgressForNamespace,
    }
)
_ATTEMPTS = 5
_DECIDES_THE_KIND = frozenset({"capped", "timeseries.timeField", "timeseries.metaField"})


def build(alias: str) -> None:
    """Create what the models on ``alias`` declare and the database lacks.

    Follows the settings ``auto_create`` and ``auto_index``; several processes may do it at once.
    The models whose part succeeded may write from then on; the others refuse to.

    Raises:
        IndexBuildError: the first failure, after all collections were tried.
    """
    connection = registry.connection(alias)
    generation = connection.built_indexes.generation
    plans = plans_on(alias)
    if not plans or not (connection.settings.auto_create or connection.settings.auto_index):
        # Capped and time-series collections are looked at before the first write: it would make
        # a plain one where they are missing.
        for plan in plans:
            if not plan.options:
                connection.built_indexes.add(plan.models, plan.name, generation)
        return
    failures: list[IndexBuildError] = []
    with explained(connection, None), own_session(connection) as session:
        existing = collections(connection, session)
    for plan in plans:
        try:
            _prepare(connection, plan, existing, generation)
        except IndexBuildError as exc:
            failures.append(exc)
        for warning in obstructed_siblings(connection.alias, plan):
            logger.warning("%s", warning, extra={"alias": alias, "event": "index"})
    identify(connection, existing)
    if failures:
        for other in failures[1:]:
            failures[0].add_note(f"also: {other}")
        raise failures[0]


def ensure(
    model: Model, connection: Connection | None = None, collection: str | None = None
) -> None:
    """See to it that the collection and indexes of ``model`` exist; cheap once they do.

    Threads that ask at the same time share one run. ``connection`` is that of the alias which
    the model declares, and ``collection`` what it declares, unless given.

    Raises:
        IndexBuildError: each time, until the cause is removed.
        NotConnectedError: before ``connect``.
        PyMongoError: the driver's own where the server is away, as for the write itself.
    """
    collection = collection or model._get_collection_name()
    connection = connection or registry.connection(alias_of(model))
    # Again where the run that this call joined was for a relative of the model.
    while (model, collection) not in connection.built_indexes:
        flight = connection.index_builds.setdefault(collection, SingleFlight())
        flight.run(partial(_prepare_late, connection, model, collection))


def ensure_all(connection: Connection) -> None:
    """See to it that the collections and indexes of all models of a connection exist, before a
    transaction: inside, nothing is built.

    Raises what ``ensure`` raises.
    """
    notice_drops(connection)
    for model in registered_on(connection.alias):
        if (model, model._get_collection_name()) not in connection.built_indexes:
            ensure(model, connection)


def forget(model: Model) -> None:
    """Have the collection and indexes of ``model`` built again before the next write."""
    connection = registry.connection(alias_of(model))
    for relative, _ in connection.built_indexes.forget(model._get_collection_name()):
        relative._disconnect()  # MongoEngine's own documents look again where they have none


def create_collection(
    connection: Connection, plan: CollectionPlan, session: ClientSession | None
) -> Mapping[str, Any]:
    """Create the collection; returns the options it has, which may be another process's."""
    try:
        connection.database.create_collection(
            plan.name, session=session, check_exists=False, **plan.options
        )
    except OperationFailure as exc:
        if exc.code != ServerCode.NamespaceExists:  # another process was faster
            raise
    return collections(connection, session, [plan.name]).get(plan.name, {})


def create_indexes(
    connection: Connection,
    plan: CollectionPlan,
    indexes: Iterable[IndexModel],
    session: ClientSession | None,
    options: Mapping[str, Any] = NO_OPTIONS,
) -> None:
    """Create ``indexes`` in one command with ``options``, again where another process got in
    between.

    Raises:
        IndexBuildError: for those that are refused as they are declared, whatever the documents
            hold; the others are built.
        PyMongoError: for everything else.
    """
    wanted = list(indexes)
    try:
        send(connection, plan, wanted, session, options)
    except OperationFailure as exc:
        if exc.code not in INDEX_EXISTS and not is_about_declaration(exc):
            raise
        _create_one_by_one(connection, plan, wanted, session, options)


def send(
    connection: Connection,
    plan: CollectionPlan,
    indexes: list[IndexModel],
    session: ClientSession | None,
    options: Mapping[str, Any],
) -> None:
    """Create ``indexes`` in one command. Raises the driver's errors."""
    policy = retrying(attempts=_ATTEMPTS, retryable=_is_race)
    policy(connection.database[plan.name].create_indexes, indexes, session=session, **options)


def _is_race(exc: BaseException) -> bool:
    return isinstance(exc, OperationFailure) and exc.code in _RACES


def _create_one_by_one(
    connection: Connection,
    plan: CollectionPlan,
    indexes: list[IndexModel],
    session: ClientSession | None,
    options: Mapping[str, Any],
) -> None:
    """Find out which of ``indexes`` the server refuses, and build the others."""
    failures = []
    for index in indexes:
        try:
            send(connection, plan, [index], session, options)
        except OperationFailure as exc:
            if exc.code in INDEX_EXISTS:
                stands, change = _in_its_place(connection, plan, index, session)
                if stands:
                    continue
            elif is_about_declaration(exc):
                change = None
            else:
                raise
            failures.append(index_refused(exc, connection, plan, index, change))
    if failures:
        for other in failures[1:]:
            failures[0].add_note(f"also: {other}")
        raise failures[0] from None


def _prepare_late(connection: Connection, model: Model, collection: str) -> None:
    generation = connection.built_indexes.generation
    if (model, collection) not in connection.built_indexes:
        plan = plan_for(model, connection.alias, collection)
        with explained(connection, plan, writing=True), own_session(connection) as session:
            reply = _made_by_its_indexes(connection, plan, session)
            if reply and reply.get("createdCollectionAutomatically") is True:
                # It is a plain one, and the next look asks which. A tenant's first write waits
                # for each question.
                connection.built_indexes.add(plan.models, plan.name, generation)
                return
            existing = collections(connection, session, [collection])
        if reply is None:
            _prepare(connection, plan, existing, generation, writing=True)
        else:
            _check_kind(connection, plan, existing.get(collection))
            connection.built_indexes.add(plan.models, plan.name, generation)
        identify(connection, existing, [collection])


def _made_by_its_indexes(
    connection: Connection, plan: CollectionPlan, session: ClientSession | None
) -> Mapping[str, Any] | None:
    """What the server has answered, where the collection and its indexes stand now; ``None`` where
    more has to be done. Most need no question first."""
    settings = connection.settings
    if settings.kind == "mongomock" or plan.needs_creating or not settings.auto_index:
        return None
    try:
        with pymongo.timeout(BUILD_SECONDS):
            if connection.place.database is not None:
                return _sent(connection, plan, session)
            create_indexes(connection, plan, plan.indexes, session)
    except OperationFailure as exc:
        if exc.timeout:
            raise
        if connection.place.database is None and exc.code != ServerCode.CommandNotSupportedOnView:
            raise
        return None
    return {}


def _sent(
    connection: Connection, plan: CollectionPlan, session: ClientSession | None
) -> Mapping[str, Any]:
    """Create the indexes in one command, whose answer the driver's own method doesn't give."""
    database = connection.database
    command: dict[str, Any] = {"indexes": [index.document for index in plan.indexes]}
    if not database.write_concern.is_server_default:
        command["writeConcern"] = database.write_concern.document
    reply: Mapping[str, Any] = database.command(
        "createIndexes", plan.name, session=session, **command
    )
    return reply


def _prepare(
    connection: Connection,
    plan: CollectionPlan,
    existing: Mapping[str, Mapping[str, Any]],
    generation: int,
    *,
    writing: bool = False,
) -> None:
    settings = connection.settings
    if settings.kind == "mongomock":
        build_mock(connection, plan)
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
    connection.built_indexes.add(plan.models, plan.name, generation)


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
    where = f"the collection {plan.name!r} on {connection.label}"
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


def _in_its_place(
    connection: Connection,
    plan: CollectionPlan,
    index: IndexModel,
    session: ClientSession | None,
) -> tuple[bool, ChangedIndex | None]:
    """Whether the index stands already, under another name, or else which one is in its way."""
    collation = plan.options.get("collation")
    expected = [Index.of(each.document, collation) for each in plan.indexes]
    actual = [
        Index.of(document)
        for document in connection.database[plan.name].list_indexes(session=session)
    ]
    missing, changed, _ = compare(expected, actual)
    name = index.document["name"]
    found = next((change for change in changed if change.expected.name == name), None)
    wanted = next((each for each in missing if each.name == name), None)
    if found is None and wanted is not None:
        # What has its name or its keys serves as another index that is declared.
        rivals = [each for each in actual if name == each.name or wanted.keys == each.keys]
        found = ChangedIndex(wanted, rivals[0]) if rivals else None
    return found is None and wanted is None, found
