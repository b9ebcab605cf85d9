"""Which alias a document's files and sequence numbers go to: the document's own, wherever its
operations go at present."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mongoengine
from mongoengine.base.common import _document_registry

from datalayer import routing
from datalayer.connections.registry import DEFAULT_ALIAS
from datalayer.documents.related.embedded import fields_within
from datalayer.errors import ConfigurationError

SWITCHED = "_switched_alias"
"""The attribute of a document that ``switch_db`` sends elsewhere: to which alias."""


def alias_of(field: Any, document: Any, *, before_switching: bool = False) -> str:
    """The alias that what ``field`` keeps of ``document`` goes to now.

    A field with a ``db_alias`` of its own stays there, or where ``db.using`` sends that alias.
    Any other goes with the document that it is a part of; without one (``document`` is
    ``None``, or an embedded document that no other holds yet) with the models that have it.
    ``before_switching`` leaves out of account that ``switch_db`` sent the document elsewhere.

    Raises:
        ConfigurationError: where these are in several databases.
    """
    if field.db_alias != DEFAULT_ALIAS:
        return routing.redirected(field.db_alias)
    root = root_of(document)
    if root is not None:
        switched: str | None = None if before_switching else root.__dict__.get(SWITCHED)
        return switched or routing.alias_for(root.__class__)
    if issubclass(field.model, mongoengine.Document):
        return routing.alias_for(field.model)
    return _common_alias(field)


def root_of(document: Any) -> Any:
    """The document with a collection that ``document`` is, or is a part of; ``None`` if none."""
    try:
        while document is not None and not isinstance(document, mongoengine.Document):
            document = document._instance
    except (AttributeError, ReferenceError):  # a part whose document is gone
        return None
    return document


def _common_alias(field: Any) -> str:
    found = {routing.alias_for(model) for model in _models_with(field.model)}
    if len(found) > 1:
        raise ConfigurationError(
            f"{field.model.__name__}.{field.name} belongs to the database of its document, and "
            f"there are models with it in {', '.join(map(repr, sorted(found)))}: make it a part "
            "of a document first"
        )
    return found.pop() if found else routing.redirected(DEFAULT_ALIAS)


def _models_with(part: Any) -> Iterator[Any]:
    for model in list(_document_registry.values()):
        if issubclass(model, mongoengine.Document) and not model._meta.get("abstract"):
            classes = {owner for owner, _ in fields_within(model)}
            if any(issubclass(part, other) for other in classes):
                yield model
