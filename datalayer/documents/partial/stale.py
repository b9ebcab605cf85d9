"""Documents that aren't any more what was loaded: saving one would leave a fragment, and is
refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from bson import ObjectId

from datalayer import routing
from datalayer.errors import StaleDocumentError

_LOADED_KEY = "_loaded_key"
_TELLING_NOTHING = (ObjectId, UUID, int)  # other keys may be contents, an e-mail address say


def gone(document: Any) -> StaleDocumentError:
    """The error for a document that was loaded or saved, and isn't in the collection now."""
    return error(
        document,
        document.pk,
        "is not in the collection any more, so that saving the changes would leave a fragment; "
        "nothing was written. To store all of it again, save(force_insert=True)",
    )


def remember_key(document: Any) -> None:
    """Note the key that ``document`` has, before it gets another one."""
    if "_id" not in getattr(document, "_changed_fields", ("_id",)):
        document.__dict__[_LOADED_KEY] = document.pk


def refuse_changed_key(document: Any, key: Any, paths: Iterable[str]) -> None:
    """Refuse changes at ``paths`` of a document whose primary key was changed: they would go
    into another document, or into a new one that lacks the rest.

    Raises:
        StaleDocumentError: before anything is sent.
    """
    of_key = [path for path in paths if path == "_id" or path.startswith("_id.")]
    if not of_key:
        return
    field = document._fields[document._meta["id_field"]]
    loaded = document.__dict__.get(_LOADED_KEY)
    if loaded is not None and "_id" in of_key and field.to_mongo(loaded) == key:
        return  # it is the old one in another type
    raise error(
        document,
        loaded,
        "was loaded with another primary key than it has now, and a key can't be changed; "
        "nothing was written. Put the old key back; or store a copy under the new one with "
        "save(force_insert=True), and delete the old document",
    )


def loaded_key(document: Any) -> Any:
    """The key that ``document`` was loaded or saved with, as the database has it."""
    was_changed = "_id" in getattr(document, "_changed_fields", ())
    key = document.__dict__.get(_LOADED_KEY) if was_changed else document.pk
    return document._fields[document._meta["id_field"]].to_mongo(key)


def error(document: Any, key: Any, problem: str) -> StaleDocumentError:
    """The error for ``document``, or for one of this model."""
    model = document if isinstance(document, type) else type(document)
    shown = f" {key}" if isinstance(key, _TELLING_NOTHING) else ""
    switched = getattr(document, "_switched_alias", None)
    alias = routing.connection_for(model).alias if switched is None else switched.alias
    return StaleDocumentError(
        f"{model.__name__}{shown} {problem}",
        alias=alias,
        collection=document._get_collection().name,
        id=key,
    )
