"""Writes one range of documents into the target, so that doing it again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure

from datalayer.failures.server_codes import ServerCode
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.errors import (
    document_refused,
    fail_over,
    index_in_the_way,
    other_spelling,
)
from datalayer.transfer.journal.journal import Journal
from datalayer.transfer.journal.range import Range
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.raw.bson import id_of, key_in, key_of, keys_of, same_id
from datalayer.transfer.raw.insert import insert
from datalayer.transfer.raw.object_ids import ObjectIds, among, from_first_to_last
from datalayer.transfer.raw.read_ahead import Batch, is_paged, keeps_order
from datalayer.transfer.runner.lookup import by_id, by_key, ids_present
from datalayer.transfer.transform import RawTransform

_ATTEMPTS = 3
_OF_ONE_DOCUMENT = frozenset(
    {ServerCode.Overflow, ServerCode.InvalidBSON, ServerCode.BSONObjectTooLarge}
)
"""The server reads no more of a message that holds such a document."""


@dataclass(frozen=True)
class Copier:
    """Copies the ranges of one part."""

    plan: Plan
    part: Part
    number: int
    origin: Endpoint
    destination: Endpoint
    shape: RawTransform
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
        return Range(self.number, number, batch.ids, replaced=self._keep(there))

    def _keep(self, ids: Sequence[Any]) -> Sequence[Any]:
        """Store the target's documents of ``ids`` beside the journal, as they are; those ids that
        have one still."""
        originals: Mapping[bytes, bytes] = {}
        if ids:
            originals = by_key(self.destination, self.part.target, ids)
            spelt = [id_of(raw) for key, raw in originals.items() if key_in(raw) != key]
            if spelt:
                raise other_spelling(self.plan, self.part, spelt)
        if originals:
            self.destination.raw(self.journal.side("originals", self.number)).bulk_write(
                [replacement(raw) for raw in originals.values()], ordered=False
            )
        return [one for one in ids if key_of(one) in originals]

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
            foreign = self._merge(ids, keys_of(each.replaced), again=again)
            missing = [None] if len(ids) + len(skipped) < len(each.ids) else []
            documents = by_id(self.origin, self.part.source, missing, None) if missing else []
        elif documents is None:
            documents = self._read_again(each.ids)
        if skipped and documents:
            documents = [raw for raw in documents if key_in(raw) not in skipped]
        if self.plan.reshapes and documents:
            documents = list(map(self.shape, documents))
        foreign += self._insert(each, documents or (), again=again)
        return each.now("copied", skipped=[*each.skipped, *foreign])

    def _read_again(self, ids: Sequence[Any]) -> list[bytes]:
        if not keeps_order(self.part):
            return by_id(self.origin, self.part.source, ids, None)
        found = by_key(self.origin, self.part.source, ids)
        return [found[key] for key in map(key_of, ids) if key in found]

    def _insert(self, each: Range, documents: Sequence[bytes], *, again: bool) -> list[Any]:
        if again and "timeseries" in self.part.options:
            # Here the server itself would take a document twice.
            absent = keys_of(self._absent([id_of(raw) for raw in documents]))
            documents = [raw for raw in documents if key_in(raw) in absent]
        if not documents:
            return []
        try:
            self._send(documents, keys_of(each.replaced))
        except (BulkWriteError, ConnectionFailure) as exc:
            if fail_over(exc) and not again:
                return self._insert(each, documents, again=True)
            if not isinstance(exc, BulkWriteError):
                raise
            self._check_refused(documents, exc)
            return self._foreign([id_of(raw) for raw in documents], again=again)
        except OperationFailure as exc:
            if exc.code not in _OF_ONE_DOCUMENT:
                raise
            return self._insert_each(each, documents, exc, again=again)
        return []

    def _send(self, documents: Sequence[bytes], replaced: Set[bytes]) -> None:
        collection = self.destination.raw(self.part.target)
        if replaced:
            collection.bulk_write(
                [
                    replacement(raw)
                    if key_in(raw) in replaced
                    else InsertOne(RawBSONDocument(raw))
                    for raw in documents
                ],
                ordered=False,
            )
        elif "timeseries" in self.part.options:
            collection.insert_many(map(RawBSONDocument, documents), ordered=False)
        else:
            insert(self.destination, self.part.target, documents)

    def _check_refused(self, documents: Sequence[bytes], exc: BulkWriteError) -> None:
        """Raise, unless the server has refused documents only because their ids are there."""
        errors = exc.details["writeErrors"]
        for error in errors:
            if error["code"] != ServerCode.DuplicateKey:
                identifier = id_of(documents[error["index"]])
                raise document_refused(self.plan, self.part, identifier, error) from None
        if exc.details.get("writeConcernErrors"):
            raise exc
        for error in errors:
            self._check_index(error)

    def _insert_each(
        self, each: Range, documents: Sequence[bytes], refusal: OperationFailure, *, again: bool
    ) -> list[Any]:
        """Insert one by one, where the server refused them all for one of them, to name that."""
        if len(documents) == 1:
            identifier = id_of(documents[0])
            raise document_refused(self.plan, self.part, identifier, refusal) from None
        return [one for raw in documents for one in self._insert(each, [raw], again=again)]

    def _merge(self, ids: Sequence[Any], replaced: Set[bytes], *, again: bool) -> list[Any]:
        if replaced:
            self._merge_when_matched("replace", [one for one in ids if key_of(one) in replaced])
            ids = [one for one in ids if key_of(one) not in replaced]
        foreign: list[Any] = []
        wanted = ids
        # Never with keepExisting: it would write the fields of new documents in another order.
        if again:
            foreign, wanted = self._foreign(ids, again=True), self._absent(ids)
        for attempt in range(_ATTEMPTS if wanted else 0):
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
        """The ids whose documents in the target are not what this range writes.

        An earlier attempt may have written an older state of a document; verification tells.
        """
        present = by_key(self.destination, self.part.target, ids)
        if not present:
            return []
        here = by_key(self.origin, self.part.source, ids)
        return [
            one
            for one in ids
            if (raw := present.get(key := key_of(one))) is not None
            and self._is_foreign(raw, here.get(key), again=again)
        ]

    def _is_foreign(self, raw: bytes, original: bytes | None, *, again: bool) -> bool:
        if original is None:
            return False
        if not same_id(raw, original):
            return True
        return not again and self.shape(original) != raw

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
