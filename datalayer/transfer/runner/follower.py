"""Carries changes of the source over to the target, each document in its latest state, so that
doing it again does no harm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import DeleteOne, InsertOne
from pymongo.errors import BulkWriteError

from datalayer.errors import TransferError
from datalayer.failures.server_codes import ServerCode
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.errors import document_refused, foreign_documents, index_in_the_way
from datalayer.transfer.journal.journal import Journal
from datalayer.transfer.journal.lease import Lease
from datalayer.transfer.journal.range import Range
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.raw.bson import id_of, key_in, key_of, keys_of
from datalayer.transfer.raw.read_ahead import Batch, documents_at_once
from datalayer.transfer.runner.change_stream import Changes, Some
from datalayer.transfer.runner.copier import Copier, replacement
from datalayer.transfer.runner.lookup import by_id, ids_present
from datalayer.transfer.runner.throttle import Throttle
from datalayer.transfer.transform import RawTransform

_ATTEMPTS = 5
_NOTED_EVERY_SECONDS = 10.0
_PATIENCE_SECONDS = 60.0


@dataclass
class Follower:
    """Brings one transfer's target up to date, again and again."""

    plan: Plan
    origin: Endpoint
    destination: Endpoint
    shapes: Sequence[RawTransform]
    journal: Journal
    lease: Lease
    throttle: Throttle
    count: int = 0
    """How many changes of documents were carried over."""
    _noted: float = 0.0

    def step(self, changes: Changes) -> Some | None:
        """Carry over what has changed, waiting a little for it; ``None`` where nothing has."""
        with self.lease.time():
            some = changes.some(self._at_once)
        if some is not None:
            self._carry(some)
        elif changes.token and monotonic() - self._noted > _NOTED_EVERY_SECONDS:
            self._note(changes.token)  # to keep up with the oplog while nothing happens
        return some

    def catch_up(self, changes: Changes) -> None:
        """Carry over everything that has happened until now.

        Raises:
            TransferError: when the source tells of nothing new for a minute.
        """
        with self.lease.time():
            now = self.origin.time()
            mark = changes.mark(now)
        reached, since = changes.token, monotonic()
        while (some := self.step(changes)) is not None or not changes.have_reached(mark):
            if some is not None and some.time > now:
                return
            if changes.token != reached:
                reached, since = changes.token, monotonic()
            elif monotonic() - since > _PATIENCE_SECONDS:
                raise _nothing_new(self.plan)

    @property
    def _at_once(self) -> int:
        return min(documents_at_once(part, self.plan) for part in self.plan.parts)

    def _carry(self, some: Some) -> None:
        self.throttle.wait(some.count)
        # Reads see the changes also on a primary that has only just become one.
        origin = self.origin.since(some.time)
        for number, ids in some.ids.items():
            with self.lease.time():
                known, skipped = self.journal.touch(number, ids)
                mine = [one for one in ids if key_of(one) in known - skipped]
                entered = self._enter(number, [i for i in ids if key_of(i) not in known], origin)
                _Writing(self, number, origin, entered).write(mine)
        self.count += some.count
        self._note(some.token)

    def _enter(self, number: int, ids: Sequence[Any], origin: Endpoint) -> Range | None:
        """Enter a range for those of ``ids`` that are to be copied from now on."""
        part = self.plan.parts[number]
        found = ids_present(origin, part.source, ids, part) if ids else []
        if not found:
            return None
        last = self.journal.last(number)
        entered = Copier(
            self.plan, part, number, origin, self.destination, self.shapes[number], self.journal
        ).range_of(Batch(found, None), 0 if last is None else last.number + 1)
        entered = entered.now("copied")
        self.journal.write(new=[entered])
        return entered

    def _note(self, token: Mapping[str, Any]) -> None:
        with self.lease.time():
            self.journal.write(progress={"token": dict(token), "followed": self.count})
        self._noted = monotonic()


class _Writing:
    """Writes documents of one part in the state that they have in the source."""

    def __init__(
        self, follower: Follower, number: int, origin: Endpoint, entered: Range | None
    ) -> None:
        self.plan = follower.plan
        self.number = number
        self.part: Part = self.plan.parts[number]
        self.origin = origin
        self.journal = follower.journal
        self.shape = follower.shapes[number]
        self.target = follower.destination.raw(self.part.target)
        self.entered = entered
        self.new = entered.written() if entered else []
        self.absent = keys_of(self.new) - keys_of(entered.replaced if entered else ())
        """Of documents that nobody but this transfer may put into the target."""

    def write(self, ids: Sequence[Any]) -> None:
        """Write those of ``ids`` and the new ones."""
        ids = [*ids, *self.new]
        for _ in range(_ATTEMPTS):
            here = {
                key_in(raw): raw for raw in by_id(self.origin, self.part.source, ids, self.part)
            }
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
            f"a unique index of {self.part.target!r} on {self.plan.target!r} is in the way of "
            "changes; resume when the source changes less",
            alias=self.plan.target,
        )

    def _request(self, identifier: Any, raw: bytes) -> Any:
        if key_of(identifier) in self.absent:
            return InsertOne(RawBSONDocument(self.shape(raw)))
        return replacement(self.shape(raw))

    def _after(self, ids: Sequence[Any], exc: BulkWriteError) -> list[Any]:
        """What to write after documents were refused.

        Two documents that have exchanged a value of a unique index can't be written one after
        the other: those that hold what another needs are removed, and written again with it.
        """
        errors = exc.details["writeErrors"]
        for error in errors:
            if error["code"] != ServerCode.DuplicateKey:
                identifier = ids[error["index"]]
                raise document_refused(self.plan, self.part, identifier, error) from None
        if exc.details.get("writeConcernErrors"):
            raise exc
        failed = [ids[each["index"]] for each in errors]
        foreign = [
            one for one, each in zip(failed, errors, strict=True) if "_id" in each["keyPattern"]
        ]
        if foreign and self.entered is not None:
            skipped = [*self.entered.skipped, *foreign]
            self.journal.write([self.entered.now("copied", skipped=skipped)])
            raise foreign_documents(self.plan)
        self.absent &= keys_of(failed)
        return _each_once([*ids, *self._without_holders(errors)])

    def _without_holders(self, errors: Iterable[Mapping[str, Any]]) -> list[Any]:
        """Remove the documents that hold values of unique indexes; their ids."""
        holders: list[Any] = []
        for error in errors:
            query = {name: {"$eq": value} for name, value in error["keyValue"].items()}
            found = [id_of(bytes(each.raw)) for each in self.target.find(query, {"_id": True})]
            known, skipped = self.journal.touch(self.number, found)
            if not found or keys_of(found) - (known - skipped):
                raise index_in_the_way(self.plan, self.part, error)
            holders += found
        self.target.delete_many({"_id": {"$in": holders}})
        self.absent -= keys_of(holders)
        return holders


def _nothing_new(plan: Plan) -> TransferError:
    return TransferError(
        f"the changes of {plan.source!r} have not come for {_PATIENCE_SECONDS:g} s: a member of "
        "its cluster is behind the others, or can't reach them; resume when they have the same",
        alias=plan.source,
    )


def _each_once(ids: Iterable[Any]) -> list[Any]:
    return list({key_of(one): one for one in ids}.values())
