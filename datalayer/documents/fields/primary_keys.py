"""Keys that BSON can't hold as documents have them (a UUID kept as text, enums, decimals): how
they are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import bson
from bson import DBRef, ObjectId
from mongoengine.base import LazyReference, get_document

from datalayer.documents.fields.bson_limits import ENCODING
from datalayer.documents.fields.conversion import key_field_of, key_of


def stored_keys(model: Any, keys: Iterable[Any]) -> tuple[list[Any], Callable[[Any], Any]]:
    """``keys`` of ``model`` as they are stored, and a function that gives, for the ``_id`` of a
    document that was found, the key by which the caller knows it.

    That is the key as it was given, where it was in the form that documents have or that is
    stored; for any other (the text of an ``ObjectId``) the one that documents have.

    Raises:
        ValidationError: for what can't be a key of ``model``.
    """
    given = list(keys)
    stored = [key_of(model, key) for key in given]
    by_bytes = dict(zip(map(_bytes_of, stored), given, strict=True))
    field = key_field_of(model)

    def known_as(raw: Any) -> Any:
        loaded = field.to_python(raw)
        own = raw if isinstance(loaded, DBRef) else loaded
        asked = by_bytes.get(_bytes_of(raw), own)
        return asked if type(asked) in (type(raw), type(loaded)) else own

    return stored, known_as


def _bytes_of(value: Any) -> bytes:
    return bson.encode({"": value}, codec_options=ENCODING)


def with_own_key(document: Any, query: Mapping[str, Any]) -> dict[str, Any]:
    """``query`` with the key of ``document`` as it has it, where that is what it asks for, in any
    form: MongoEngine compares the two.

    Raises:
        ValidationError: for what can't be a key of the document's class.
    """
    model = type(document)
    own: dict[str, Any] = dict(query)
    for name in ("pk", model._meta["id_field"]):
        if name in own:
            asked, key = own.pop(name), document.pk
            is_own = key is not None and _bytes_of(key_of(model, asked)) == _bytes_of(
                key_of(model, key)
            )
            own[model._meta["id_field"]] = key if is_own else asked
    return own


def with_stored_key(reference: DBRef, model: Any) -> DBRef:
    """``reference`` with its key in the form in which ``model`` stores it."""
    if type(reference.id) is ObjectId and not isinstance(reference, LazyReference):
        return reference
    if isinstance(reference, LazyReference):
        return DBRef(reference.collection, key_of(reference.document_type, reference.id))
    extra = dict(reference.as_doc())
    named = {name: extra[name] for name in extra if not name.startswith("$")}
    if "cls" in named:
        model = get_document(named["cls"])
    return DBRef(reference.collection, key_of(model, reference.id), reference.database, **named)
