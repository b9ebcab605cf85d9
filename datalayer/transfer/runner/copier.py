"""Writes one range of documents into the target, so that doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure

from datalayer.failures.server_codes import ServerCode
from datalayer.transfer.errors import (
    document_refused,
    fail_over,
    index_in_the_way,
    other_spelling,
)
from datalayer.transfer.job import Job
from datalayer.transfer.journal.range import Range
from datalayer.transfer.raw.bson import id_of, key_in, key_of, keys_of, same_id
from datalayer.transfer.raw.insert import insert, replacement
from datalayer.transfer.raw.object_ids import ObjectIds, among, from_first_to_last
from datalayer.transfer.raw.read_ahead import Batch, is_paged, keeps_order
from datalayer.transfer.runner.lookup import by_id, by_key, ids_present

_ATTEMPTS = 3
_OF_ONE_DOCUMENT = frozenset(
    {ServerCode.Overflow, ServerCode.InvalidBSON, ServerCode.BSONObjectTooLarge}
)
"""The server reads no more of a message that holds such a document."""


def range_of(job: Job, batch: Batch, number: int) -> Range:
    """What to enter in the journal before ``batch`` is written.

    Looks for documents that the target has already, and keeps those to be replaced.
    """
    there: list[Any] = []
    if job.plan.conflicts != "fail":
        there = ids_present(job.destination, job.part.target, batch.ids)
    if job.plan.conflicts == "skip":
        return Range(job.number, number, batch.ids, skipped=there)
    return Range(job.number, number, batch.ids, replaced=_keep(job, there))


def _keep(job: Job, ids: Sequence[Any]) -> Sequence[Any]:
    """Store the target's documents of ``ids`` beside the journal, as they are; those ids that
    have one still."""
    originals: Mapping[bytes, bytes] = {}
    if ids:
        originals = by_key(job.destination, job.part.target, ids)
        spelt = [id_of(raw) for key, raw in originals.items() if key_in(raw) != key]
        if spelt:
            raise other_spelling(job.plan, job.part, spelt)
    if originals:
        job.destination.raw(job.kept_collection("originals")).bulk_write(
            [replacement(raw) for raw in originals.values()], ordered=False
        )
    return [one for one in ids if key_of(one) in originals]


def write(job: Job, each: Range, batch: Batch | None) -> Range:
    """Write the range and return it as copied; ``batch`` is ``None`` when it is done again.

    Documents that somebody else has put into the target meanwhile stay, as skipped ones.

    Raises:
        TransferError: when a unique index of the target is in the way.
    """
    again = batch is None
    documents = None if batch is None else batch.documents
    skipped = keys_of(each.skipped)
    foreign: list[Any] = []
    if job.plan.method == "merge":
        # The one _id that $merge doesn't take is null.
        ids = each.written()
        if not isinstance(ids, ObjectIds):
            ids = [one for one in ids if one is not None]
        foreign = _merge(job, ids, keys_of(each.replaced), again=again)
        missing = [None] if len(ids) + len(skipped) < len(each.ids) else []
        documents = by_id(job.origin, job.part.source, missing) if missing else []
    elif documents is None:
        documents = _read_again(job, each.ids)
    if skipped and documents:
        documents = [raw for raw in documents if key_in(raw) not in skipped]
    if job.plan.reshapes and documents:
        documents = list(map(job.transform, documents))
    foreign += _insert(job, each, documents or (), again=again)
    return each.now("copied", skipped=[*each.skipped, *foreign])


def _read_again(job: Job, ids: Sequence[Any]) -> list[bytes]:
    if not keeps_order(job.part):
        return by_id(job.origin, job.part.source, ids)
    found = by_key(job.origin, job.part.source, ids)
    return [found[key] for key in map(key_of, ids) if key in found]


def _insert(job: Job, each: Range, documents: Sequence[bytes], *, again: bool) -> list[Any]:
    if again and "timeseries" in job.part.options:
        # Here the server itself would take a document twice.
        absent = keys_of(_absent(job, [id_of(raw) for raw in documents]))
        documents = [raw for raw in documents if key_in(raw) in absent]
    if not documents:
        return []
    try:
        _send(job, documents, keys_of(each.replaced))
    except (BulkWriteError, ConnectionFailure) as exc:
        if fail_over(exc) and not again:
            return _insert(job, each, documents, again=True)
        if not isinstance(exc, BulkWriteError):
            raise
        check_duplicates_only(job, exc, lambda at: id_of(documents[at]))
        for error in exc.details["writeErrors"]:
            _check_index(job, error)
        return _foreign(job, [id_of(raw) for raw in documents], again=again)
    except OperationFailure as exc:
        if exc.code not in _OF_ONE_DOCUMENT:
            raise
        return _insert_each(job, each, documents, exc, again=again)
    return []


def _send(job: Job, documents: Sequence[bytes], replaced: Set[bytes]) -> None:
    collection = job.destination.raw(job.part.target)
    if replaced:
        collection.bulk_write(
            [
                replacement(raw) if key_in(raw) in replaced else InsertOne(RawBSONDocument(raw))
                for raw in documents
            ],
            ordered=False,
        )
    elif "timeseries" in job.part.options:
        collection.insert_many(map(RawBSONDocument, documents), ordered=False)
    else:
        insert(job.destination, job.part.target, documents)


def check_duplicates_only(job: Job, exc: BulkWriteError, id_at: Callable[[int], Any]) -> None:
    """Raise, unless the server has refused documents only for values that are to be unique."""
    for error in exc.details["writeErrors"]:
        if error["code"] != ServerCode.DuplicateKey:
            raise document_refused(job.plan, job.part, id_at(error["index"]), error) from None
    if exc.details.get("writeConcernErrors"):
        raise exc


def _insert_each(
    job: Job, each: Range, documents: Sequence[bytes], refusal: OperationFailure, *, again: bool
) -> list[Any]:
    """Insert one by one, where the server refused them all for one of them, to name that."""
    if len(documents) == 1:
        identifier = id_of(documents[0])
        raise document_refused(job.plan, job.part, identifier, refusal) from None
    return [one for raw in documents for one in _insert(job, each, [raw], again=again)]


def _merge(job: Job, ids: Sequence[Any], replaced: Set[bytes], *, again: bool) -> list[Any]:
    if replaced:
        _merge_when_matched(job, "replace", [one for one in ids if key_of(one) in replaced])
        ids = [one for one in ids if key_of(one) not in replaced]
    foreign: list[Any] = []
    wanted = ids
    # Never with keepExisting: it would write the fields of new documents in another order.
    if again:
        foreign, wanted = _foreign(job, ids, again=True), _absent(job, ids)
    for attempt in range(_ATTEMPTS if wanted else 0):
        try:
            _merge_when_matched(job, "fail", wanted)
        except OperationFailure as exc:
            if exc.code != ServerCode.DuplicateKey or attempt == _ATTEMPTS - 1:
                raise
            _check_index(job, exc.details or {})
            foreign += _foreign(job, wanted, again=again)
            wanted = _absent(job, wanted)
        else:
            break
    return foreign


def _merge_when_matched(job: Job, when_matched: str, ids: Sequence[Any]) -> None:
    into = {"db": job.destination.connection.settings.database, "coll": job.part.target}
    merge = {"into": into, "on": "_id", "whenMatched": when_matched}
    if isinstance(ids, ObjectIds) and is_paged(job.part):
        wanted = from_first_to_last(ids)
    else:
        wanted = {"_id": among(ids)}
    job.origin.collection(job.part.source).aggregate([{"$match": wanted}, {"$merge": merge}])


def _foreign(job: Job, ids: Sequence[Any], *, again: bool) -> list[Any]:
    """The ids whose documents in the target are not what this range writes.

    An earlier attempt may have written an older state of a document; verification tells.
    """
    present = by_key(job.destination, job.part.target, ids)
    if not present:
        return []
    here = by_key(job.origin, job.part.source, ids)
    return [
        one
        for one in ids
        if (raw := present.get(key := key_of(one))) is not None
        and (original := here.get(key)) is not None
        and (not same_id(raw, original) or not (again or job.transform(original) == raw))
    ]


def _check_index(job: Job, error: Mapping[str, Any]) -> None:
    if "_id" not in error.get("keyPattern", {"_id": 1}):
        raise index_in_the_way(job.plan, job.part, error)


def _absent(job: Job, ids: Sequence[Any]) -> list[Any]:
    """Those that the target does not hold."""
    there = keys_of(ids_present(job.destination, job.part.target, ids))
    return [one for one in ids if key_of(one) not in there]
