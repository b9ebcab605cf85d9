"""Writes documents for another database into the outbox, in the business data's transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument

from datalayer import indexes
from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.errors import TransactionError
from datalayer.outbox.entries import KEYS, OUTBOX, Entry, as_stored, collection
from datalayer.outbox.keys import check_key
from datalayer.transactions import current, transaction


def add(document: Any, *, key: Any = None, source: str = DEFAULT_ALIAS) -> None:
    """Have ``document``, of a model on another alias, delivered there after the commit.

        with db.transaction():
            order.save()
            db.outbox.add(AnalyticsEvent(name="order.paid", user_id=order.user_id))

    It is delivered exactly once, if the transaction is committed, by a relay: a thread of
    ``db.outbox.start()``, or the command ``datalayer outbox run``. Documents with the same
    ``key`` (a customer's id, say) for one alias arrive in the order of their transactions;
    transactions that use a key at the same time meet in a write conflict, so put them into
    functions with ``@db.transactional``. Without a key, documents arrive in any order. Outside a
    transaction the document is written down in one of its own.

    A key is text, a number, an ``ObjectId``, a ``UUID``, a date or bytes, of up to 1,024 bytes.
    Keys are compared by the server, to which 5 and 5.0 are one. Several sources may use the same
    keys for one target, and one source for several targets.

    ``source`` is the alias of the outbox. Nothing is delivered over an ``_id`` that exists in
    the target with other contents: the delivered document replaces it.

    Raises:
        ValidationError: for a document that its model refuses.
        TransactionError: for a model of the source's own alias, and for a time-series
            collection, which takes no part in transactions; for a key of another type, one that
            is not a finite number, or longer.
    """
    model = type(document)
    alias = indexes.alias_of(model)
    if key is not None:
        check_key(key, source)
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
    name = model._get_collection_name()
    if begun is not None and source in begun.aliases:
        write_down(source, alias, name, stored, key)
        return
    if begun is not None:
        raise TransactionError(
            f"the transaction around this does not cover the outbox's database {source!r}",
            alias=source,
        )
    with transaction(source):
        write_down(source, alias, name, stored, key)


def write_down(source: str, alias: str, name: str, document: Any, key: Any) -> None:
    """Store a new entry, behind all others with its key; in the present transaction."""
    connection = registry.connection(source)
    stream, number, behind = ObjectId(), 1, None
    if key is not None:
        keys = collection(connection, KEYS)
        # With the database's name: a copy of it under another one has streams of its own.
        identity = {"source": connection.settings.database, "alias": alias, "key": key}
        found: Any = keys.find_one_and_update(
            {"_id": identity},
            {"$inc": {"number": 1}, "$setOnInsert": {"stream": stream}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        stream, number = found["stream"], found["number"]
        if number == 1:
            old = keys.find_one({"_id": {"$eq": key}})
            behind = None if old is None else old.get("number")
    entry = Entry(
        id={"stream": stream, "number": number},
        stream=stream,
        number=number,
        alias=alias,
        collection=name,
        document=document,
        ordered=key is not None,
        key=key,
        behind=behind,
    )
    collection(connection, OUTBOX).insert_one(as_stored(entry, datetime.now(UTC)))
