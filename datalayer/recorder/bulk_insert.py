"""Stores one batch, and tells what became of its events: stored, refused, or to be tried again.

One event's fault concerns that event: where the server, or the driver, refuses several together,
they are sent in ever smaller parts until the one is found that is to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bson
from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    EncryptionError,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
)

from datalayer.connections.registry import registry
from datalayer.context.places import Place
from datalayer.documents.collection import collection_of, plain_collection
from datalayer.documents.fields.bson_limits import ENCODING
from datalayer.errors import DataLayerError, NotConnectedError, TenantError
from datalayer.failures.connecting import kind_of
from datalayer.failures.server_codes import (
    CREDENTIALS,
    DUPLICATE_KEY,
    PASSING,
    UNSUITABLE,
    ServerCode,
    code_of,
)
from datalayer.recorder.queues import Target
from datalayer.recorder.time_series import has_time, missing

_OF_CONTENTS = {ServerCode.BadValue, ServerCode.FailedToParse, ServerCode.TypeMismatch}
_NOT_NOW = (
    PASSING
    | CREDENTIALS
    | (UNSUITABLE - _OF_CONTENTS)
    | {
        ServerCode.OutOfDiskSpace,
        ServerCode.NamespaceNotFound,
        ServerCode.CommandNotSupportedOnView,
    }
)
"""What says nothing about the documents: they are kept until the server, or its operator, has them
taken."""
_AWARE: CodecOptions[Any] = ENCODING.with_options(tz_aware=True)


@dataclass(frozen=True)
class Outcome:
    """What became of a batch."""

    stored: int = 0
    refused: int = 0
    """Events that the server doesn't take, now or later."""
    reasons: frozenset[str] = frozenset()
    """Why some were refused. Names errors, no contents."""
    again: str | None = None
    """Why to try all of it again; ``None`` when it is settled. Names errors, no contents."""

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.stored + other.stored,
            self.refused + other.refused,
            self.reasons | other.reasons,
            self.again or other.again,
        )


@dataclass(frozen=True)
class _Destination:
    collection: Any
    convert: Callable[[Any], Any]
    """Makes what the driver takes of BSON or a dict."""
    time_field: str | None
    """Of a time-series collection."""


def insert(target: Target, model: Any, documents: Sequence[Any], *, sent_before: bool) -> Outcome:
    """Store ``documents``, BSON or dicts, each of which holds its ``_id``; never raises.

    One that is there already counts as stored where an earlier attempt may have done it. A
    time-series collection takes an ``_id`` any number of times: there, what earlier attempts
    stored is looked up first.
    """
    if model is None and target.time_field is not None:
        # Without its model, a collection that is missing would be made as a plain one.
        return Outcome(again=f"the model {target.model} is not imported")
    try:
        return _store(_destination(target, model), documents, sent_before=sent_before)
    except TenantError:
        return Outcome(refused=len(documents), reasons=frozenset({TenantError.__name__}))
    except Exception as exc:  # noqa: BLE001 - an event must not end the thread that stores others
        return Outcome(again=_why_later(exc))


def _destination(target: Target, model: Any) -> _Destination:
    connection = registry.connection_to(Place(target.alias, target.database))
    if model is None:
        collection = plain_collection(connection, target.collection)
    elif hasattr(model, "_collection_now") and not _goes_there_by_itself(model, target):
        collection = collection_of(model, connection)
    else:
        collection = model._get_collection()
    if connection.settings.kind == "mongomock":
        return _Destination(collection, _as_dict, None)  # where an ``_id`` is taken once
    return _Destination(collection, _as_given, target.time_field)


def _goes_there_by_itself(model: Any, target: Target) -> bool:
    """Whether operations of ``model`` go to the target in this thread, which no block is around.
    A router was asked when the event was recorded."""
    is_own = (target.alias, target.database) == (model._meta.get("db_alias", "default"), None)
    return is_own and registry.router is None


def _as_given(document: Any) -> Any:
    return RawBSONDocument(document) if type(document) is bytes else document


def _as_dict(document: Any) -> Any:
    return bson.decode(document, _AWARE) if type(document) is bytes else document


