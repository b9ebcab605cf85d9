"""Shows and applies the difference between the declared and the existing indexes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.errors import IndexBuildError
from datalayer.failures.server_codes import INDEX_EXISTS
from datalayer.indexes.building import (
    BUILD_SECONDS,
    create_collection,
    create_indexes,
    send,
)
from datalayer.indexes.comparing import (
    ChangedIndex,
    ChangedOption,
    CollectionDiff,
    Index,
    changed_options,
    compare,
)
from datalayer.indexes.declared import CollectionPlan, plans_on
from datalayer.indexes.existing import own_session
from datalayer.indexes.failures import explained
from datalayer.indexes.hiding import serves_shard_key, set_hidden, told
from datalayer.indexes.progress import OnProgress, watched

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

logger = logging.getLogger("datalayer.indexes")

# What collMod can alter, and the word it takes for "none".
_ALTERABLE: Mapping[str, Any] = {
    "expireAfterSeconds": "off",
    "validator": {},
    "validationLevel": "strict",
    "validationAction": "error",
}


@dataclass(frozen=True)
class Action:
    """One thing that ``sync`` did.

    ``kind`` is ``create_collection``, ``change_option``, ``create_index``, ``change_ttl``,
    ``rebuild_index``, ``hide_index``, ``unhide_index`` or ``drop_index``; ``name`` names the
    index or the option.
    """

    kind: str
    alias: str
    collection: str
    name: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "kind": self.kind,
            "alias": self.alias,
            "collection": self.collection,
            "name": self.name,
        }


def diff(alias: str) -> list[CollectionDiff]:
    """The collections on ``alias`` that differ from what their models declare.

    Collections without a model are not looked at. Writes nothing.

    Raises:
        IndexBuildError: when the server can't be asked.
    """
    connection = registry.connection(alias)
    differences = []
    for plan in plans_on(alias):
        with explained(connection, plan), own_session(connection) as session:
            found = _difference(connection, plan, session)
        if not found.in_sync:
            differences.append(found)
    return differences


def sync(
    alias: str,
    drop: bool = False,
    *,
    hide: bool = False,
    commit_quorum: int | str | None = None,
    on_progress: OnProgress | None = None,
) -> list[Action]:
    """Bring ``alias`` in line with its models, whatever AUTO_INDEX says; returns what was done.

    Missing collections and indexes are created; a TTL is altered in place, and a declared index
    that is hidden is brought back. With ``hide``, unknown indexes are hidden, and so is one that
    has changed where the server lets the declared one stand beside it. With ``drop``, unknown
    ones are dropped and changed ones rebuilt. ``diff`` tells what is left.

    Arguments:
        commit_quorum: how many data-bearing members have to have built an index before it serves:
            ``"votingMembers"`` (the server's default: all that vote), ``"majority"``, a tag of
            the replica set's write concerns, or a number. Replica sets only.
        on_progress: called about each second while an index is built, from a thread of its own;
            the server tells it only to users with the privilege ``inprog``.

    Raises:
        IndexBuildError: at the first failure; what was done before it stays done.
        ValueError: for both ``hide`` and ``drop``.
    """
    if hide and drop:
        raise ValueError("hide or drop: an index that is dropped can't be hidden")
    connection = registry.connection(alias)
    actions: list[Action] = []
    options = {} if commit_quorum is None else {"commitQuorum": commit_quorum}
    for plan in plans_on(alias):
        with (
            explained(connection, plan),
            pymongo.timeout(BUILD_SECONDS),
            own_session(connection) as session,
            watched(connection, plan.name, on_progress) as comment,
        ):
            run = _Sync(connection, plan, session, actions, {**options, **comment})
            run.run(drop=drop, hide=hide)
    return actions


class _Sync:
    """Brings one collection in line and notes in ``actions`` what it did."""

    def __init__(
        self,
        connection: Connection,
        plan: CollectionPlan,
        session: ClientSession | None,
        actions: list[Action],
        options: Mapping[str, Any],
    ) -> None:
        self.connection = connection
        self.plan = plan
        self.session = session
        self.actions = actions
        self.options = options  # of createIndexes
        self.models = {index.document["name"]: index for index in plan.indexes}

    def run(self, *, drop: bool, hide: bool) -> None:
        """Go through all differences of the collection."""
        difference = _difference(self.connection, self.plan, self.session)
        if not difference.exists:
            create_collection(self.connection, self.plan, self.session)
            self.note("create_collection", None)
        for name in alter_options(self.connection, self.plan, difference.options, self.session):
            self.note("change_option", name)
        # Unknown ones go first: one of them may stand in the way of a new text index.
        for index in difference.unknown if drop else ():
            self.drop(index.name)
            self.note("drop_index", index.name)
        for change in difference.changed:
            self.change(change, drop=drop, hide=hide)
        if difference.missing:
            self.create([self.models[index.name] for index in difference.missing])
            for index in difference.missing:
                self.note("create_index", index.name)
        # Last of all: what is missing may be what queries are to use instead.
        for index in difference.unknown if hide else ():
            self.hide(index)

    def change(self, change: ChangedIndex, *, drop: bool, hide: bool) -> None:
        """Alter in place what can be; anything else takes a rebuild."""
        name = change.actual.name
        if in_place := change.in_place:
            _alter(
                self.connection,
                self.plan,
                {"index": {"name": name, **in_place}},
                self.session,
            )
            if "hidden" in in_place:
                self.note("hide_index" if in_place["hidden"] else "unhide_index", name)
            if "expireAfterSeconds" in in_place:
                self.note("change_ttl", name)
        elif drop:
            self.rebuild(change)
            self.note("rebuild_index", change.expected.name)
        elif hide and self.build_beside(change):
            self.note("create_index", change.expected.name)
            self.hide(change.actual)

    def build_beside(self, change: ChangedIndex) -> bool:
        """Build the declared index beside the present one; whether the server lets both stand."""
        if change.expected.name == change.actual.name:
            return False
        try:
            send(
                self.connection,
                self.plan,
                [self.models[change.expected.name]],
                self.session,
                self.options,
            )
        except OperationFailure as exc:
            if exc.code in INDEX_EXISTS:
                return False
            raise
        return True

    def hide(self, index: Index) -> None:
        """Hide an index, unless it is hidden or the shard key needs it."""
        if index.options.get("hidden"):
            return
        with told(self.connection, self.plan.name, index.name, "be hidden"):
            try:
                set_hidden(self.connection, self.plan.name, index.name, self.session, hidden=True)
            except OperationFailure as exc:
                if not serves_shard_key(exc):
                    raise
                logger.warning(
                    "%s of %s on %s stays: no other index serves the shard key",
                    index.name,
                    self.plan.name,
                    self.connection.alias,
                    extra={"alias": self.connection.alias, "event": "index"},
                )
                return
        self.note("hide_index", index.name)

    def rebuild(self, change: ChangedIndex) -> None:
        """Put the declared index in the place of the present one, or the present one back."""
        collection = self.connection.database[self.plan.name]
        present = next(
            document
            for document in collection.list_indexes(session=self.session)
            if document["name"] == change.actual.name
        )
        self.drop(change.actual.name)
        try:
            self.create([self.models[change.expected.name]])
        except (OperationFailure, IndexBuildError):
            options = {key: value for key, value in present.items() if key not in ("key", "v")}
            self.create([IndexModel(list(present["key"].items()), **options)])
            raise

    def create(self, indexes: list[IndexModel]) -> None:
        """Build ``indexes``."""
        create_indexes(self.connection, self.plan, indexes, self.session, self.options)

    def drop(self, name: str) -> None:
        """Drop the index ``name``."""
        self.connection.database[self.plan.name].drop_index(name, session=self.session)

    def note(self, kind: str, name: str | None) -> None:
        """Remember what was done."""
        self.actions.append(Action(kind, self.connection.alias, self.plan.name, name))


def alter_options(
    connection: Connection,
    plan: CollectionPlan,
    options: Iterable[ChangedOption],
    session: ClientSession | None,
) -> list[str]:
    """Change in place, in one command, those of ``options`` that can be; returns their names.

    Raises the driver's errors.
    """
    change = {
        option.name: _ALTERABLE[option.name] if option.expected is None else option.expected
        for option in options
        if option.name in _ALTERABLE
    }
    if change:
        _alter(connection, plan, change, session)
    return list(change)


def _alter(
    connection: Connection,
    plan: CollectionPlan,
    change: Mapping[str, Any],
    session: ClientSession | None,
) -> None:
    connection.database.command({"collMod": plan.name, **change}, session=session)


def difference(
    database: Database[Any],
    plan: CollectionPlan,
    alias: str,
    session: ClientSession | None = None,
) -> CollectionDiff:
    """How the collection of one plan differs from it; needs no connection of the registry.

    Raises the driver's errors.
    """
    present = next(iter(database.list_collections(session, {"name": plan.name})), None)
    if present is not None and present["type"] == "view":
        return CollectionDiff(alias, plan.name, exists=True)
    options = present["options"] if present else {}
    collation = plan.options.get("collation")
    expected = [Index.of(index.document, collation) for index in plan.indexes]
    actual = [Index.of(document) for document in database[plan.name].list_indexes(session=session)]
    missing, changed, unknown = compare(expected, actual)
    return CollectionDiff(
        alias=alias,
        collection=plan.name,
        exists=present is not None,
        missing=missing,
        changed=changed,
        unknown=tuple(index for index in unknown if not _is_servers_own(index, plan)),
        options=changed_options(plan.options, options) if present else (),
    )


def _difference(
    connection: Connection, plan: CollectionPlan, session: ClientSession | None
) -> CollectionDiff:
    if connection.settings.kind == "mongomock":
        return CollectionDiff(connection.alias, plan.name, exists=True)
    return difference(connection.database, plan, connection.alias, session)


def _is_servers_own(index: Index, plan: CollectionPlan) -> bool:
    """From 6.3 on, the server gives time-series collections an index on meta and time."""
    timeseries = plan.options.get("timeseries", {})
    own = ((timeseries.get("metaField"), 1), (timeseries.get("timeField"), 1))
    return bool(timeseries) and index.keys == own and not index.options
