"""Which database a document belongs to: the one that it was read from, or stored in when it was
new. It isn't written to, read again from or deleted in another, which may be another tenant's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import mongoengine

from datalayer import routing
from datalayer.connections.connection import OtherDatabase
from datalayer.connections.registry import registry
from datalayer.context.places import Place, places
from datalayer.context.tenant_databases import told
from datalayer.documents.engine import surround_first_reads
from datalayer.errors import TenantError

HOME = "_home_place"
"""The attribute of a document that was read from another database than an alias's own."""
_SWITCHED = "_switched_alias"
_NOTHING = nullcontext()


def home_of(document: Any) -> Place | None:
    """The place where what belongs to ``document`` is; ``None`` where the present context says
    so, as of a new document.

    A router knows which models all tenants share, and is asked for documents that are shared.
    """
    if document is None:
        return None
    home: Place | None = document.__dict__.get(HOME)
    if home is not None or places.variable.get() is None or registry.router is not None:
        return home
    place = routing.place_for(document.__class__)  # it may be a weak reference's proxy
    is_of_own_database = place.database is not None and _is_stored(document)
    return Place(place.alias) if is_of_own_database else None


def root_of(document: Any) -> Any:
    """The document with a collection that ``document`` is, or is a part of; ``None`` if none."""
    try:
        while document is not None and not isinstance(document, mongoengine.Document):
            document = document._instance
    except (AttributeError, ReferenceError):  # a part whose document is gone
        return None
    return document


def settling_in(collection: Any) -> Callable[[Any], None] | None:
    """What lets a document know that it was read from ``collection``; ``None`` where that is in an
    alias's own database."""
    if not OtherDatabase.is_in_use:  # as in most applications
        return None
    place = _other_place(collection)
    return None if place is None else _settling(place)


def _settling(place: Place) -> Callable[[Any], None]:
    def settle(document: Any) -> None:
        document.__dict__[HOME] = place

    return settle


def note_stored(document: Any, collection: Any) -> None:
    """Have a document, which was new, belong to the database of ``collection``."""
    settle = settling_in(collection)
    if settle is None and OtherDatabase.is_in_use:
        document.__dict__.pop(HOME, None)
    elif settle is not None:
        settle(document)


def _is_stored(document: Any) -> bool:
    return not document._created and hasattr(document, "_changed_fields")


def fetched(document: Any) -> Any:
    """``document``, which was read just now where operations of its model go."""
    if not routing.is_direct(type(document)):
        place = routing.connection_for(type(document)).place
        if place.database is not None:
            _settling(place)(document)
    return document


def refuse_elsewhere(document: Any) -> None:
    """Refuse an operation on ``document`` that would go to another database than its own.

    Raises:
        TenantError: before anything is sent.
    """
    mine = document.__dict__.get(HOME)
    if mine is None and routing.is_direct(type(document)):  # as nearly always
        return
    if (
        not _is_stored(document)
        or _SWITCHED in document.__dict__
        or "_get_collection" in document.__dict__
    ):
        return
    place = routing.connection_for(type(document)).place
    if place == mine or (mine is None and place.database is None):
        return
    home = told(mine or Place(place.alias))
    raise TenantError(
        f"this {type(document).__name__} belongs to {home}, where it was read or stored, and this "
        f"operation goes to {told(place)}; nothing was sent. Do it in a db.using() block for its "
        "own database, or store a copy with switch_db()",
        alias=place.alias,
        database=place.database,
    )


def followed_from(document: Any) -> AbstractContextManager[None]:
    """Inside the block, references of ``document``, or of the one that it is a part of, lead to
    documents of its own database."""
    if not OtherDatabase.is_in_use:  # as in most applications
        return _NOTHING
    home = home_of(root_of(document))
    return _NOTHING if home is None else routing.followed(home)


def followed_in(collection: Any) -> AbstractContextManager[None]:
    """The same for documents that were read from ``collection``, and what refers to them."""
    if not OtherDatabase.is_in_use:
        return _NOTHING
    home = _connection_of(collection)
    is_chosen = places.variable.get() is not None and registry.router is None
    if home is None or not (home.place.database or is_chosen):
        return _NOTHING
    return routing.followed(home.place)


def _connection_of(collection: Any) -> Any:
    """Over which connection ``collection`` works; ``None`` where it isn't datalayer's."""
    return getattr(collection, "__dict__", {}).get("_home")


def _other_place(collection: Any) -> Place | None:
    """The place of ``collection``; ``None`` where that is in an alias's own database."""
    home = _connection_of(collection)
    return None if home is None or home.place.database is None else home.place


class AtHome:
    """The part of ``Document`` that keeps it in its database."""

    @property
    def _qs(self) -> Any:
        refuse_elsewhere(self)
        return super()._qs  # type: ignore[misc]

    def __getstate__(self) -> Any:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        home = vars(self).get(HOME)
        return state if home is None else {**state, HOME: tuple(home)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        home = state.pop(HOME, None)
        super().__setstate__(state)  # type: ignore[misc]
        if home is not None:
            vars(self)[HOME] = Place(*home)


surround_first_reads(followed_from)
