"""Deletes from one collection what is the same in another, each batch in one transaction: a
document that changes at that moment stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.read_concern import ReadConcern

from datalayer.transfer.exact import id_of, key_of
from datalayer.transfer.journal import Journal, Range
from datalayer.transfer.places import MAJORITY, Place
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.reading import by_id
from datalayer.transfer.shaping import Shape, unshape_of

__all__ = ["Mover", "delete_expected"]

_AT_ONCE = 1000
"""Documents that one transaction deletes; the server advises no more than that."""
_SNAPSHOT = ReadConcern("snapshot")


@dataclass(frozen=True)
class Mover:
    """Deletes the ranges of one part from the source."""

    plan: Plan
    part: Part
    number: int
    origin: Place
    destination: Place
    shape: Shape
    journal: Journal

    def delete(self, each: Range) -> Range:
        """Delete the range's documents that are the same in the target; the range as deleted.

        What has changed since it was copied, or is no longer selected, is left and noted.
        """
        unshape = unshape_of(self.plan)
        left: list[Any] = []
        for ids in chunks(each.ids):
            there = {
                key_of(id_of(raw)): raw
                for raw in by_id(self.destination, self.part.target, ids, None)
            }

            def is_there(raw: bytes, there: dict[bytes, bytes] = there) -> bool:
                copied = there.get(key_of(id_of(raw)))
                if copied is None or self.shape(raw) != copied:
                    return False
                return unshape is None or unshape(copied) == raw

            keep = self._keep if unshape is None else None
            left += delete_expected(self.origin, self.part.source, ids, is_there, keep, self.part)
        return each.now("deleted", left=left, here=len(left))

    def _keep(self, documents: Sequence[bytes]) -> None:
        """Store originals that can't be made again from what is in the target."""
        self.destination.raw(self.journal.side("sources", self.number)).bulk_write(
            [
                ReplaceOne({"_id": id_of(raw)}, RawBSONDocument(raw), upsert=True)
                for raw in documents
            ],
            ordered=False,
        )


def delete_expected(
    place: Place,
    collection: str,
    ids: Sequence[Any],
    is_expected: Callable[[bytes], bool],
    keep: Callable[[Sequence[bytes]], None] | None = None,
    part: Part | None = None,
) -> list[Any]:
    """Delete the documents of ``ids`` that are as expected; returns the ids of the others there.

    What is compared is what is deleted: the transaction fails, and begins anew, where somebody
    changes one of them meanwhile. ``keep`` gets them before they are deleted.
    """
    raw = place.raw(collection)
    query: dict[str, Any] = {"_id": {"$in": list(ids)}}

    def apply(session: ClientSession) -> list[Any]:
        found = [bytes(each.raw) for each in raw.find(query, session=session)]
        expected = [each for each in found if is_expected(each)]
        if expected and part is not None and part.filter:
            chosen = {
                key_of(each["_id"])
                for each in place.collection(collection).find(
                    {"$and": [part.filter, query]}, {"_id": True}, session=session
                )
            }
            expected = [each for each in expected if key_of(id_of(each)) in chosen]
        gone = [id_of(each) for each in expected]
        if expected:
            if keep is not None:
                keep(expected)
            raw.delete_many({"_id": {"$in": gone}}, session=session)
        keys = {key_of(one) for one in gone}
        return [one for each in found if key_of(one := id_of(each)) not in keys]

    with place.client.start_session() as session:
        left: list[Any] = session.with_transaction(
            apply, read_concern=_SNAPSHOT, write_concern=MAJORITY
        )
    return left


def chunks(ids: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The ids in pieces that one transaction can take."""
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
