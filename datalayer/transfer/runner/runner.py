"""Carries out a plan: copies range by range, builds the indexes, verifies, and deletes what was
moved. Each step is in the journal before and after, so that it can go on from anywhere."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pymongo.errors import OperationFailure
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from datalayer.failures.server_codes import ServerCode
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.errors import PAST_IS_GONE, fail_over
from datalayer.transfer.journal.entry import Entry
from datalayer.transfer.journal.journal import Journal
from datalayer.transfer.journal.lease import Lease
from datalayer.transfer.journal.range import Range, RangeState
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.raw.bson import key_of
from datalayer.transfer.raw.find import BEGINNING
from datalayer.transfer.raw.read_ahead import Batch, batches, how_many, keeps_order
from datalayer.transfer.runner import target_schema
from datalayer.transfer.runner.change_stream import Changes
from datalayer.transfer.runner.copier import Copier
from datalayer.transfer.runner.deleter import Mover
from datalayer.transfer.runner.follower import Follower
from datalayer.transfer.runner.throttle import Throttle
from datalayer.transfer.runner.verifier import Verifier
from datalayer.transfer.runner.workers import Item, OnProgress, Progress, Work, Workers
from datalayer.transfer.transform import transform_of

logger = logging.getLogger("datalayer.transfer")

_FAIL_OVERS = 5


class Runner:
    """Works on one transfer while it holds the lease."""

    def __init__(self, entry: Entry, journal: Journal, lease: Lease, tell: OnProgress) -> None:
        self.entry = entry
        self.plan: Plan = entry.plan
        self.journal = journal
        self.lease = lease
        self.tell = tell
        self.origin = Endpoint.of(self.plan.source)
        self.destination = Endpoint.of(self.plan.target)
        self.shapes = [transform_of(self.plan, part) for part in self.plan.parts]
        self.throttle = Throttle(self.plan.rate, self.plan.max_lag_seconds, self.destination)
        self.work = Workers(self.plan, journal, lease, tell)

    def run(self) -> None:
        """Do what is left to do.

        After a fail-over that the driver did not ride through, it goes on from the journal.
        """
        again = Retrying(
            stop=stop_after_attempt(_FAIL_OVERS),
            retry=retry_if_exception(fail_over),
            before_sleep=self._log_fail_over,
            reraise=True,
        )
        again(self._run)

    def _log_fail_over(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logger.warning(
            "the transfer %s met a fail-over (%s) and goes on",
            self.plan.name,
            type(error).__name__,
            extra={"event": "transfer_continued", "attempt": state.attempt_number},
        )

    def _run(self) -> None:
        self.work.check_skipped()
        self._note(state="running")
        for number, part in enumerate(self.plan.parts):
            self._prepare(number, part)
        # The targets have to be there at that time: the server looks for their indexes then.
        past = self._past()
        self.work.begin(self.journal.totals()["copied"])
        for number, part in enumerate(self.plan.parts):
            self._copy(number, part, past)
        if not self.plan.follow:
            self._build_indexes()
            self._verify_all(_still_known(past, self.plan) or self.origin, "copied", "verified")
        elif not self._cut_over():
            return
        if self.plan.move:
            self.work.begin(0)
            for number, part in enumerate(self.plan.parts):
                self._delete(number, part)
        self.judge()

    def verify(self) -> None:
        """Compare everything again that was copied."""
        self._verify_all(self.origin, "copied", "verified", "deleting", "deleted")
        if self.entry.state in ("done", "drifted"):
            self.judge()

    def judge(self) -> None:
        """Note whether both sides are as the plan wants them."""
        self._note(state="drifted" if self._drifted() else "done")

    def _drifted(self) -> bool:
        found = self.journal.totals()
        return any(found[name] for name in ("missing", "differing", "gone", "left")) or any(
            self._progress_of(n).get("new") for n in range(len(self.plan.parts))
        )

    # Steps

    def _prepare(self, number: int, part: Part) -> None:
        if not self._progress_of(number):
            facts = {
                "created": not target_schema.exists(self.destination, part.target),
                "indexes": target_schema.missing_indexes(self.plan, part, self.destination),
                "read": False,
            }
            self._note(progress={str(number): facts})
        with self.lease.time():
            target_schema.create(self.plan, part, self.destination)

    def _past(self) -> Endpoint:
        """The source, as the plan wants it read: as it was when the run began, or as it is."""
        if not (self.plan.snapshot or self.plan.follow):
            return self.origin
        begun_at = self.journal.progress().get("begun_at")
        if begun_at is None:
            with self.lease.time():
                begun_at = self.origin.time()
            self._note(progress={"begun_at": begun_at})
        return self.origin.as_of(begun_at) if self.plan.snapshot else self.origin

    def _copy(self, number: int, part: Part, past: Endpoint) -> None:
        copier = Copier(
            self.plan, part, number, past, self.destination, self.shapes[number], self.journal
        )

        def write(each: Range, batch: Batch | None) -> Range:
            return copier.write(each, batch)

        if unfinished := [(each, None) for each in self.journal.ranges(number, "copying")]:
            self._write(part, unfinished, write)
        if self._progress_of(number)["read"]:
            return
        last = self.journal.last(number)
        after = BEGINNING if last is None else last.ids[-1]
        following = 0 if last is None else last.number + 1
        known = self._known(number) if keeps_order(part) else set()
        with batches(past, part, self.plan, after, known) as read:
            self._write(part, self._entered(copier, read, following), write)
        self._note(progress={f"{number}.read": True})

    def _write(self, part: Part, items: Iterable[Item], write: Work) -> None:
        self.work.on("copy", items, write, ahead=True, in_order=keeps_order(part))

    def _known(self, number: int) -> set[bytes]:
        return {key_of(one) for each in self.journal.ranges(number) for one in each.ids}

    def _entered(self, copier: Copier, read: Iterator[Batch], following: int) -> Iterator[Item]:
        for number, batch in enumerate(read, following):
            self.throttle.wait(len(batch.ids))
            with self.lease.time():
                each = copier.range_of(batch, number)
            yield each, batch

    def _build_indexes(self, *, what_can_be: bool = False) -> None:
        for number, part in enumerate(self.plan.parts):
            with self.lease.time():
                indexes = self._progress_of(number).get("indexes", [])
            try:
                target_schema.build_indexes(part, indexes, self.destination)
            except OperationFailure as exc:
                if not what_can_be or exc.code != ServerCode.DuplicateKey:
                    raise

    def _cut_over(self) -> bool:
        """Follow until the cut-over, if that is still to come; whether both sides were the same
        then. Never again after it: what a move deletes since is not to be followed."""
        progress = self.journal.progress()
        if progress.get("cut_over") == "done":
            return True
        self._follow(progress)
        self._build_indexes()
        self._verify_all(self.origin, "copied")
        if self._drifted():
            self._note(state="drifted", progress={"cut_over": None})
            return False
        self._note(progress={"cut_over": "done"})
        return True

    def _follow(self, progress: Mapping[str, Any]) -> None:
        """Carry changes over until somebody asks for the cut-over, and then what is left."""
        self._note(state="following")
        begun_at, token = progress["begun_at"], progress.get("token")
        follower = Follower(
            self.plan, self.origin, self.destination, self.shapes, self.journal, self.lease,
            self.throttle, progress.get("followed", 0),
        )  # fmt: skip
        with Changes.since(self.origin, self.plan, begun_at, token) as changes:
            follower.catch_up(changes)
            # Now, so that little is left to do at the cut-over. Documents read at different
            # times can hold the same value of a unique index: that is built in the end.
            self._build_indexes(what_can_be=True)
            self._verify_all(self.origin, "copied")
            while self.journal.progress().get("cut_over") != "asked":
                follower.step(changes)
                self.tell(Progress(self.plan.name, "follow", follower.count, None))
            follower.catch_up(changes)

    def _verify_all(self, origin: Endpoint, *states: RangeState) -> None:
        self.work.begin(0)
        for number, part in enumerate(self.plan.parts):
            self._verify(number, part, origin, states)

    def _verify(
        self, number: int, part: Part, origin: Endpoint, states: Iterable[RangeState]
    ) -> None:
        verifier = Verifier(self.plan, part, origin, self.destination, self.shapes[number])
        items = ((each, None) for each in self.journal.ranges(number, *states))
        self.work.on("verify", items, lambda each, _: verifier.verify(each), ahead=False)
        with self.lease.time():
            selected = how_many(origin, part)
        new = max(selected - self.journal.totals(number)["here"], 0)
        self._note(progress={f"{number}.new": new})

    def _delete(self, number: int, part: Part) -> None:
        mover = Mover(
            self.plan, part, number, self.origin, self.destination, self.shapes[number],
            self.journal,
        )  # fmt: skip
        items = (
            (each.now("deleting"), None)
            for each in self.journal.ranges(number, "verified", "deleting")
        )
        self.work.on("delete", items, lambda each, _: mover.delete(each), ahead=True)

    def _note(self, state: str | None = None, progress: dict[str, Any] | None = None) -> None:
        with self.lease.time():
            self.journal.write(state=state, progress=progress)

    def _progress_of(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.journal.progress().get(str(number), {})
        return found


def _still_known(past: Endpoint, plan: Plan) -> Endpoint | None:
    """``past`` if the server has it still, to compare with."""
    try:
        for part in plan.parts:
            past.collection(part.source).find_one({}, {"_id": True})
    except OperationFailure as exc:
        if exc.code in PAST_IS_GONE:
            return None
        raise
    return past
