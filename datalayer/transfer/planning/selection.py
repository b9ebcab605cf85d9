"""Which documents a plan is about: models and collections by name, and filters. Asks no server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import mongoengine
from bson import json_util
from mongoengine.base.common import _document_registry
from mongoengine.errors import MongoEngineException

from datalayer.errors import ConfigurationError
from datalayer.transfer.codecs import EXTENDED_JSON

Model = type[Any]  # of datalayer or of MongoEngine

_OWN = "datalayer_transfer"


def parse_filter(given: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """A filter from Extended JSON or a mapping.

    Raises:
        ConfigurationError: where it is neither.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    try:
        parsed = json_util.loads(given, json_options=EXTENDED_JSON)
    except (ValueError, TypeError) as exc:
        raise ConfigurationError(
            f"the filter is no Extended JSON ({type(exc).__name__}); write it like "
            """'{"sent_at": {"$lt": {"$date": "2025-01-01T00:00:00Z"}}}'"""
        ) from exc
    if not isinstance(parsed, dict):
        raise ConfigurationError("the filter is no JSON object; {} selects all documents")
    return parsed


def selected(
    models: Iterable[str | Model],
    collections: Iterable[str] | Mapping[str, str],
    filter: str | Mapping[str, Any] | None,
    source: str | None,
) -> tuple[str, dict[str, str], dict[str, dict[str, Any]]]:
    """The alias to read from; the collections' names there, with those in the target; and the
    filter of each."""
    classes = [_model(model) for model in models]
    filters = {each._get_collection_name(): _own_documents(each) for each in classes}
    pairs = {name: name for name in filters}
    pairs |= collections if isinstance(collections, Mapping) else {c: c for c in collections}
    aliases = {each._meta.get("db_alias", "default") for each in classes}
    if source is None:
        if len(aliases) != 1:
            raise ConfigurationError("name the alias to read from (--from)")
        source = str(aliases.pop())
    if not pairs:
        raise ConfigurationError("name the models or the collections to transfer")
    if len(set(pairs.values())) < len(pairs):
        raise ConfigurationError("two collections can't go into the same one in one transfer")
    own = [each for pair in pairs.items() for each in pair if each.startswith(_OWN)]
    if own:
        raise ConfigurationError(f"{own[0]!r} belongs to the journal of transfers")
    given = parse_filter(filter)
    return source, pairs, {name: both(given, filters.get(name)) for name in pairs}


def _model(model: str | Model) -> Model:
    if not isinstance(model, str):
        return model
    try:
        found: Model = mongoengine.base.get_document(model)
    except MongoEngineException:
        known = sorted(
            each
            for each, cls in _document_registry.items()
            if issubclass(cls, mongoengine.Document) and not cls._meta.get("abstract")
        )
        raise ConfigurationError(
            f"there is no model {model!r}; known are {', '.join(known) or 'none'} (--models "
            "imports the module that defines yours)"
        ) from None
    return found


def _own_documents(model: Model) -> dict[str, Any]:
    """What tells a subclass's documents from the others of its collection."""
    inherits = "." in str(model._class_name) and model._meta.get("allow_inheritance")
    return {"_cls": {"$in": list(model._subclasses)}} if inherits else {}


def both(given: dict[str, Any], of_model: dict[str, Any] | None) -> dict[str, Any]:
    """A filter that holds where both do."""
    if not of_model:
        return given
    return {"$and": [given, of_model]} if given else of_model
