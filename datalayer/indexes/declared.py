"""What the models declare: which collections, with which options and indexes. Asks no server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import mongoengine
from mongoengine.base.common import _document_registry
from mongoengine.connection import _connection_settings
from pymongo import IndexModel

from datalayer.connections.registry import DEFAULT_ALIAS
from datalayer.errors import IndexBuildError
from datalayer.indexes.comparing import Index
from datalayer.indexes.validators import validator_options

Model = type[Any]  # of datalayer or of MongoEngine

_DEFAULT_CAPPED_BYTES = 10 * 2**20  # MongoEngine's
_CAPPED_BYTES_STEP = 256  # the server rounds a capped collection's size up to a multiple of it


@dataclass(frozen=True)
class CollectionPlan:
    """One collection as its models want it."""

    name: str
    models: tuple[Model, ...]
    options: Mapping[str, Any]
    """Options of the ``create`` command; empty for a plain collection."""
    indexes: tuple[IndexModel, ...]
    auto_index: bool
    """False when a model opts out with ``meta = {"auto_index": False}``."""

    @property
    def needs_creating(self) -> bool:
        """Whether building the indexes would not create the right collection by itself."""
        return bool(self.options) or not (self.indexes and self.auto_index)


def models_on(alias: str) -> list[Model]:
    """The registered models whose documents live on ``alias``, ordered by name.

    Abstract classes are left out, and of a tree of classes that share a collection
    (``allow_inheritance``) only the topmost is named.
    """
    found = registered_on(alias)
    return [model for model in found if not any(base in found for base in model.__mro__[1:])]


def plans_on(alias: str) -> list[CollectionPlan]:
    """The collections that the models on ``alias`` declare, ordered by name.

    Raises:
        IndexBuildError: when two models declare the same index differently.
    """
    by_collection: dict[str, list[Model]] = {}
    for model in registered_on(alias):
        by_collection.setdefault(model._get_collection_name(), []).append(model)
    return [_plan(name, tuple(models), alias) for name, models in sorted(by_collection.items())]


def plan_for(model: Model, alias: str, collection: str) -> CollectionPlan:
    """The plan of the collection that ``model`` is about to write to.

    ``alias`` and ``collection`` may differ from the model's own (``switch_db``,
    ``switch_collection``): then only the model and its tree have a say.
    """
    own = model._meta.get("collection")
    relatives = {
        other
        for other in registered_on(alias_of(model))
        if other._meta.get("collection") == own and (alias, collection) == (alias_of(model), own)
    }
    tree = {base for base in model.__mro__ if _is_concrete(base)}
    models = sorted({model, *tree, *relatives}, key=lambda each: each.__name__)
    return _plan(collection, tuple(models), alias)


def alias_of(model: Model) -> str:
    """The alias that ``model`` declares; MongoEngine's default where it names none."""
    alias: str = model._meta.get("db_alias", DEFAULT_ALIAS)
    return alias


def unconfigured(aliases: Collection[str]) -> dict[str, list[str]]:
    """The names of the models whose alias isn't among ``aliases``, by that alias.

    Without the models that come with the package, which one may have and not use, and without
    those of aliases that other code has connected MongoEngine to.
    """
    found: dict[str, list[str]] = {}
    for model in list(_document_registry.values()):
        if not _is_concrete(model) or model.__module__.startswith("datalayer.models."):
            continue
        alias = alias_of(model)
        if alias not in aliases and alias not in _connection_settings:
            found.setdefault(alias, []).append(model.__name__)
    return {alias: sorted(names) for alias, names in sorted(found.items())}


def _is_concrete(model: Any) -> bool:
    return (
        issubclass(model, mongoengine.Document)
        and not getattr(model, "_is_base_cls", True)
        and not model._meta.get("abstract")
        and bool(model._meta.get("collection"))
    )


def registered_on(alias: str) -> list[Model]:
    """The registered models whose documents live on ``alias``, all classes of a tree."""
    found = {
        model
        for model in list(_document_registry.values())
        if _is_concrete(model) and alias_of(model) == alias
    }
    return sorted(found, key=lambda model: (model.__name__, model.__module__))


def _plan(name: str, models: tuple[Model, ...], alias: str) -> CollectionPlan:
    options: dict[str, Any] = {}
    for model in models:
        options.update(_options_of(model))
    options.update(validator_options(models, alias, name))
    return CollectionPlan(
        name=name,
        models=models,
        options=options,
        indexes=_merged(models, alias, name),
        auto_index=all(
            model._meta.get("auto_index", model._meta.get("auto_create_index", True))
            for model in models
        ),
    )


def _options_of(model: Model) -> dict[str, Any]:
    meta = model._meta
    options: dict[str, Any] = {}
    if meta.get("max_size") or meta.get("max_documents"):
        size = meta.get("max_size") or _DEFAULT_CAPPED_BYTES
        options["capped"] = True
        options["size"] = -(-size // _CAPPED_BYTES_STEP) * _CAPPED_BYTES_STEP
        if meta.get("max_documents"):
            options["max"] = meta["max_documents"]
    if meta.get("timeseries"):
        # A copy: MongoEngine takes the expiry out of the meta itself, so that a collection which
        # is dropped and made again has none.
        timeseries = dict(meta["timeseries"])
        expiry = timeseries.pop("expireAfterSeconds", None)
        options["timeseries"] = timeseries
        if expiry is not None:
            options["expireAfterSeconds"] = expiry
    if meta.get("collation"):
        options["collation"] = meta["collation"]
    return options


def _merged(models: Iterable[Model], alias: str, collection: str) -> tuple[IndexModel, ...]:
    by_name: dict[str, IndexModel] = {}
    for model in models:
        for index in _indexes_of(model):
            name = index.document["name"]
            present = by_name.setdefault(name, index)
            if Index.of(present.document) != Index.of(index.document):
                raise IndexBuildError(
                    f"the models of {alias}.{collection} declare the index {name!r} in "
                    "different ways; give one of the two another name or the same options",
                    alias=alias,
                    collection=collection,
                    index=name,
                )
    return tuple(by_name.values())


def _indexes_of(model: Model) -> list[IndexModel]:
    """As MongoEngine's ``ensure_indexes`` would create them, without its ``background``."""
    shared = model._meta.get("index_opts") or {}
    indexes = []
    for spec in model._meta.get("index_specs") or ():
        options = {**shared, **spec}
        keys = options.pop("fields")
        for ignored in ("cls", "background"):
            options.pop(ignored, None)
        try:
            indexes.append(IndexModel(keys, **options))
        except (TypeError, ValueError) as exc:
            raise IndexBuildError(
                f"{model.__name__} declares an index that can't be one: {dict(keys)!r} with the "
                f"options {', '.join(options) or 'none'} ({exc})",
                alias=alias_of(model),
                collection=model._meta.get("collection"),
            ) from exc
    starts_with_cls = any(next(iter(index.document["key"])) == "_cls" for index in indexes)
    wants_cls = model._meta.get("allow_inheritance") and model._meta.get("index_cls", True)
    if wants_cls and not starts_with_cls:
        indexes.append(IndexModel([("_cls", 1)]))
    return indexes
