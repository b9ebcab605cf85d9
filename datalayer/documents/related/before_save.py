"""What a document's files and sequence numbers need before it is saved: drawing numbers, noticing
changed files in lists, copying files that are in another database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from mongoengine.fields import FileField, GridFSProxy, SequenceField

from datalayer.documents.engine.values.lazy_data import lacks
from datalayer.documents.partial.home import root_of
from datalayer.documents.related.embedded import fields_within, levels, parts_within, values_of
from datalayer.documents.related.field_replacement import embedded_owners
from datalayer.documents.related.files import ModelFile, settle
from datalayer.documents.related.owner_place import SWITCHED, place_of

# Whether a model embeds such classes, as of that number of them.
_embeds_owners: WeakKeyDictionary[Any, tuple[int, bool]] = WeakKeyDictionary()


def complete(document: Any) -> None:
    """Before ``document`` is written: what is missing or elsewhere of its files and numbers.

    Embedded documents that were put into lists get to know it, and their numbers. The files of a
    new or changed document that are in another database, as of one that ``switch_db`` copies,
    are copied to its own.
    """
    if not is_incomplete(type(document)):
        return
    switched = document.__dict__.get(SWITCHED)
    owners = [document]
    if embedded_owners:
        for value in values_of(document, with_waiting=switched is not None):
            owners += [
                part for part in parts_within(value, document) if type(part) in embedded_owners
            ]
    for owner in owners:
        for name in owner._own_fields:
            if lacks(owner, name):  # it wasn't loaded, and what stores all refuses the document
                continue
            _complete_field(owner, name, is_switched=switched is not None)


def is_incomplete(model: Any) -> bool:
    """Whether documents of ``model`` may need ``complete`` before they are written."""
    return bool(model._own_fields) or _embeds_some(model)


def _embeds_some(model: Any) -> bool:
    """Whether ``model`` embeds documents with files or numbers."""
    count, found = _embeds_owners.get(model, (0, False))
    if count < len(embedded_owners):
        owners = {owner for owner, _ in fields_within(model)}
        found = any(issubclass(part, owner) for part in list(embedded_owners) for owner in owners)
        _embeds_owners[model] = (len(embedded_owners), found)
    return found


def _complete_field(owner: Any, name: str, *, is_switched: bool) -> None:
    field = owner._fields[name]
    innermost = list(levels(field))[-1]
    if isinstance(field, SequenceField):
        if is_switched or root_of(owner) is not owner:
            getattr(owner, name)  # draws it
        return
    if not isinstance(innermost, FileField):
        return
    root = root_of(owner)
    place = place_of(innermost, owner)
    for file in _files_in(owner._data.get(name)):
        if file.grid_id is None:
            continue
        if file.instance is None:  # of a list, which doesn't know of its changes
            file.key, file.instance = name, owner
            if isinstance(file, ModelFile) and file.is_changed:
                owner._mark_as_changed(name)
        if root._created or root._get_changed_fields():
            settle(file, place)


def _files_in(value: Any) -> Iterable[Any]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _files_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _files_in(item)
    elif isinstance(value, GridFSProxy):
        yield value
