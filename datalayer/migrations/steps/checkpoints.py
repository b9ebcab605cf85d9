"""How far has a step got? Noted in the database that it changes, by the runner whose token is the
latest, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError, PyMongoError

from datalayer.errors import DataLayerError, MigrationError, UnavailableError
from datalayer.migrations.steps.ranges import BEGINNING
from datalayer.migrations.steps.targets import Target

STEPS = "datalayer_migration_steps"


@dataclass(frozen=True)
class Done:
    """What a step has done so far."""

    batches: int = 0
    matched: int = 0
    changed: int = 0
    passed: int = 0
    """Documents that it went through."""
    seconds: float = 0.0
    after: Any = BEGINNING
    """The id behind which it goes on."""

    def plus(self, matched: int, changed: int, passed: int, seconds: float, after: Any) -> Done:
        """With one more batch."""
        return Done(
            self.batches + 1,
            self.matched + matched,
            self.changed + changed,
            self.passed + passed,
            self.seconds + seconds,
            after,
        )


class Checkpoint:
    """The note of one step."""

    def __init__(
        self,
        target: Target,
        id: str,
        facts: Mapping[str, Any],
        token: int,
        lost: Callable[[], DataLayerError],
    ) -> None:
        self.target = target
        self.id = id
        self.token = token
        self.done = Done()
        self.resumed = False
        """Whether an earlier run has begun the step."""
        self.finished = False
        self._facts = facts
        self._lost = lost

    def begin(self) -> None:
        """Note that the step begins, or take over what an earlier run has noted.

        Raises:
            MigrationError: where the earlier run has done something else as this step; where a
                later runner is at work.
        """
        stored = self.look()
        if stored is None:
            new = {"token": self.token, "finished": False, **self._facts, **_stored(Done())}
            mine = {"_id": self.id, "token": {"$lte": self.token}}
            try:
                self._steps.update_one(mine, {"$setOnInsert": new}, upsert=True)
            except DuplicateKeyError:
                raise self._lost() from None
            stored = self.look()
        else:
            self.resumed = True
        mine = {"_id": self.id, "token": {"$lte": self.token}}
        taken = self._steps.update_one(mine, {"$set": {"token": self.token}})
        if stored is None or not taken.matched_count:
            raise self._lost()

    def look(self) -> Mapping[str, Any] | None:
        """Read what is noted, if anything is.

        Raises:
            MigrationError: where it is about another step than this one.
        """
        stored: Mapping[str, Any] | None = self._steps.find_one({"_id": self.id})
        if stored is None:
            return None
        for name, value in self._facts.items():
            if stored.get(name) != value:
                raise self.target.error(
                    f"an earlier run has begun m.{stored.get('kind')}() of "
                    f"{stored.get('target')} as this step, and now it is "
                    f"m.{self._facts['kind']}() of {self._facts['target']}, or has other "
                    "arguments; bring the file back as it was, to end what it began"
                )
        self.done = Done(
            stored["batches"],
            stored["matched"],
            stored["changed"],
            stored["passed"],
            stored["seconds"],
            stored["after"][0] if stored["after"] else BEGINNING,
        )
        self.finished = stored["finished"]
        return stored

    def note(self, done: Done, *, finished: bool = False) -> None:
        """Note how far it has got; inside a transaction, as a part of that.

        Raises:
            MigrationError: where a later runner is at work.
            UnavailableError: where it was noted already, by an attempt whose reply was lost.
        """
        mine = {"_id": self.id, "token": self.token, "batches": self.done.batches}
        changes = {"$set": {**_stored(done), "finished": finished}}
        if self._steps.update_one(mine, changes).matched_count:
            return
        stored = self._steps.find_one({"_id": self.id}, {"token": True})
        if stored is None or stored["token"] != self.token:
            raise self._lost()
        raise UnavailableError(
            f"what was noted of {self.id} is not what this run has noted", alias=self.target.alias
        )

    def forget(self) -> None:
        """Drop the note of a step that has ended before it did anything: whoever corrects it may
        have it do something else."""
        if not self.resumed:
            with suppress(DataLayerError, PyMongoError):
                self._steps.delete_one({"_id": self.id, "token": self.token, "batches": 0})

    @property
    def _steps(self) -> Any:
        return self.target.beside(STEPS)


def lost_without_lease() -> MigrationError:
    """What to raise where another runner has taken over a step of one that has no lease."""
    return MigrationError("another runner is at work on this migration; leave it to that one")


def _stored(done: Done) -> dict[str, Any]:
    return {
        "batches": done.batches,
        "matched": done.matched,
        "changed": done.changed,
        "passed": done.passed,
        "seconds": done.seconds,
        "after": [] if done.after is BEGINNING else [done.after],  # in an array: it may be null
    }
