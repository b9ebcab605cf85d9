"""Takes back what a transfer wrote: first puts documents back into the source, and sees that they
are there, then removes them from the target. What isn't the transfer's own stays."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError

from datalayer.errors import TransferError
from datalayer.failures.server_codes import ServerCode
from datalayer.transfer.codecs import DECODED
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.errors import Kept, kept_documents, others_in, shown
from datalayer.transfer.journal.journal import Journal
from datalayer.transfer.journal.lease import Lease
from datalayer.transfer.journal.range import Range, mark_of
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.raw.bson import key_in, key_of, keys_of, same_id
from datalayer.transfer.raw.object_ids import pieces
from datalayer.transfer.runner import target_schema
from datalayer.transfer.runner.copier import replacement
from datalayer.transfer.runner.deleter import delete_expected, same_as
from datalayer.transfer.runner.lookup import by_key
from datalayer.transfer.runner.ownership import AT_ONCE, Judge, Judgement
from datalayer.transfer.runner.workers import OnProgress, Progress
from datalayer.transfer.transform import transform_of

logger = logging.getLogger("datalayer.transfer")

_MOST_COMPARED_BYTES = 12 * 2**20
"""Of a replaced document and its original, in one request: it holds both."""


class Rollback:
    """Takes back one transfer while it holds the lease. Doing it again goes on with it.

    ``force`` takes back documents, too, that have changed in the target, as they are now.
    """

    def __init__(
        self, plan: Plan, journal: Journal, lease: Lease, tell: OnProgress, *, force: bool
    ) -> None:
        self.plan = plan
        self.journal = journal
        self.lease = lease
        self.tell = tell
        self.force = force
        self.origin = Endpoint.of(plan.source)
        self.destination = Endpoint.of(plan.target)
        self.judges = [self._judge_of(*each) for each in enumerate(plan.parts)]
        self._done = 0

    def _judge_of(self, number: int, part: Part) -> Judge:
        shape = transform_of(self.plan, part)
        return Judge(
            self.plan, part, number, self.origin, self.destination, shape, self.journal
        )  # fmt: skip

    def run(self, *, begun: bool) -> None:
        """Take back all ranges, then options, indexes and the collections beside.

        Unless it has ``begun`` before, nothing is done where documents would have to stay.
        """
        for judge in self.judges:
            self._check_alone(judge)
        if not (self.force or begun):
            self._check(self.judges)
        with self.lease.time():
            self.journal.write(state="rolling_back")
        kept = {judge.number: self._take_back_all(judge) for judge in self.judges}
        if not self.force:
            kept_documents(self.plan, kept.values())
        for judge in self.judges:
            with self.lease.time():
                self._clean_up(judge.number, judge.part, kept[judge.number])
        with self.lease.time():
            left = [each.left(self.plan) for each in kept.values() if each.count]
            note = {"left_by_rollback": ". ".join(left)} if left else None
            self.journal.write(state="rolled_back", progress=note)
            self.journal.forget_ranges()

    def _check(self, judges: Sequence[Judge]) -> None:
        """Refuse to take back what isn't as it was left."""
        kept = []
        for judge in judges:
            of_part = Kept(judge.part)
            for each in self.journal.ranges(judge.number):
                with self.lease.time():
                    found = judge.judge(each)
                of_part.add(found.changed, found.made_anew)
            kept.append(of_part)
        kept_documents(self.plan, kept)

    def _check_alone(self, judge: Judge) -> None:
        """Refuse to drop measurements of others: a time-series collection goes as a whole."""
        if "timeseries" not in judge.part.options or not self._facts(judge.number):
            return
        with self.lease.time():
            present = self.destination.collection(judge.part.target).count_documents({})
            own = judge.count(self.journal.ranges(judge.number)) if present else 0
        if present > own:
            raise others_in(self.plan, judge.part, present - own)

    def _take_back_all(self, judge: Judge) -> Kept:
        kept = Kept(judge.part)
        for each in self.journal.ranges(judge.number):
            if "timeseries" not in judge.part.options:  # dropped as a whole in the end
                self._take_back(judge, each, kept)
            self._done += len(each.ids)
            total = max(self._done, self.plan.count)
            self.tell(Progress(self.plan.name, "roll back", self._done, total))
        return kept

    def _take_back(self, judge: Judge, each: Range, kept: Kept) -> None:
        with self.lease.time():
            found = judge.judge(each)
        made_anew = list(found.made_anew)
        if judge.moved(each):
            with self.lease.time():
                each = each.now("restoring")
                self.journal.write([each])
                stay = keys_of(made_anew) | (set() if self.force else keys_of(found.changed))
                made_anew += self._put_back(judge, each, stay)
        with self.lease.time():
            left = self._remove(judge.part, each, found, keys_of(made_anew))
            left += self._restore(judge, each, found)
            changed = _each_once([*left, *(() if self.force else found.changed)], made_anew)
            kept.add(changed, made_anew)
            if self.force or not (changed or made_anew):
                self.journal.forget(each)

    def _put_back(self, judge: Judge, each: Range, stay: Set[bytes]) -> list[Any]:
        """Insert into the source what is not there, and read it back; the ids of what somebody
        else has put there meanwhile."""
        made_anew: list[Any] = []
        part = judge.part
        ids = [one for one in judge.moved(each) if key_of(one) not in stay]
        for piece in pieces(ids, AT_ONCE):
            originals = judge.originals(piece)
            if not originals:
                continue
            try:
                self.origin.raw(part.source).bulk_write(
                    [InsertOne(RawBSONDocument(raw)) for raw in originals.values()], ordered=False
                )
            except BulkWriteError as exc:
                if any(
                    each["code"] != ServerCode.DuplicateKey for each in exc.details["writeErrors"]
                ):
                    raise
            present = by_key(self.origin, part.source, piece)
            missing = [one for one in piece if key_of(one) in originals.keys() - present.keys()]
            if missing:
                raise TransferError(
                    f"documents could not be put back into {part.source!r} on "
                    f"{self.plan.source!r} ({shown(missing)}): a unique index is in the way; they "
                    "were not removed from the target",
                    alias=self.plan.source,
                )
            made_anew += judge.made_anew(piece)
        return made_anew

    def _remove(self, part: Part, each: Range, found: Judgement, stay: Set[bytes]) -> list[Any]:
        """Remove from the target what the run wrote; the ids of what stays."""
        replaced = keys_of(each.replaced)
        ids = [one for one in each.written() if key_of(one) not in replaced]

        is_own = self._own_of(found)

        def may_go(raw: bytes) -> bool:
            return key_in(raw) not in stay and is_own(raw)

        return [
            one
            for piece in pieces(ids, AT_ONCE)
            for one in delete_expected(self.destination, part.target, piece, may_go)
        ]

    def _own_of(self, found: Judgement) -> Callable[[bytes], bool]:
        """Tells whether a document of the target may go."""
        changed = {key_of(one): one for one in found.changed} if self.force else {}

        def is_own(raw: bytes) -> bool:
            key = key_in(raw)
            if key in changed:  # as it is now, but never one with another type of _id
                return same_id(raw, _alone(changed[key]))
            return found.own.get(key) == mark_of(raw)

        return is_own

    def _restore(self, judge: Judge, each: Range, found: Judgement) -> list[Any]:
        """Bring back what was replaced; the ids of what can't be."""
        left: list[Any] = []
        is_own = self._own_of(found)
        side = self.journal.side("originals", judge.number)
        for ids in pieces(each.replaced, AT_ONCE):
            originals = by_key(self.destination, side, ids)
            there = by_key(self.destination, judge.part.target, ids)
            requests = [
                _restoring(original, there.get(key))
                for key, original in originals.items()
                if (raw := there.get(key)) is None or (raw != original and is_own(raw))
            ]
            if requests:
                self.destination.raw(judge.part.target).bulk_write(requests, ordered=False)
                there = by_key(self.destination, judge.part.target, ids)
            left += [one for one in ids if _differ(originals, there, key_of(one))]
        return left

    def _facts(self, number: int) -> Mapping[str, Any] | None:
        return self.journal.progress().get(str(number))

    def _clean_up(self, number: int, part: Part, kept: Kept) -> None:
        facts = self._facts(number)
        if facts is None:
            return
        if "timeseries" in part.options:
            # It held nothing before, and its documents can't be deleted one by one.
            self.destination.collection(part.target).drop()
            if not facts["created"]:
                target_schema.create(self.plan, part, self.destination)
        target_schema.take_back(
            part, self.destination, created=facts["created"], indexes=facts["indexes"]
        )
        if kept.count:
            logger.warning(
                "the transfer %s is taken back, but %s",
                self.plan.name,
                kept.left(self.plan),
                extra={"event": "transfer_left", "transfer": self.plan.name},
            )
            return  # what is kept beside the journal may be wanted
        for kind in ("originals", "sources"):
            self.destination.collection(self.journal.side(kind, number)).drop()


def _each_once(ids: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    found = {key_of(one): one for one in ids}
    not_wanted = keys_of(others)
    return [one for key, one in found.items() if key not in not_wanted]


def _restoring(original: bytes, raw: bytes | None) -> Any:
    if raw is None or len(raw) + len(original) > _MOST_COMPARED_BYTES:
        return replacement(original)
    return ReplaceOne(same_as(raw), RawBSONDocument(original))


def _differ(originals: Mapping[bytes, bytes], there: Mapping[bytes, bytes], key: bytes) -> bool:
    return key not in originals or there.get(key) != originals[key]


def _alone(identifier: Any) -> bytes:
    return bson.encode({"_id": identifier}, codec_options=DECODED)
