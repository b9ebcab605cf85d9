"""Writes one range of documents into the target, so that doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure

from datalayer.server_codes import ServerCode
from datalayer.transfer.exact import id_of, key_of, keys_of
from datalayer.transfer.failures import fail_over, index_in_the_way
from datalayer.transfer.ids import ObjectIds, among, from_first_to_last
from datalayer.transfer.journal import Journal
from datalayer.transfer.places import Place
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.ranges import Range
from datalayer.transfer.raw_insert import insert
from datalayer.transfer.reading import Batch, by_id, ids_present, is_paged
from datalayer.transfer.shaping import Shape

__all__ = ["Copier", "replacement"]

_ATTEMPTS = 3


@dataclass(frozen=True)
class Copier:
    """Copies the ranges of one part."""

    plan: Plan
    part: Part
    number: int
    origin: Place
    destination: Place
    shape: Shape
    journal: Journal

    def range_of(self, batch: Batch, number: int) -> Range:
        """What to enter in the journal before ``batch`` is written.

        Looks for documents that the target has already, and keeps those to be replaced.
        """
        there: list[Any] = []
        if self.plan.conflicts != "fail":
            there = ids_present(self.destination, self.part.target, batch.ids, None)
        if self.plan.conflicts == "skip":
            return Range(self.number, number, batch.ids, skipped=there)
        self.keep(there)
        return Range(self.number, number, batch.ids, replaced=there)

    def keep(self, ids: Sequence[Any]) -> None:
        """Store the target's documents of ``ids`` beside the journal, as they are."""
        if ids:
            originals = by_id(self.destination, self.part.target, ids, None)
            self.destination.raw(self.journal.side("originals", self.number)).bulk_write(
                [replacement(raw) for raw in originals], ordered=False
            )

    def write(self, each: Range, batch: Batch | None) -> Range:
        """Write the range and return it as copied; ``batch`` is ``None`` when it is done again.

        Documents that somebody else has put into the target meanwhile stay, as skipped ones.

        Raises:
            TransferError: when a unique index of the target is in the way.
        """
        again = batch is None
        documents = None if batch is None else batch.documents
        skipped = keys_of(each.skipped)
        foreign: list[Any] = []
        if self.plan.method == "merge":
            # The one _id that $merge doesn't take is null.
            ids = each.written()
            if not isinstance(ids, ObjectIds):
                ids = [one for one in ids if one is not None]
            foreign = self._merge(ids, again=again)
            missing = [None] if len(ids) + len(skipped) < len(each.ids) else []
            documents = by_id(self.origin, self.part.source, missing, None) if missing else []
        elif documents is None:
            documents = by_id(self.origin, self.part.source, each.ids, None)
        if skipped and documents:
            documents = [raw for raw in documents if key_of(id_of(raw)) not in skipped]
        if self.plan.reshapes and documents:
            documents = list(map(self.shape, documents))
        foreign += self._insert(each, documents or (), again=again)
        return each.now("copied", skipped=[*each.skipped, *foreign])

    def _insert(self, each: Range, documents: Sequence[bytes], *, again: bool) -> list[Any]:
        if again and "timeseries" in self.part.options:
            # Here the server itself would take a document twice.
            absent = keys_of(self._absent([id_of(raw) for raw in documents]))
            documents = [raw for raw in documents if key_of(id_of(raw)) in absent]
        if not documents:
            return []
        collection = self.destination.raw(self.part.target)
        replaced = keys_of(each.replaced)
        try:
            if replaced:
                collection.bulk_write(
                    [
                        replacement(raw)
                        if key_of(id_of(raw)) in replaced
                        else InsertOne(RawBSONDocument(raw))
                        for raw in documents
                    ],
                    ordered=False,
                )
            elif "timeseries" in self.part.options:
                collection.insert_many(map(RawBSONDocument, documents), ordered=False)
            else:
                insert(self.destination, self.part.target, documents)
        except (BulkWriteError, ConnectionFailure) as exc:
            if fail_over(exc) and not again:
                return self._insert(each, documents, again=True)
            if not isinstance(exc, BulkWriteError):
                raise
            errors = exc.details["writeErrors"]
            only_duplicates = all(error["code"] == ServerCode.DuplicateKey for error in errors)
            if not only_duplicates or exc.details.get("writeConcernErrors"):
                raise
            for error in errors:
                self._check_index(error)
            return self._foreign([id_of(raw) for raw in documents], again=again)
        return []

    def _merge(self, ids: Sequence[Any], *, again: bool) -> list[Any]:
        if self.plan.conflicts == "replace":
            self._merge_when_matched("replace", ids)
            return []
        foreign: list[Any] = []
        # Never with keepExisting: it would write the fields of new documents in another order.
        wanted = self._absent(ids) if again else ids
        for attempt in range(_ATTEMPTS):
            try:
                self._merge_when_matched("fail", wanted)
            except OperationFailure as exc:
                if exc.code != ServerCode.DuplicateKey or attempt == _ATTEMPTS - 1:
                    raise
                self._check_index(exc.details or {})
                foreign += self._foreign(wanted, again=again)
                wanted = self._absent(wanted)
            else:
                break
        return foreign

    def _merge_when_matched(self, when_matched: str, ids: Sequence[Any]) -> None:
        into = {"db": self.destination.connection.settings.database, "coll": self.part.target}
        merge = {"into": into, "on": "_id", "whenMatched": when_matched}
        if isinstance(ids, ObjectIds) and is_paged(self.part):
            wanted = from_first_to_last(ids)
        else:
            wanted = {"_id": among(ids)}
        self.origin.collection(self.part.source).aggregate([{"$match": wanted}, {"$merge": merge}])

    def _foreign(self, ids: Sequence[Any], *, again: bool) -> list[Any]:
        """The ids of documents in the target that are not what this range writes.

        An earlier attempt may have written an older state of a document; verification tells.
        """
        if again:
            return []
        expected = {
            key_of(id_of(raw)): self.shape(raw)
            for raw in by_id(self.origin, self.part.source, ids, None)
        }
        present = by_id(self.destination, self.part.target, ids, None)
        return [
            identifier
            for raw in present
            if expected.get(key_of(identifier := id_of(raw)), raw) != raw
        ]

    def _check_index(self, error: Mapping[str, Any]) -> None:
        if "_id" not in error.get("keyPattern", {"_id": 1}):
            raise index_in_the_way(self.plan, self.part, error)

    def _absent(self, ids: Sequence[Any]) -> list[Any]:
        """Those that the target does not hold."""
        there = keys_of(ids_present(self.destination, self.part.target, ids, None))
        return [one for one in ids if key_of(one) not in there]


def replacement(raw: bytes) -> ReplaceOne[RawBSONDocument]:
    """What puts a document into the place of the one with its ``_id``, or adds it."""
    return ReplaceOne({"_id": id_of(raw)}, RawBSONDocument(raw), upsert=True)
