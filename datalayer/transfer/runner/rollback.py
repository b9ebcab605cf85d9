"""Takes back what a transfer wrote: first puts documents back into the source, and sees that they
are there, then removes them from the target. What isn't the transfer's own stays."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence, Set
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError

from datalayer.errors import TransferError
from datalayer.failures.server_codes import ServerCode
from datalayer.transfer.codecs import DECODED
from datalayer.transfer.errors import Kept, kept_documents, others_in, shown
from datalayer.transfer.job import Job, jobs_of
from datalayer.transfer.journal.lease import Lease
from datalayer.transfer.journal.range import Range, mark_of
from datalayer.transfer.plan import Plan
from datalayer.transfer.raw.bson import key_in, key_of, keys_of, same_id
from datalayer.transfer.raw.insert import replacement
from datalayer.transfer.raw.object_ids import pieces
from datalayer.transfer.runner import ownership, target_schema
from datalayer.transfer.runner.deleter import delete_expected, same_as
from datalayer.transfer.runner.lookup import AT_ONCE, by_key
from datalayer.transfer.runner.ownership import Ownership, ownership_of
from datalayer.transfer.runner.workers import OnProgress, Progress

logger = logging.getLogger("datalayer.transfer")

_MOST_COMPARED_BYTES = 12 * 2**20
"""Of a replaced document and its original, in one request: it holds both."""


class Rollback:
    """Takes back one transfer while it holds the lease. Doing it again goes on with it.

    ``force`` takes back documents, too, that have changed in the target, as they are now.
    """

    def __init__(self, plan: Plan, lease: Lease, tell: OnProgress, *, force: bool) -> None:
        self.plan = plan
        self.lease = lease
        self.journal = lease.journal
        self.tell = tell
        self.force = force
        self.jobs = jobs_of(plan, lease)
        self._done = 0

    def run(self, *, begun: bool) -> None:
        """Take back all ranges, then options, indexes and the collections beside.

        Unless it has ``begun`` before, nothing is done where documents would have to stay.
        """
        for job in self.jobs:
            self._check_alone(job)
        if not (self.force or begun):
            self._check()
        self.lease.note(state="rolling_back")
        kept = {job.number: self._take_back_all(job) for job in self.jobs}
        if not self.force:
            kept_documents(self.plan, kept.values())
        for job in self.jobs:
            with self.lease.time():
                self._clean_up(job, kept[job.number])
        with self.lease.time():
            left = [each.left(self.plan) for each in kept.values() if each.count]
            note = {"left_by_rollback": ". ".join(left)} if left else None
            self.journal.write(state="rolled_back", progress=note)
            self.journal.forget_ranges()

    def _check(self) -> None:
        """Refuse to take back what isn't as it was left."""
        kept = []
        for job in self.jobs:
            of_part = Kept(job.part)
            for each in self.journal.ranges(job.number):
                with self.lease.time():
                    found = ownership_of(job, each)
                of_part.add(found.changed, found.made_anew)
            kept.append(of_part)
        kept_documents(self.plan, kept)

    def _check_alone(self, job: Job) -> None:
        """Refuse to drop measurements of others: a time-series collection goes as a whole."""
        if "timeseries" not in job.part.options or not job.facts():
            return
        with self.lease.time():
            present = job.destination.collection(job.part.target).count_documents({})
            own = ownership.count(job, self.journal.ranges(job.number)) if present else 0
        if present > own:
            raise others_in(self.plan, job.part, present - own)

    def _take_back_all(self, job: Job) -> Kept:
        kept = Kept(job.part)
        for each in self.journal.ranges(job.number):
            if "timeseries" not in job.part.options:  # dropped as a whole in the end
                self._take_back(job, each, kept)
            self._done += len(each.ids)
            total = max(self._done, self.plan.count)
            self.tell(Progress(self.plan.name, "roll back", self._done, total))
        return kept

    def _take_back(self, job: Job, each: Range, kept: Kept) -> None:
        with self.lease.time():
            found = ownership_of(job, each)
        made_anew = list(found.made_anew)
        if ownership.moved_ids(job, each):
            with self.lease.time():
                each = each.now("restoring")
                self.journal.write([each])
                stay = keys_of(made_anew) | (set() if self.force else keys_of(found.changed))
                made_anew += self._put_back(job, each, stay)
        with self.lease.time():
            left = self._remove(job, each, found, keys_of(made_anew))
            left += self._restore(job, each, found)
            changed = _each_once([*left, *(() if self.force else found.changed)], made_anew)
            kept.add(changed, made_anew)
            if self.force or not (changed or made_anew):
                self.journal.forget(each)

    def _put_back(self, job: Job, each: Range, stay: Set[bytes]) -> list[Any]:
        """Insert into the source what is not there, and read it back; the ids of what somebody
        else has put there meanwhile."""
        made_anew: list[Any] = []
        ids = [one for one in ownership.moved_ids(job, each) if key_of(one) not in stay]
        for piece in pieces(ids, AT_ONCE):
            originals = ownership.originals_of(job, piece)
            if not originals:
                continue
            try:
                job.origin.raw(job.part.source).bulk_write(
                    [InsertOne(RawBSONDocument(raw)) for raw in originals.values()], ordered=False
                )
            except BulkWriteError as exc:
                codes = {each["code"] for each in exc.details["writeErrors"]}
                if codes - {ServerCode.DuplicateKey}:
                    raise
            present = by_key(job.origin, job.part.source, piece)
            missing = [one for one in piece if key_of(one) in originals.keys() - present.keys()]
            if missing:
                raise TransferError(
                    f"documents could not be put back into {job.part.source!r} on "
                    f"{self.plan.source!r} ({shown(missing)}): a unique index is in the way; they "
                    "were not removed from the target",
                    alias=self.plan.source,
                )
            made_anew += ownership.made_anew(job, piece)
        return made_anew

    def _remove(self, job: Job, each: Range, found: Ownership, stay: Set[bytes]) -> list[Any]:
        """Remove from the target what the run wrote; the ids of what stays."""
        replaced = keys_of(each.replaced)
        ids = [one for one in each.written() if key_of(one) not in replaced]

        is_own = self._own_of(found)

        def may_go(raw: bytes) -> bool:
            return key_in(raw) not in stay and is_own(raw)

        return [
            one
            for piece in pieces(ids, AT_ONCE)
            for one in delete_expected(job.destination, job.part.target, piece, may_go)
        ]

    def _own_of(self, found: Ownership) -> Callable[[bytes], bool]:
        """Tells whether a document of the target may go."""
        changed = {key_of(one): one for one in found.changed} if self.force else {}

        def is_own(raw: bytes) -> bool:
            key = key_in(raw)
            if key in changed:  # as it is now, but never one with another type of _id
                return same_id(raw, bson.encode({"_id": changed[key]}, codec_options=DECODED))
            return found.own.get(key) == mark_of(raw)

        return is_own

    def _restore(self, job: Job, each: Range, found: Ownership) -> list[Any]:
        """Bring back what was replaced; the ids of what can't be."""
        left: list[Any] = []
        is_own = self._own_of(found)
        side = job.kept_collection("originals")
        for ids in pieces(each.replaced, AT_ONCE):
            originals = by_key(job.destination, side, ids)
            there = by_key(job.destination, job.part.target, ids)
            requests = [
                _restoring(original, there.get(key))
                for key, original in originals.items()
                if (raw := there.get(key)) is None or (raw != original and is_own(raw))
            ]
            if requests:
                job.destination.raw(job.part.target).bulk_write(requests, ordered=False)
                there = by_key(job.destination, job.part.target, ids)
            left += [
                one
                for one in ids
                if (key := key_of(one)) not in originals or there.get(key) != originals[key]
            ]
        return left

    def _clean_up(self, job: Job, kept: Kept) -> None:
        facts = job.facts()
        if not facts:
            return
        target, part = job.destination, job.part
        if "timeseries" in part.options:
            # It held nothing before, and its documents can't be deleted one by one.
            target.collection(part.target).drop()
            if not facts["created"]:
                target_schema.create(job)
        target_schema.take_back(job, created=facts["created"], indexes=facts["indexes"])
        if kept.count:
            logger.warning(
                "the transfer %s is taken back, but %s",
                self.plan.name,
                kept.left(self.plan),
                extra={"event": "transfer_left", "transfer": self.plan.name},
            )
            return  # what is kept beside the journal may be wanted
        for kind in ("originals", "sources"):
            target.collection(job.kept_collection(kind)).drop()


def _each_once(ids: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    found = {key_of(one): one for one in ids}
    not_wanted = keys_of(others)
    return [one for key, one in found.items() if key not in not_wanted]


def _restoring(original: bytes, raw: bytes | None) -> Any:
    if raw is None or len(raw) + len(original) > _MOST_COMPARED_BYTES:
        return replacement(original)
    return ReplaceOne(same_as(raw), RawBSONDocument(original))
