"""Stores one batch, and tells what became of its events: stored, refused, or to be tried again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bson
from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from datalayer.core import registry
from datalayer.documents.collection import plain_collection
from datalayer.documents.storable import ENCODING
from datalayer.errors import DataLayerError
from datalayer.recorder.lanes import Target
from datalayer.server_codes import CREDENTIALS, DUPLICATE_KEY, PASSING, ServerCode

__all__ = ["Outcome", "deliver"]

_NOT_NOW = PASSING | CREDENTIALS | {ServerCode.OutOfDiskSpace}
"""What says nothing about the documents: they are kept until the server takes them."""
_AWARE: CodecOptions[Any] = ENCODING.with_options(tz_aware=True)


@dataclass(frozen=True)
class Outcome:
    """What became of a batch."""

    stored: int = 0
    refused: int = 0
    """Events that the server doesn't take, now or later."""
    again: str | None = None
    """Why to try all of it again; ``None`` when it is settled. Names errors, no contents."""


def deliver(target: Target, model: Any, documents: Sequence[Any], *, sent_before: bool) -> Outcome:
    """Store ``documents``, BSON or dicts, each of which holds its ``_id``; never raises.

    One that is there already counts as stored where an earlier attempt may have done it. A
    time-series collection takes an ``_id`` any number of times: there, what earlier attempts
    stored is looked up first.
    """
    try:
        collection, convert = _collection(target, model)
        if sent_before and target.time_field is not None:
            missing: Sequence[Any] = _missing(collection, target.time_field, documents)
        else:
            missing = documents
        known = len(documents) - len(missing)
        outcome = _insert(collection, convert, missing, sent_before=sent_before)
    except _NotNowError as exc:
        return Outcome(again=str(exc))
    except Exception as exc:  # noqa: BLE001 - an event must not end the thread that stores others
        return Outcome(again=type(exc).__name__)
    return Outcome(outcome.stored + known, outcome.refused, outcome.again)


class _NotNowError(Exception):
    """Nothing can be stored there now."""


def _collection(target: Target, model: Any) -> tuple[Any, Callable[[Any], Any]]:
    if model is not None:
        alias = target.alias
        collection = model._get_collection()
    elif target.time_field is None:
        alias = target.alias
        collection = plain_collection(registry.connection(alias), target.collection)
    else:
        # Without its model, a collection that is missing would be made as a plain one.
        raise _NotNowError(f"the model {target.model} is not imported")
    connection = registry.find(alias)
    if connection is not None and connection.settings.kind == "mongomock":
        return collection, _as_dict
    return collection, _as_given


def _as_given(document: Any) -> Any:
    return RawBSONDocument(document) if type(document) is bytes else document


def _as_dict(document: Any) -> Any:
    return bson.decode(document, _AWARE) if type(document) is bytes else document


def _missing(collection: Any, time_field: str, documents: Sequence[Any]) -> list[Any]:
    by_id: dict[Any, Any] = {}
    times = []
    for document in documents:
        # As the database has it: times in one form, and cut to the millisecond.
        raw = document if type(document) is bytes else bson.encode(document, False, ENCODING)
        decoded = bson.decode(raw, _AWARE)
        by_id[decoded["_id"]] = document
        if time_field in decoded:
            times.append(decoded[time_field])
    if not times:
        return list(documents)
    query = {
        time_field: {"$gte": min(times), "$lte": max(times)},
        "_id": {"$in": list(by_id)},
    }
    # Where it was sent to, and all of it: another member may not have it yet.
    there = collection.with_options(
        read_preference=ReadPreference.PRIMARY, read_concern=ReadConcern("local")
    )
    for found in there.find(query, {"_id": True}):
        by_id.pop(found["_id"], None)
    return list(by_id.values())


def _insert(
    collection: Any,
    convert: Callable[[Any], Any],
    documents: Sequence[Any],
    *,
    sent_before: bool,
) -> Outcome:
    if not documents:
        return Outcome()
    try:
        collection.insert_many([convert(raw) for raw in documents], ordered=False)
    except BulkWriteError as exc:
        return _counted(exc.details, len(documents), sent_before=sent_before)
    except (DataLayerError, ConnectionFailure) as exc:
        return Outcome(again=type(exc).__name__)
    except Exception as exc:  # noqa: BLE001 - whatever it is, only the event that causes it is lost
        if isinstance(exc, PyMongoError) and (exc.timeout or _is_passing(exc)):
            return Outcome(again=type(exc).__name__)
        return _in_halves(collection, convert, documents, sent_before=sent_before)
    return Outcome(stored=len(documents))


def _in_halves(
    collection: Any,
    convert: Callable[[Any], Any],
    documents: Sequence[Any],
    *,
    sent_before: bool,
) -> Outcome:
    """The server refused the command as a whole: find the event that is to blame."""
    if len(documents) == 1:
        return Outcome(refused=1)
    middle = len(documents) // 2
    stored = refused = 0
    for part in (documents[:middle], documents[middle:]):
        outcome = _insert(collection, convert, part, sent_before=sent_before)
        if outcome.again is not None:
            return outcome  # the part that is stored will be found so
        stored += outcome.stored
        refused += outcome.refused
    return Outcome(stored, refused)


def _is_passing(exc: PyMongoError) -> bool:
    code = exc.code if isinstance(exc, OperationFailure) else None
    return code in _NOT_NOW or exc.has_error_label("RetryableWriteError")


def _counted(details: Mapping[str, Any], count: int, *, sent_before: bool) -> Outcome:
    errors = details.get("writeErrors", ())
    if details.get("writeConcernErrors"):
        return Outcome(again="WriteConcernError")
    if any(error.get("code") in _NOT_NOW for error in errors):
        return Outcome(again="BulkWriteError")
    refused = sum(not (sent_before and _is_duplicate_id(error)) for error in errors)
    return Outcome(count - refused, refused)


def _is_duplicate_id(error: Mapping[str, Any]) -> bool:
    if error.get("code") not in DUPLICATE_KEY:
        return False
    pattern = error.get("keyPattern")
    if pattern is None:  # mongomock
        return "_id" in str(error.get("errmsg"))
    return dict(pattern) == {"_id": 1}
