"""Carries changes of the source over to the target, each document in its latest state, so that
doing it again does no harm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import DeleteOne, InsertOne
from pymongo.errors import BulkWriteError

from datalayer.errors import TransferError
from datalayer.throttle import Throttle
from datalayer.transfer.errors import foreign_documents, index_in_the_way
from datalayer.transfer.job import Job
from datalayer.transfer.journal.lease import Lease
from datalayer.transfer.journal.range import Range
from datalayer.transfer.raw.bson import id_of, key_in, key_of, keys_of
from datalayer.transfer.raw.insert import replacement
from datalayer.transfer.raw.read_ahead import Batch, documents_at_once
from datalayer.transfer.runner.change_stream import ChangeReader, Changes
from datalayer.transfer.runner.copier import check_duplicates_only, range_of
from datalayer.transfer.runner.lookup import by_id, ids_present

_ATTEMPTS = 5
_NOTED_EVERY_SECONDS = 10.0
_PATIENCE_SECONDS = 60.0


@dataclass
class Follower:
    """Brings one transfer's target up to date, again and again."""

    jobs: Sequence[Job]
    lease: Lease
    throttle: Throttle
    count: int = 0
    """How many changes of documents were carried over."""
    _noted: float = 0.0

    def step(self, reader: ChangeReader) -> Changes | None:
        """Carry over what has changed, waiting a little for it; ``None`` where nothing has."""
        with self.lease.time():
            changes = reader.read(min(documents_at_once(job.part, job.plan) for job in self.jobs))
        if changes is not None:
            self._carry(changes)
        elif reader.token and monotonic() - self._noted > _NOTED_EVERY_SECONDS:
            self._note(reader.token)  # to keep up with the oplog while nothing happens
        return changes

    def catch_up(self, reader: ChangeReader) -> None:
        """Carry over everything that has happened until now.

        Raises:
            TransferError: when the source tells of nothing new for a minute.
        """
        with self.lease.time():
            now = self.jobs[0].origin.time()
            mark = reader.mark(now)
        reached, since = reader.token, monotonic()
        while (changes := self.step(reader)) is not None or not reader.has_reached(mark):
            if changes is not None and changes.time > now:
                return
            if reader.token != reached:
                reached, since = reader.token, monotonic()
            elif monotonic() - since > _PATIENCE_SECONDS:
                raise _nothing_new(self.jobs[0].plan.source)

    def _carry(self, changes: Changes) -> None:
        self.throttle.wait(changes.count)
        for number, ids in changes.ids.items():
            # Reads see the changes also on a primary that has only just become one.
            job = self.jobs[number]
            job = replace(job, origin=job.origin.since(changes.time))
            with self.lease.time():
                known, skipped = job.journal.touch(number, ids)
                mine = [one for one in ids if key_of(one) in known - skipped]
                entered = _enter(job, [one for one in ids if key_of(one) not in known])
                _Writing(job, entered).write(mine)
        self.count += changes.count
        self._note(changes.token)

    def _note(self, token: Mapping[str, Any]) -> None:
        self.lease.note(progress={"token": dict(token), "followed": self.count})
        self._noted = monotonic()


def _enter(job: Job, ids: Sequence[Any]) -> Range | None:
    """Enter a range for those of ``ids`` that are to be copied from now on."""
    found = ids_present(job.origin, job.part.source, ids, job.part) if ids else []
    if not found:
        return None
    last = job.journal.last(job.number)
    entered = range_of(job, Batch(found), 0 if last is None else last.number + 1)
    entered = entered.now("copied")
    job.journal.write(new=[entered])
    return entered


class _Writing:
    """Writes documents of one part in the state that they have in the source."""

    def __init__(self, job: Job, entered: Range | None) -> None:
        self.job = job
        self.target = job.destination.raw(job.part.target)
        self.entered = entered
        self.new = entered.written() if entered else []
        self.absent = keys_of(self.new) - keys_of(entered.replaced if entered else ())
        """Of documents that nobody but this transfer may put into the target."""

    def write(self, ids: Sequence[Any]) -> None:
        """Write those of ``ids`` and the new ones."""
        ids = [*ids, *self.new]
        for _ in range(_ATTEMPTS):
            found = by_id(self.job.origin, self.job.part.source, ids, self.job.part)
            here = {key_in(raw): raw for raw in found}
            # First, for those of other ids that the target takes for the same.
            gone = [DeleteOne({"_id": one}) for one in ids if key_of(one) not in here]
            if gone:
                self.target.bulk_write(gone, ordered=False)
            ids = [one for one in ids if key_of(one) in here]
            if not ids:
                return
            try:
                self.target.bulk_write(
                    [self._request(one, here[key_of(one)]) for one in ids], ordered=False
                )
            except BulkWriteError as exc:
                ids = self._after(ids, exc)
            else:
                return
        raise TransferError(
            f"a unique index of {self.job.part.target!r} on {self.job.plan.target!r} is in the "
            "way of changes; resume when the source changes less",
            alias=self.job.plan.target,
        )

    def _request(self, identifier: Any, raw: bytes) -> Any:
        raw = self.job.transform(raw)
        absent = key_of(identifier) in self.absent
        return InsertOne(RawBSONDocument(raw)) if absent else replacement(raw)

    def _after(self, ids: Sequence[Any], exc: BulkWriteError) -> list[Any]:
        """What to write after documents were refused.

        Two documents that have exchanged a value of a unique index can't be written one after
        the other: those that hold what another needs are removed, and written again with it.
        """
        errors = exc.details["writeErrors"]
        check_duplicates_only(self.job, exc, ids.__getitem__)
        failed = [ids[each["index"]] for each in errors]
        foreign = [
            one for one, each in zip(failed, errors, strict=True) if "_id" in each["keyPattern"]
        ]
        if foreign and self.entered is not None:
            skipped = [*self.entered.skipped, *foreign]
            self.job.journal.write([self.entered.now("copied", skipped=skipped)])
            raise foreign_documents(self.job.plan)
        self.absent &= keys_of(failed)
        again = [*ids, *self._without_holders(errors)]
        return list({key_of(one): one for one in again}.values())

    def _without_holders(self, errors: Iterable[Mapping[str, Any]]) -> list[Any]:
        """Remove the documents that hold values of unique indexes; their ids."""
        holders: list[Any] = []
        for error in errors:
            query = {name: {"$eq": value} for name, value in error["keyValue"].items()}
            found = [id_of(bytes(each.raw)) for each in self.target.find(query, {"_id": True})]
            known, skipped = self.job.journal.touch(self.job.number, found)
            if not found or keys_of(found) - (known - skipped):
                raise index_in_the_way(self.job.plan, self.job.part, error)
            holders += found
        self.target.delete_many({"_id": {"$in": holders}})
        self.absent -= keys_of(holders)
        return holders


def _nothing_new(source: str) -> TransferError:
    return TransferError(
        f"the changes of {source!r} have not come for {_PATIENCE_SECONDS:g} s: a member of "
        "its cluster is behind the others, or can't reach them; resume when they have the same",
        alias=source,
    )
