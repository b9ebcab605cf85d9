"""The querysets of the base documents, put together of their parts; how they insert, translate
their filter, and show documents as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import mongoengine
from bson import json_util
from mongoengine import signals
from mongoengine.errors import OperationError
from mongoengine.queryset import QuerySet as _QuerySet
from mongoengine.queryset import QuerySetNoCache as _QuerySetNoCache
from pymongo.errors import OperationFailure

from datalayer import transactions
from datalayer.documents.engine import (
    EncodedDocument,
    FastCachingQueries,
    FastPassingQueries,
    mark_saved,
    mongoengine_error,
    written_key,
)
from datalayer.documents.engine.queries.queryset_cursor import plain_query
from datalayer.documents.extended_json import JSON_OPTIONS, without_secrets
from datalayer.documents.model_collection import insertable, with_concerns
from datalayer.documents.partial.home import note_stored
from datalayer.documents.partial.partial_documents import PartialReads
from datalayer.documents.queries.filter_translation import query_of
from datalayer.documents.querysets.aggregates import Aggregates
from datalayer.documents.querysets.cursors import CachingCursor, PassingCursor
from datalayer.documents.querysets.deletes import Deletes
from datalayer.documents.querysets.pages.queries import PageQueries
from datalayer.documents.querysets.updates import Updates
from datalayer.documents.related.before_save import complete, is_incomplete
from datalayer.documents.related.references import Dereference
from datalayer.documents.save import new_ids


class _DocumentQueries(PartialReads, Updates, Deletes, Aggregates, PageQueries):
    """What both querysets add to MongoEngine's."""

    _document: Any

    @property
    def _query(self) -> Any:
        queryset: Any = self
        if queryset._mongo_query is None:
            model, asked, of_class = queryset._document, queryset._query_obj, queryset._cls_query
            found = None if of_class else plain_query(model, asked)
            found = query_of(model, asked) if found is None else found
            if of_class:
                found = {"$and": [of_class, found]} if "_cls" in found else {**found, **of_class}
            queryset._mongo_query = found
        return queryset._mongo_query

    def insert(
        self,
        doc_or_docs: Any,
        load_bulk: bool = True,
        write_concern: dict[str, Any] | None = None,
        signal_kwargs: dict[str, Any] | None = None,
        validate: bool = True,
    ) -> Any:
        """Insert one new document, or several in one command; returns them.

        Unlike MongoEngine's it validates them first (``validate=False`` skips that), gives them
        ids and time stamps before the first attempt, and reads nothing back: what it returns
        are the documents that it was given. With ``load_bulk=False`` it returns their ids.

        Raises:
            ValidationError: for values that don't fit their fields; nothing is sent.
            NotUniqueError, BulkWriteError, OperationError: for what the server refuses.
        """
        is_one = isinstance(doc_or_docs, mongoengine.Document)
        documents = [doc_or_docs] if is_one else list(doc_or_docs)
        for document in documents:
            _check_new(document, self._document)
        told = signal_kwargs or {}
        signals.pre_bulk_insert.send(self._document, documents=documents, **told)
        _prepare(documents, validate=validate)
        collection = with_concerns(self._collection, write_concern)
        raw = insertable(documents, collection)
        try:
            if is_one:
                ids = [collection.insert_one(raw[0]).inserted_id]
            else:
                ids = collection.insert_many(raw).inserted_ids
        except OperationFailure as exc:
            raise mongoengine_error(exc) from exc
        keys = _keys_of(documents, raw, ids)
        for document, key in zip(documents, keys, strict=True):
            mark_saved(document, key)
            note_stored(document, collection)
        signals.post_bulk_insert.send(
            self._document, documents=documents, loaded=load_bulk, **told
        )
        results = documents if load_bulk else keys
        return results[0] if is_one else results

    def create(self, **kwargs: Any) -> Any:
        """Save a new document with these values, in this queryset's database; returns it."""
        document = self._document(**kwargs)
        collection: Any = self._collection
        if collection != self._document._get_collection():
            document._live_in(collection, keep_created=True)
        return document.save(force_insert=True)

    def to_json(self, *args: Any, **kwargs: Any) -> str:
        """The documents as one JSON array, without their secrets."""
        kwargs.setdefault("json_options", JSON_OPTIONS)
        shown = [
            without_secrets(self._document, data)
            for data in self.as_pymongo()  # type: ignore[attr-defined]
        ]
        return json_util.dumps(shown, *args, **kwargs)

    @property
    def _dereference(self) -> Any:
        return Dereference(self._collection)

    def no_cache(self) -> Any:
        """A queryset that doesn't keep the documents it has read."""
        return self._as(QuerySetNoCache)

    def cache(self) -> Any:
        """A queryset that keeps the documents it has read."""
        return self._as(QuerySet)

    def _as(self, queryset_class: type) -> Any:
        fresh = queryset_class(self._document, self._collection)
        return self._clone_into(fresh)  # type: ignore[attr-defined]


class QuerySet(_DocumentQueries, CachingCursor, FastCachingQueries, _QuerySet):
    """The queryset of ``Document``; derive your own from it for ``meta["queryset_class"]``.

    ``QuerySet[User]`` says to type checkers of which model, and is the same class.
    """

    @classmethod
    def __class_getitem__(cls, model: Any) -> type[Self]:
        return cls

    if TYPE_CHECKING:  # MongoEngine has no types
        __call__: Callable[..., Self]
        filter: Callable[..., Self]
        limit: Callable[..., Self]
        order_by: Callable[..., Self]
        search_text: Callable[..., Self]


class QuerySetNoCache(_DocumentQueries, PassingCursor, FastPassingQueries, _QuerySetNoCache):
    """What ``objects.no_cache()`` gives."""


def _prepare(documents: Sequence[Any], *, validate: bool) -> None:
    """Give new documents all that they need to be written."""
    incomplete = {model for model in set(map(type, documents)) if is_incomplete(model)}
    is_noted = transactions.current() is not None
    for document, key in zip(documents, new_ids(len(documents)), strict=True):
        if is_noted:
            document._note_in_transaction()
        if type(document) in incomplete:
            complete(document)
        document._prepare_insert(key)
        if validate:
            document.validate()


def _keys_of(documents: Sequence[Any], sent: Sequence[Any], ids: Sequence[Any]) -> list[Any]:
    """What the database has as their ids; the driver gives those of dictionaries alone."""
    given = iter(ids)
    return [
        written_key(document) if type(each) is EncodedDocument else next(given)
        for document, each in zip(documents, sent, strict=True)
    ]


def _check_new(document: Any, model: Any) -> None:
    if not isinstance(document, model):
        raise OperationError(f"Some documents inserted aren't instances of {model}")
    if not document._created and document.pk:
        raise OperationError("Some documents have ObjectIds, use doc.update() instead")
