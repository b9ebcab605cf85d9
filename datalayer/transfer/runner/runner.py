"""Carries out a plan: copies range by range, builds the indexes, verifies, and deletes what was
moved. Each step is in the journal before and after, so that it can go on from anywhere."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pymongo.errors import OperationFailure
from tenacity import RetryCallState

from datalayer.errors import TransferError
from datalayer.failures.server_codes import ServerCode
from datalayer.retry import note_retry, retrying
from datalayer.throttle import Throttle
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.errors import PAST_IS_GONE, fail_over
from datalayer.transfer.job import Job, jobs_of
from datalayer.transfer.journal.entry import Entry
from datalayer.transfer.journal.lease import Lease
from datalayer.transfer.journal.range import RangeState
from datalayer.transfer.plan import Plan
from datalayer.transfer.raw.bson import key_of
from datalayer.transfer.raw.find import BEGINNING
from datalayer.transfer.raw.read_ahead import Batch, batches, how_many, keeps_order
from datalayer.transfer.runner import copier, deleter, target_schema, verifier
from datalayer.transfer.runner.change_stream import ChangeReader
from datalayer.transfer.runner.follower import Follower
from datalayer.transfer.runner.workers import Item, OnProgress, Progress, Workers

logger = logging.getLogger("datalayer.transfer")

_FAIL_OVERS = 5


class Runner:
    """Works on one transfer while it holds the lease."""

    def __init__(self, entry: Entry, lease: Lease, tell: OnProgress) -> None:
        self.entry = entry
        self.plan: Plan = entry.plan
        self.lease = lease
        self.journal = lease.journal
        self.tell = tell
        self.jobs = jobs_of(self.plan, lease)
        self.origin = Endpoint.of(self.plan.source)
        self.throttle = Throttle(
            self.plan.rate,
            self.plan.max_lag_seconds,
            self.jobs[0].destination.connection,
            partial(TransferError, alias=self.plan.target),
        )
        self.workers = Workers(self.plan, lease, tell)

    def run(self) -> None:
        """Do what is left to do.

        After a fail-over that the driver did not ride through, it goes on from the journal.
        """
        again = retrying(
            attempts=_FAIL_OVERS,
            retryable=fail_over,
            before_sleep=self._log_fail_over,
            pauses=False,
        )
        again(self._run)

    def _log_fail_over(self, state: RetryCallState) -> None:
        error = note_retry(state)
        logger.warning(
            "the transfer %s met a fail-over (%s) and goes on",
            self.plan.name,
            type(error).__name__,
            extra={"event": "transfer_continued", "attempt": state.attempt_number},
        )

    def _run(self) -> None:
        self.workers.check_skipped()
        self.lease.note(state="running")
        for job in self.jobs:
            self._prepare(job)
        # The targets have to be there at that time: the server looks for their indexes then.
        past = self._past()
        self.workers.begin(self.journal.totals()["copied"])
        for job in self.jobs:
            self._copy(replace(job, origin=past))
        if not self.plan.follow:
            self._build_indexes()
            self._verify(_still_known(past, self.plan) or self.origin, "copied", "verified")
        elif not self._cut_over():
            return
        if self.plan.move:
            self.workers.begin(0)
            for job in self.jobs:
                self._delete(job)
        self._note_outcome()

    def verify(self) -> None:
        """Compare everything again that was copied."""
        self._verify(self.origin, "copied", "verified", "deleting", "deleted")
        if self.entry.state in ("done", "drifted"):
            self._note_outcome()

    def _note_outcome(self) -> None:
        self.lease.note(state="drifted" if self._drifted() else "done")

    def _drifted(self) -> bool:
        """Whether the two sides are not as the plan wants them."""
        found = self.journal.totals()
        return any(found[name] for name in ("missing", "differing", "gone", "left")) or any(
            job.facts().get("new") for job in self.jobs
        )

    # Steps

    def _prepare(self, job: Job) -> None:
        if not job.facts():
            facts = {
                "created": not target_schema.exists(job.destination, job.part.target),
                "indexes": target_schema.missing_indexes(job),
                "read": False,
            }
            self.lease.note(progress={str(job.number): facts})
        with self.lease.time():
            target_schema.create(job)

    def _past(self) -> Endpoint:
        """The source, as the plan wants it read: as it was when the run began, or as it is."""
        if not (self.plan.snapshot or self.plan.follow):
            return self.origin
        begun_at = self.journal.progress().get("begun_at")
        if begun_at is None:
            with self.lease.time():
                begun_at = self.origin.time()
            self.lease.note(progress={"begun_at": begun_at})
        return self.origin.as_of(begun_at) if self.plan.snapshot else self.origin

    def _copy(self, job: Job) -> None:
        def write(items: Iterable[Item]) -> None:
            self.workers.run(
                "copy", items, partial(copier.write, job), ahead=True, in_order=in_order
            )

        in_order = keeps_order(job.part)
        if unfinished := [(each, None) for each in self.journal.ranges(job.number, "copying")]:
            write(unfinished)
        if job.facts()["read"]:
            return
        last = self.journal.last(job.number)
        after = BEGINNING if last is None else last.ids[-1]
        following = 0 if last is None else last.number + 1
        earlier = self.journal.ranges(job.number) if in_order else ()
        known = {key_of(one) for each in earlier for one in each.ids}
        with batches(job.origin, job.part, self.plan, after, known) as read:
            write(self._entered(job, read, following))
        self.lease.note(progress={f"{job.number}.read": True})

    def _entered(self, job: Job, read: Iterator[Batch], following: int) -> Iterator[Item]:
        for number, batch in enumerate(read, following):
            self.throttle.wait(len(batch.ids))
            with self.lease.time():
                each = copier.range_of(job, batch, number)
            yield each, batch

    def _build_indexes(self, *, what_can_be: bool = False) -> None:
        for job in self.jobs:
            with self.lease.time():
                indexes = job.facts().get("indexes", [])
            try:
                target_schema.build_indexes(job, indexes)
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
        self._verify(self.origin, "copied")
        if self._drifted():
            self.lease.note(state="drifted", progress={"cut_over": None})
            return False
        self.lease.note(progress={"cut_over": "done"})
        return True

    def _follow(self, progress: Mapping[str, Any]) -> None:
        """Carry changes over until somebody asks for the cut-over, and then what is left."""
        self.lease.note(state="following")
        begun_at, token = progress["begun_at"], progress.get("token")
        follower = Follower(self.jobs, self.lease, self.throttle, progress.get("followed", 0))
        with ChangeReader.since(self.origin, self.plan, begun_at, token) as reader:
            follower.catch_up(reader)
            # Now, so that little is left to do at the cut-over. Documents read at different
            # times can hold the same value of a unique index: that is built in the end.
            self._build_indexes(what_can_be=True)
            self._verify(self.origin, "copied")
            while self.journal.progress().get("cut_over") != "asked":
                follower.step(reader)
                self.tell(Progress(self.plan.name, "follow", follower.count, None))
            follower.catch_up(reader)

    def _verify(self, origin: Endpoint, *states: RangeState) -> None:
        self.workers.begin(0)
        for job in self.jobs:
            self._verify_part(replace(job, origin=origin), states)

    def _verify_part(self, job: Job, states: Iterable[RangeState]) -> None:
        items = ((each, None) for each in self.journal.ranges(job.number, *states))
        self.workers.run("verify", items, lambda each, _: verifier.verify(job, each), ahead=False)
        with self.lease.time():
            selected = how_many(job.origin, job.part)
        new = max(selected - self.journal.totals(job.number)["here"], 0)
        self.lease.note(progress={f"{job.number}.new": new})

    def _delete(self, job: Job) -> None:
        ranges = self.journal.ranges(job.number, "verified", "deleting")
        items = ((each.now("deleting"), None) for each in ranges)
        self.workers.run("delete", items, lambda each, _: deleter.delete(job, each), ahead=True)


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
