"""Where a document's files and sequence numbers go: to the document's own database, or for a new
one wherever its operations go at present."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mongoengine
from mongoengine.base.common import _document_registry

from datalayer import routing
from datalayer.connections.registry import DEFAULT_ALIAS
from datalayer.context.places import Place
from datalayer.context.tenant_databases import told
from datalayer.documents.partial.home import home_of, root_of
from datalayer.documents.related.embedded import fields_within
from datalayer.errors import ConfigurationError

SWITCHED = "_switched_alias"
"""The attribute of a document that ``switch_db`` sends elsewhere: to which place."""


def place_of(field: Any, document: Any, *, before_switching: bool = False) -> Place:
    """The place that what ``field`` keeps of ``document`` goes to now.

    A field with a ``db_alias`` of its own stays there, or where ``db.using`` sends that alias.
    Any other goes with the document that it is a part of; without one (``document`` is
    ``None``, or an embedded document that no other holds yet) with the models that have it.
    ``before_switching`` leaves out of account that ``switch_db`` sent the document elsewhere.

    Raises:
        ConfigurationError: where these are in several databases.
    """
    if field.db_alias != DEFAULT_ALIAS:
        return routing.connection_of(field.db_alias).place
    root = root_of(document)
    if root is not None:
        switched: Place | None = None if before_switching else root.__dict__.get(SWITCHED)
        return switched or home_of(root) or routing.connection_for(root.__class__).place
    if issubclass(field.model, mongoengine.Document):
        return routing.connection_for(field.model).place
    return _common_place(field)


def _common_place(field: Any) -> Place:
    found = {routing.connection_for(model).place for model in _models_with(field.model)}
    if len(found) > 1:
        raise ConfigurationError(
            f"{field.model.__name__}.{field.name} belongs to the database of its document, and "
            f"there are models with it in {' and in '.join(sorted(map(told, found)))}: make it a "
            "part of a document first"
        )
    return found.pop() if found else routing.connection_of(DEFAULT_ALIAS).place


def _models_with(part: Any) -> Iterator[Any]:
    for model in list(_document_registry.values()):
        if issubclass(model, mongoengine.Document) and not model._meta.get("abstract"):
            classes = {owner for owner, _ in fields_within(model)}
            if any(issubclass(part, other) for other in classes):
                yield model
