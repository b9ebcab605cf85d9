"""Deletes from one collection what is the same in another. A document that changes at that moment
stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import DeleteOne

from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.job import Job
from datalayer.transfer.journal.range import Range
from datalayer.transfer.raw.bson import id_of, key_in
from datalayer.transfer.raw.insert import replacement
from datalayer.transfer.raw.object_ids import pieces
from datalayer.transfer.runner.lookup import AT_ONCE, by_id, by_key, ids_present


def delete(job: Job, each: Range) -> Range:
    """Delete the range's documents that are the same in the target; the range as deleted.

    What has changed since it was copied is left and noted.
    """
    inverse = job.inverse
    left: list[Any] = []
    for ids in pieces(each.ids, AT_ONCE):
        there = by_key(job.destination, job.part.target, ids)

        def is_there(raw: bytes, there: dict[bytes, bytes] = there) -> bool:
            copied = there.get(key_in(raw))
            if copied is None or job.transform(raw) != copied:
                return False
            return inverse is None or inverse(copied) == raw

        keep = partial(_keep, job) if inverse is None else None
        left += delete_expected(job.origin, job.part.source, ids, is_there, keep)
    return each.now("deleted", left=left, here=len(left))


def _keep(job: Job, documents: Sequence[bytes]) -> None:
    """Store originals that can't be made again from what is in the target."""
    job.destination.raw(job.kept_collection("sources")).bulk_write(
        list(map(replacement, documents)), ordered=False
    )


def delete_expected(
    endpoint: Endpoint,
    collection: str,
    ids: Sequence[Any],
    is_expected: Callable[[bytes], bool],
    keep: Callable[[Sequence[bytes]], None] | None = None,
) -> list[Any]:
    """Delete the documents of ``ids`` that are as expected; returns the ids of those that stay.

    The server compares each document as it deletes it with what was compared here: one that
    somebody changes meanwhile stays. ``keep`` gets the documents before. (A transaction would
    do too, but one that a killed process leaves open locks its documents for a minute.)
    """
    found = by_id(endpoint, collection, ids)
    expected = [raw for raw in found if is_expected(raw)]
    if expected:
        if keep is not None:
            keep(expected)
        endpoint.collection(collection).bulk_write(
            [DeleteOne(same_as(raw)) for raw in expected], ordered=False
        )
    return ids_present(endpoint, collection, ids)


def same_as(raw: bytes) -> dict[str, Any]:
    """Selects a document if it is still the same."""
    same = {"$eq": ["$$ROOT", {"$literal": RawBSONDocument(raw)}]}
    return {"_id": id_of(raw), "$expr": same}
