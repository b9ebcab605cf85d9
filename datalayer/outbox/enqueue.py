"""How a document for another database gets into the outbox, in the business data's transaction;
and which keys an outbox takes: those that the server stores and compares as single values."""

from __future__ import annotations

import math
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from bson import Decimal128, ObjectId
from pymongo import ReturnDocument

from datalayer import indexes, routing
from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.context.places import Place
from datalayer.errors import TransactionError
from datalayer.monitoring import tracing
from datalayer.outbox import databases
from datalayer.outbox.entries import KEYS, OUTBOX, collection
from datalayer.transactions import current, transaction

if TYPE_CHECKING:
    from datalayer.documents import Document

_LONGEST_KEY_BYTES = 1024
"""Far more than any id takes. The key is a part of an index."""

_KINDS = (str, bytes, int, float, Decimal128, ObjectId, UUID, datetime)


def add(document: Document, *, key: Any = None, source: str = DEFAULT_ALIAS) -> None:
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

    ``source`` is the alias of the outbox, which lies in the database that a ``db.using`` block has
    chosen for it; the document goes where operations of its model go now. Nothing is delivered
    over an ``_id`` that exists in the target with other contents: the delivered document replaces
    it.

    Raises:
        ValidationError: for a document that its model refuses.
        TransactionError: for a model of the source's own alias, and for a time-series
            collection, which takes no part in transactions; for a key of another type, one that
            is not a finite number, or longer.
    """
    model = type(document)
    place = routing.place_for(model) if hasattr(model, "_collection_now") else None
    alias = indexes.alias_of(model) if place is None else place.alias
    if key is not None:
        _check_key(key, source)
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
    if begun is not None and source not in begun.aliases:
        raise TransactionError(
            f"the transaction around this does not cover the outbox's database {source!r}",
            alias=source,
        )
    place = place or Place(alias)
    databases.note(registry.connection(source))
    with transaction(source) if begun is None else nullcontext():
        write_entry(source, place, model._get_collection_name(), stored, key)


def write_entry(source: str, to: Place, name: str, document: Any, key: Any) -> None:
    """Store a new entry, behind all others with its key; in the present transaction."""
    connection = registry.connection(source)
    where = {"alias": to.alias, **({} if to.database is None else {"database": to.database})}
    stream, number, behind = ObjectId(), 1, None
    if key is not None:
        keys = collection(connection, KEYS)
        # With the database's name: a copy of it under another one has streams of its own.
        identity = {"source": connection.settings.database, **where, "key": key}
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
    entry: dict[str, Any] = {
        "_id": {"stream": stream, "number": number},
        **where,
        "collection": name,
        "document": document,
        "ordered": key is not None,
        "added_at": datetime.now(UTC),
    }
    if key is not None:
        entry["key"] = key
    if behind is not None:
        entry["behind"] = behind
    span = tracing.current()
    if span is not None:
        entry["span"] = span
    collection(connection, OUTBOX).insert_one(entry)


def _check_key(key: Any, alias: str) -> None:
    """Refuse a key that isn't one value, or not equal to itself, or too long.

    Keys are compared by the server: 5 and 5.0 are one key, "5" and ``True`` are others.

    Raises:
        TransactionError: with what is wrong, and never with the key.
    """
    problem = _problem_of(key)
    if problem is not None:
        raise TransactionError(
            f"db.outbox.add can't use this key: {problem}; give a short value that names what "
            "is to stay in order, a customer's id say, and str() of it where in doubt",
            alias=alias,
        )


def _problem_of(key: Any) -> str | None:
    if not issubclass(type(key), _KINDS):  # a stand-in that only calls itself one can't be sent
        return f"a {type(key).__name__} is not a single value that the server compares"
    if isinstance(key, (float, Decimal128)):
        number = key.to_decimal() if isinstance(key, Decimal128) else key
        return None if math.isfinite(number) else "it is not a finite number"
    if not isinstance(key, (int, str, bytes)):
        return None
    if isinstance(key, int):
        return None if -(2**63) <= key < 2**63 else "it does not fit into 64 bits"
    try:
        size = len(key.encode()) if isinstance(key, str) else len(key)
    except UnicodeEncodeError:
        return "it is text that isn't Unicode"
    if size > _LONGEST_KEY_BYTES:
        return f"it has {size:,} bytes, and at most {_LONGEST_KEY_BYTES:,} are taken"
    return None
