"""Writes documents for another database into the outbox, in the business data's transaction."""

from __future__ import annotations

from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument

from datalayer import indexes
from datalayer.core import DEFAULT_ALIAS, registry
from datalayer.errors import TransactionError
from datalayer.outbox.entries import KEYS, OUTBOX, Entry, collection
from datalayer.transactions import current, transaction

__all__ = ["add"]


def add(document: Any, *, key: str | None = None, source: str = DEFAULT_ALIAS) -> None:
    """Have ``document``, of a model on another alias, delivered there after the commit.

        with db.transaction():
            order.save()
            db.outbox.add(AnalyticsEvent(name="order.paid", user_id=order.user_id))

    It is delivered exactly once, if the transaction is committed, by a relay: a thread of
    ``db.outbox.start()``, or the command ``datalayer outbox run``. Documents with the same
    ``key`` (a customer's id, say) arrive in the order of their transactions; transactions that
    use a key at the same time meet in a write conflict, so put them into functions with
    ``@db.transactional``. Without a key, documents arrive in any order. Outside a transaction
    the document is written down in one of its own.

    ``source`` is the alias of the outbox. Nothing is delivered over an ``_id`` that exists in
    the target with other contents: the delivered document replaces it.

    Raises:
        ValidationError: for a document that its model refuses.
        TransactionError: for a model of the source's own alias, and for a time-series
            collection, which takes no part in transactions.
    """
    model = type(document)
    alias = indexes.alias_of(model)
    if alias == source:
        raise TransactionError(
            f"{model.__name__} is on {source!r} itself: save it in the transaction", alias=alias
        )
    if model._meta.get("timeseries"):
        raise TransactionError(
            f"{model.__name__} is a time-series collection, whose inserts take no part in "
            "transactions, so it can't be delivered exactly once",
            alias=alias,
        )
    if hasattr(document, "_note_in_transaction"):
        document._note_in_transaction()
    document.validate()
    if hasattr(document, "_prepare_insert"):
        document._prepare_insert()
    stored = document.to_mongo()
    stored.setdefault("_id", ObjectId())
    begun = current()
    if begun is not None and source in begun.aliases:
        _write_down(source, alias, model._get_collection_name(), stored, key)
        return
    if begun is not None:
        raise TransactionError(
            f"the transaction around this does not cover the outbox's database {source!r}",
            alias=source,
        )
    with transaction(source):
        _write_down(source, alias, model._get_collection_name(), stored, key)


def _write_down(source: str, alias: str, name: str, stored: Any, key: str | None) -> None:
    connection = registry.connection(source)
    number = 1
    if key is not None:
        found: Any = collection(connection, KEYS).find_one_and_update(
            {"_id": key},
            {"$inc": {"number": 1}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        number = found["number"]
    entry = Entry(
        key=key if key is not None else f"once:{ObjectId()}",
        number=number,
        alias=alias,
        collection=name,
        document=stored,
        ordered=key is not None,
    )
    collection(connection, OUTBOX).insert_one(entry.to_stored())