def _store(to: _Destination, documents: Sequence[Any], *, sent_before: bool) -> Outcome:
    try:
        return _attempt(to, documents, sent_before=sent_before)
    except Exception as exc:  # noqa: BLE001 - whatever it is, only the event that causes it is lost
        if _says_nothing_of_events(exc):
            return Outcome(again=_why_later(exc))
        if len(documents) == 1:
            return Outcome(refused=1, reasons=frozenset({_reason(exc)}))
        return _in_halves(to, documents)


def _in_halves(to: _Destination, documents: Sequence[Any]) -> Outcome:
    """Find the events that are to blame. What was sent together may be stored in part."""
    if len(documents) == 1:
        return _store(to, documents, sent_before=True)
    middle = len(documents) // 2
    outcome = _store(to, documents[:middle], sent_before=True)
    if outcome.again is None:  # else the part that is stored will be found so
        outcome += _store(to, documents[middle:], sent_before=True)
    return outcome


def _attempt(to: _Destination, documents: Sequence[Any], *, sent_before: bool) -> Outcome:
    rest = documents
    if sent_before and to.time_field is not None:
        rest = missing(to.collection, to.time_field, documents)
    try:
        if rest:
            to.collection.insert_many([to.convert(each) for each in rest], ordered=False)
    except BulkWriteError as exc:
        known = Outcome(stored=len(documents) - len(rest))
        return known + _told_apart(to, rest, exc.details, sent_before=sent_before)
    return Outcome(stored=len(documents))


def _told_apart(
    to: _Destination, documents: Sequence[Any], details: Mapping[str, Any], *, sent_before: bool
) -> Outcome:
    """What the server said of single documents."""
    errors = details.get("writeErrors", ())
    if details.get("writeConcernErrors"):
        return Outcome(again="WriteConcernError")
    if any(error.get("code") in _NOT_NOW for error in errors):
        return Outcome(again="BulkWriteError")
    if to.time_field is not None:
        return _measurements_told_apart(to, documents, errors)
    refused = [error for error in errors if not (sent_before and _is_duplicate_id(error))]
    reasons = frozenset(_name_of(error.get("code")) for error in refused)
    return Outcome(len(documents) - len(refused), len(refused), reasons)


def _measurements_told_apart(
    to: _Destination, documents: Sequence[Any], errors: Sequence[Mapping[str, Any]]
) -> Outcome:
    """A time-series collection stores several measurements as one document: the server blames
    all of them for the fault of one."""
    time_field = str(to.time_field)
    blamed = [(documents[error["index"]], _name_of(error.get("code"))) for error in errors]
    stored = Outcome(stored=len(documents) - len(blamed))
    if len(blamed) == 1:
        return stored + Outcome(refused=1, reasons=frozenset({blamed[0][1]}))
    timeless = {name for each, name in blamed if not has_time(each, time_field)}
    rest = [each for each, _ in blamed if has_time(each, time_field)]
    refused = Outcome(refused=len(blamed) - len(rest), reasons=frozenset(timeless))
    return stored + refused + (_in_halves(to, rest) if rest else Outcome())


def _says_nothing_of_events(exc: Exception) -> bool:
    """Whether the attempt failed for reasons that no event has given."""
    if isinstance(exc, (ConnectionFailure, EncryptionError, InvalidOperation)):
        return True
    if isinstance(exc, PyMongoError):
        passes = exc.timeout or exc.has_error_label("RetryableWriteError")
        return passes or code_of(exc) in _NOT_NOW
    if isinstance(exc, RecursionError):
        return False
    return isinstance(exc, (DataLayerError, MemoryError, OSError, RuntimeError))


def _why_later(exc: Exception) -> str:
    if isinstance(exc, NotConnectedError):
        return "it is not connected, which db.connect_all() does"
    return kind_of(exc)


def _reason(exc: Exception) -> str:
    code = exc.code if isinstance(exc, OperationFailure) else None
    return kind_of(exc) if code is None else _name_of(code)


def _name_of(code: Any) -> str:
    try:
        return ServerCode(code).name
    except ValueError:
        return f"code {code}"


def _is_duplicate_id(error: Mapping[str, Any]) -> bool:
    if error.get("code") not in DUPLICATE_KEY:
        return False
    pattern = error.get("keyPattern")
    if pattern is None:  # mongomock
        return "_id" in str(error.get("errmsg"))
    return dict(pattern) == {"_id": 1}
