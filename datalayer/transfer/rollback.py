"""Takes back what a transfer wrote: first puts documents back into the source, and sees that they
are there, then removes them from the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne
from pymongo.errors import BulkWriteError

from datalayer.errors import TransferError
from datalayer.server_codes import ServerCode
from datalayer.transfer import carrying
from datalayer.transfer.copy import replacement
from datalayer.transfer.exact import id_of, key_of, keys_of
from datalayer.transfer.ids import pieces
from datalayer.transfer.journal import Journal
from datalayer.transfer.lease import Lease
from datalayer.transfer.moving import AT_ONCE
from datalayer.transfer.places import Place
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.ranges import Range
from datalayer.transfer.reading import by_id
from datalayer.transfer.shaping import shape_of, unshape_of
from datalayer.transfer.verify import Verifier
from datalayer.transfer.workers import OnProgress, Progress

__all__ = ["Rollback"]


class Rollback:
    """Takes back one transfer while it holds the lease. Doing it again goes on with it."""

    def __init__(
        self, plan: Plan, journal: Journal, lease: Lease, tell: OnProgress, *, force: bool
    ) -> None:
        self.plan = plan
        self.journal = journal
        self.lease = lease
        self.tell = tell
        self.force = force
        self.origin = Place.of(plan.source)
        self.destination = Place.of(plan.target)
        self._done = 0

    def run(self) -> None:
        """Take back all ranges, then options, indexes and the collections beside."""
        parts = list(enumerate(self.plan.parts))
        if not self.force:
            for number, part in parts:
                self._check_unchanged(number, part)
        with self.lease.time():
            self.journal.write(state="rolling_back")
        for number, part in parts:
            for each in self.journal.ranges(number):
                self._take_back(number, part, each)
        for number, part in parts:
            with self.lease.time():
                self._clean_up(number, part)
        with self.lease.time():
            self.journal.write(state="rolled_back")
            self.journal.forget_ranges()

    def _check_unchanged(self, number: int, part: Part) -> None:
        """Refuse to take back documents that the target's applications have changed since."""
        verifier = Verifier(self.plan, part, self.origin, self.destination, shape_of(self.plan))
        for each in self.journal.ranges(number, "verified", "deleting", "deleted"):
            with self.lease.time():
                changed = each.digest is not None and verifier.digest(each) != each.digest
            if changed:
                raise TransferError(
                    f"documents of {part.target!r} on {self.plan.target!r} have changed since "
                    "they were verified; --force takes them back all the same, as they are now",
                    alias=self.plan.target,
                )

    def _take_back(self, number: int, part: Part, each: Range) -> None:
        if each.state in ("deleting", "deleted", "restoring"):
            with self.lease.time():
                self.journal.write([each.now("restoring")])
                self._put_back(number, part, each)
        with self.lease.time():
            self._remove(number, part, each)
            self.journal.write([each.now("copying", ids=each.ids, digest=None)])
        self._done += len(each.ids)
        self.tell(
            Progress(self.plan.name, "roll back", self._done, max(self._done, self.plan.count))
        )

    def _put_back(self, number: int, part: Part, each: Range) -> None:
        """Insert into the source what is not there, and read it back."""
        left = keys_of(each.left)
        ids = [one for one in each.ids if key_of(one) not in left]
        for piece in pieces(ids, AT_ONCE):
            originals = self._originals(number, part, piece)
            if not originals:
                continue
            try:
                self.origin.raw(part.source).bulk_write(
                    [InsertOne(RawBSONDocument(raw)) for raw in originals], ordered=False
                )
            except BulkWriteError as exc:
                if any(
                    each["code"] != ServerCode.DuplicateKey for each in exc.details["writeErrors"]
                ):
                    raise
            present = {key_of(id_of(raw)) for raw in by_id(self.origin, part.source, piece, None)}
            if any(key_of(id_of(raw)) not in present for raw in originals):
                raise TransferError(
                    f"documents could not be put back into {part.source!r} on "
                    f"{self.plan.source!r}: a unique index is in the way; nothing was removed "
                    "from the target",
                    alias=self.plan.source,
                )

    def _originals(self, number: int, part: Part, ids: Sequence[Any]) -> list[bytes]:
        unshape = unshape_of(self.plan)
        if unshape is None:
            return by_id(self.destination, self.journal.side("sources", number), ids, None)
        return [unshape(raw) for raw in by_id(self.destination, part.target, ids, None)]

    def _remove(self, number: int, part: Part, each: Range) -> None:
        """Remove from the target what the run wrote, and bring back what it replaced."""
        replaced = keys_of(each.replaced)
        ids = [one for one in each.written() if key_of(one) not in replaced]
        if "timeseries" in part.options:
            return  # dropped as a whole in the end
        for piece in pieces(ids, AT_ONCE):
            self.destination.collection(part.target).delete_many({"_id": {"$in": list(piece)}})
        if each.replaced:
            side = self.journal.side("originals", number)
            originals = by_id(self.destination, side, each.replaced, None)
            if originals:
                self.destination.raw(part.target).bulk_write(
                    [replacement(raw) for raw in originals], ordered=False
                )

    def _clean_up(self, number: int, part: Part) -> None:
        facts = self.journal.progress().get(str(number))
        if facts is None:
            return
        if "timeseries" in part.options:
            # It held nothing before, and its documents can't be deleted one by one.
            self.destination.collection(part.target).drop()
            if not facts["created"]:
                carrying.create(self.plan, part, self.destination)
        carrying.take_back(
            part, self.destination, created=facts["created"], indexes=facts["indexes"]
        )
        for kind in ("originals", "sources"):
            self.destination.collection(self.journal.side(kind, number)).drop()
