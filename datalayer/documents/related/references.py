"""References into any database: followed where the referenced model's documents are, and to the
same object for all threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import mongoengine
from mongoengine.base import BaseDocument, LazyReference
from mongoengine.base.common import _document_registry
from mongoengine.dereference import DeReference
from mongoengine.fields import GenericLazyReferenceField, LazyReferenceField

from datalayer.documents.partial.home import fetched, followed_from, followed_in

follows_references: ContextVar[bool] = ContextVar("datalayer_follows_references", default=False)
"""Whether references are being followed: they lead to their documents, whatever the manager of
the model leaves out."""

_keeping = threading.Lock()  # guards which of two fetched documents a lazy reference keeps


def _after_fork() -> None:
    global _keeping  # noqa: PLW0603 # another thread of the parent may have held it
    _keeping = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Dereference(DeReference):
    """MongoEngine's, which takes what names only a collection for one of ``default``, and looks
    for keys in the form in which documents have them rather than in the one that is stored."""

    reference_map: dict[Any, Any]

    def __init__(self, collection: Any = None) -> None:
        self._collection = collection  # that documents were read from, if they all were

    def __call__(self, items: Any, *args: Any, **kwargs: Any) -> Any:
        """Fetch what ``items`` refer to."""
        with followed_in(self._collection):
            return super().__call__(items, *args, **kwargs)

    def _fetch_objects(self, doc_type: Any = None) -> dict[Any, Any]:
        references = self.reference_map
        if isinstance(doc_type, type) and issubclass(doc_type, BaseDocument):
            keys = references.pop(doc_type._get_collection_name(), None)  # type: ignore[attr-defined]
            if keys is not None:
                references.setdefault(doc_type, set()).update(keys)
        found: dict[Any, Any] = {}
        rest = {}
        for key, ids in references.items():
            models = _models_for(key, doc_type)
            for model in models:
                name = model._get_collection_name()
                wanted = [each for each in ids if (name, each) not in found]
                for raw in model._get_db()[name].find({"_id": {"$in": wanted}}):
                    found[name, raw["_id"]] = fetched(model._from_son(raw))
            if not models:
                rest[key] = ids
        if rest:
            self.reference_map = rest
            following = follows_references.set(True)
            try:
                found.update(super()._fetch_objects(doc_type))
            finally:
                follows_references.reset(following)
            self.reference_map = references
        return found


def _models_for(key: Any, expected: Any) -> list[Any]:
    """The models that references are looked for in, where MongoEngine doesn't know: ``key`` is
    an abstract model, or the name of a collection that belongs to no ``expected`` model."""
    if not isinstance(key, str):
        return _topmost(lambda model: issubclass(model, key)) if _is_abstract(key) else []
    if hasattr(expected, "_meta") and not _is_abstract(expected):
        return []
    return _topmost(lambda model: model._meta.get("collection") == key)


def _is_abstract(model: Any) -> bool:
    return bool(model._meta.get("abstract"))


def _topmost(chosen: Callable[[Any], bool]) -> list[Any]:
    """The chosen ones of all models; of a tree of them, which have one collection, the root."""
    models = {
        model
        for model in list(_document_registry.values())
        if issubclass(model, mongoengine.Document) and not _is_abstract(model) and chosen(model)
    }
    return [model for model in models if models.isdisjoint(model.__mro__[1:])]


def load_references(instance: Any, name: str, ref_values: Any, *, max_depth: int) -> Any:
    """What a container's references stand for; takes the place of a field's own function."""
    with followed_from(instance):
        return Dereference()(ref_values, max_depth=max_depth, instance=instance, name=name)


class _SharedReference(LazyReference):
    """MongoEngine's, which gives each of several threads a document of its own."""

    __slots__ = ()

    def fetch(self, force: bool = False) -> Any:
        """The document, read on first use, or again with ``force``.

        Raises:
            DoesNotExist: where there is none.
        """
        reference: Any = self
        kept = reference._cached_doc
        if kept is not None and not force:
            return kept
        found = reference.document_type.objects.get(pk=reference.pk)
        with _keeping:
            if force or reference._cached_doc is None:
                reference._cached_doc = found
            return reference._cached_doc


def _shared(reference: Any) -> Any:
    if type(reference) is not LazyReference:
        return reference
    return _SharedReference(
        reference.document_type,
        reference.pk,
        cached_doc=reference._cached_doc,
        passthrough=reference.passthrough,
    )


class ModelLazyReferenceField(LazyReferenceField):
    """Stands for MongoEngine's ``LazyReferenceField`` in a class of datalayer's."""

    def build_lazyref(self, value: Any) -> Any:
        """The reference that an attribute gives for ``value``."""
        return _shared(super().build_lazyref(value))


class ModelGenericLazyReferenceField(GenericLazyReferenceField):
    """Stands for MongoEngine's ``GenericLazyReferenceField`` in a class of datalayer's."""

    def build_lazyref(self, value: Any) -> Any:
        """The reference that an attribute gives for ``value``."""
        return _shared(super().build_lazyref(value))
