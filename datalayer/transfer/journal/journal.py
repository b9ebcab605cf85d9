"""The journal of transfers, in the target database: each one's plan, how far it has got, and who
is at work on it. Every entry is made by the runner whose token is the latest, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bson.errors import BSONError
from pymongo import ASCENDING, ReplaceOne, UpdateOne, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError

from datalayer.errors import TransferError
from datalayer.failures.server_codes import ServerCode
from datalayer.lease import LeaseDocument
from datalayer.terminal import printable
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.journal.entry import RANGES, TRANSFERS, entry
from datalayer.transfer.journal.range import COUNTS, Range, RangeState
from datalayer.transfer.plan import Plan
from datalayer.transfer.raw.bson import OBJECT_ID_SIZE, key_of

_IDS_INDEX = "ids_of_followed"
_ONE = WriteConcern(1)
_HOW_MANY_IDS = {
    "$cond": [
        {"$isArray": "$ids"},
        {"$size": "$ids"},
        {"$toInt": {"$divide": [{"$binarySize": "$ids"}, OBJECT_ID_SIZE]}},
    ]
}


class Journal(LeaseDocument):
    """One transfer's entry and ranges, written by one runner at a time."""

    def __init__(self, endpoint: Endpoint, name: str, *, followed: bool = False) -> None:
        super().__init__(name)
        self.endpoint = endpoint
        self.followed = followed
        self._transfers = endpoint.collection(TRANSFERS)
        self._ranges = endpoint.collection(RANGES)
        self._stored = endpoint.raw(RANGES)

    def create(self, plan: Plan) -> None:
        """Enter ``plan``.

        Raises:
            TransferError: when there is a transfer of that name.
        """
        if self.followed:
            self._ranges.create_index(
                "ids", name=_IDS_INDEX, partialFilterExpression={"followed": True}
            )
        try:
            self._transfers.update_one(
                {"_id": self.name, "token": {"$in": []}},  # no other entry, whatever it holds
                [
                    {
                        "$set": {
                            "plan": {"$literal": plan.to_json()},
                            "checksum": plan.checksum,
                            "recipe": plan.recipe,
                            "state": "new",
                            "progress": {"$literal": {}},
                            "token": 0,
                            "holder": None,
                            "until": None,
                            "created_at": "$$NOW",
                            "updated_at": "$$NOW",
                        }
                    }
                ],
                upsert=True,
            )
        except DuplicateKeyError:
            raise TransferError(
                f"there is a transfer {self.name!r} on {self.endpoint.alias!r} already; go on "
                f"with it by `datalayer transfer resume {self.name}`, or choose another name",
                alias=self.endpoint.alias,
            ) from None

    @property
    def leased(self) -> Collection[Any]:
        """Where the transfer's entry is, which holds the lease."""
        return self._transfers

    def busy(self) -> TransferError:
        """What to raise while another runner is at work."""
        held = entry(self.endpoint, self.name)
        holder = printable(held.holder or "a runner")
        return TransferError(
            f"{holder} is at work on the transfer {self.name!r}; should it have died, "
            f"its lease runs out in {held.seconds_left:.0f} s: try again then, or wait with "
            "--wait",
            alias=self.endpoint.alias,
        )

    def lost(self) -> TransferError:
        """What to raise when the lease is gone."""
        return TransferError(
            f"this runner has lost its lease of the transfer {self.name!r} (it was stopped, or "
            "cut off from the target, for too long) and has stopped; `datalayer transfer show "
            f"{self.name}` tells who is at work now",
            alias=self.endpoint.alias,
        )

    def write(
        self,
        ranges: Iterable[Range] = (),
        state: str | None = None,
        progress: Mapping[str, Any] | None = None,
        *,
        new: Iterable[Range] = (),
    ) -> None:
        """Enter ``new`` ranges, and note the new states of ``ranges`` and of the transfer.

        Raises:
            TransferError: when the lease has run out: this runner has to stop.
        """
        changes = {f"progress.{key}": value for key, value in (progress or {}).items()}
        if state is not None:
            changes["state"] = state
        writes: list[Any] = [*map(self._entry, new)]
        writes += [
            UpdateOne(self._mine(each), {"$set": {"token": self.token, **each.changing()}})
            for each in ranges
        ]
        # What follows is confirmed by a majority only after this is.
        transfers = self._transfers.with_options(write_concern=_ONE) if writes else self._transfers
        mine = transfers.find_one_and_update(
            self.mine(),
            {"$set": changes, "$currentDate": {"updated_at": True}},
            projection={"_id": True},
        )
        if mine is None:
            raise self.lost()
        # Not in one transaction with the above: one that a killed runner leaves open would keep
        # the next from the journal for a minute. Each range is written only if no later runner
        # has written it.
        if writes:
            try:
                done = self._ranges.bulk_write(writes, ordered=False)
            except BulkWriteError as exc:
                codes = {each["code"] for each in exc.details["writeErrors"]}
                if ServerCode.DuplicateKey in codes:
                    raise self.lost() from None
                raise
            if done.matched_count + done.upserted_count < len(writes):
                raise self.lost()

    def ranges(self, part: int, *states: RangeState) -> Iterator[Range]:
        """The ranges of a part in one of ``states`` (default: all), in order."""
        query = self._within(part)
        if states:
            query["state"] = {"$in": list(states)}
        for stored in self._stored.find(query).sort("_id", ASCENDING):
            yield self._range_of(stored)

    def ask_for_cut_over(self) -> None:
        """Let the runner know, whoever it is; nothing happens where it was done before."""
        self._transfers.update_one(
            {"_id": self.name, "progress.cut_over": {"$ne": "done"}},
            {"$set": {"progress.cut_over": "asked"}},
        )

    def touch(self, part: int, ids: Sequence[Any]) -> tuple[set[bytes], set[bytes]]:
        """Have the ranges that hold some of ``ids`` verified again.

        Returns:
            the keys of the ids that are in ranges, and of those among them that were skipped.

        Raises:
            TransferError: when the lease has run out: this runner has to stop.
        """
        wanted = {"$literal": list(ids)}
        pipeline: list[dict[str, Any]] = [
            {"$match": {"ids": {"$in": list(ids)}, "followed": True, **self._within(part)}},
            {
                "$project": {
                    "ids": {"$setIntersection": ["$ids", wanted]},
                    "skipped": {"$setIntersection": ["$skipped", wanted]},
                }
            },
        ]
        found = list(self._stored.aggregate(pipeline, hint=_IDS_INDEX))
        if found:
            self.write()
            self._ranges.update_many(
                {"_id": {"$in": [each["_id"] for each in found]}, "token": {"$lte": self.token}},
                {"$set": {"state": "copied", "token": self.token}},
            )
        known = {key_of(one) for each in found for one in each["ids"]}
        return known, {key_of(one) for each in found for one in each["skipped"]}

    def last(self, part: int) -> Range | None:
        """The range that was entered last."""
        stored = self._stored.find_one(self._within(part), sort=[("_id", -1)])
        return None if stored is None else self._range_of(stored)

    def totals(self, part: int | None = None) -> dict[str, int]:
        """Sums over all ranges, or those of one part."""
        sums: dict[str, Any] = {
            "skipped": {"$sum": {"$size": "$skipped"}},
            "replaced": {"$sum": {"$size": "$replaced"}},
            "ids": {"$sum": _HOW_MANY_IDS},
            "stayed": {"$sum": {"$size": "$left"}},
            "left": {"$sum": {"$size": {"$setDifference": ["$left", "$skipped"]}}},
            **{name: {"$sum": f"${name}"} for name in COUNTS},
            **{
                state: {"$sum": {"$cond": [{"$eq": ["$state", state]}, _HOW_MANY_IDS, 0]}}
                for state in ("copying", "copied", "verified", "deleting", "deleted")
            },
        }
        pipeline = [{"$match": self._within(part)}, {"$group": {"_id": None, **sums}}]
        found = next(self._ranges.aggregate(pipeline), {})
        return {name: found.get(name, 0) for name in sums}

    def progress(self) -> dict[str, Any]:
        """What was noted with ``write``."""
        stored = self._transfers.find_one({"_id": self.name}, {"progress": True})
        return {} if stored is None else dict(stored["progress"])

    def forget(self, each: Range) -> None:
        """Drop a range that was taken back.

        Raises:
            TransferError: when the lease has run out: this runner has to stop.
        """
        self.write()
        if not self._ranges.delete_one(self._mine(each)).deleted_count:
            raise self.lost()

    def forget_ranges(self) -> None:
        """Drop the ranges of a transfer that was taken back."""
        self._ranges.delete_many(self._within())

    def _within(self, part: int | None = None) -> dict[str, Any]:
        """Selects the ranges of a part, or of all."""
        prefix = self.name if part is None else f"{self.name}/{part}"
        return {"_id": {"$gte": f"{prefix}/", "$lt": f"{prefix}0"}}

    def _range_of(self, stored: Mapping[str, Any]) -> Range:
        try:
            _, part, number = stored["_id"].rsplit("/", 2)
            return Range.of(int(part), int(number), stored)
        except (KeyError, TypeError, ValueError, AttributeError, BSONError):
            raise TransferError(
                f"the range {stored.get('_id')!r} in {RANGES!r} on {self.endpoint.alias!r} is not "
                f"as the transfer {self.name!r} has entered it: nothing is done by it. Bring it "
                "back as it was, from a backup of that database",
                alias=self.endpoint.alias,
            ) from None

    def _entry(self, each: Range) -> ReplaceOne[dict[str, Any]]:
        document = {"token": self.token, **each.settled(), **each.changing()}
        if self.followed:  # where ranges are looked up by each id
            document |= {"ids": list(each.ids), "followed": True}
        return ReplaceOne(self._mine(each), document, upsert=True)

    def _mine(self, each: Range) -> dict[str, Any]:
        return {"_id": f"{self.name}/{each.part}/{each.number:09d}", "token": {"$lte": self.token}}
