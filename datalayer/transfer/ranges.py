"""A range: the documents of a transfer that are worked on, and noted in the journal, at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from datalayer.transfer.exact import key_of, keys_of
from datalayer.transfer.ids import ObjectIds

__all__ = ["Range", "RangeState"]

RangeState = Literal["copying", "copied", "verified", "deleting", "deleted", "restoring"]


@dataclass(frozen=True)
class Range:
    """Some documents of one part, next to each other in the order of ``_id`` but for those that a
    followed transfer has added.

    It is in the journal before any of them is written, with the ids of them all: what a run
    wrote is known exactly, whatever else is written to the target.
    """

    part: int
    number: int
    ids: Sequence[Any]
    state: RangeState = "copying"
    skipped: Sequence[Any] = ()
    """Ids that the target held before, and that were left as they are."""
    replaced: Sequence[Any] = ()
    """Ids that the target held before; their documents are kept in a collection beside."""
    left: Sequence[Any] = ()
    """Ids that a move has left in the source, because they had changed."""
    digest: str | None = None
    """Of the documents in the target, as they were verified."""
    count: int = 0
    missing: int = 0
    differing: int = 0
    gone: int = 0
    """How many are no longer in the source, or no longer selected."""
    here: int = 0
    """How many are in the source."""

    def now(self, state: RangeState, **changes: Any) -> Range:
        """The range in its next state."""
        return replace(self, state=state, **changes)

    def written(self) -> Sequence[Any]:
        """The ids of the documents that the run wrote into the target."""
        if not self.skipped:
            return self.ids
        skipped = keys_of(self.skipped)
        return [one for one in self.ids if key_of(one) not in skipped]

    def changing(self) -> dict[str, Any]:
        """What isn't settled when the range is entered."""
        return {name: getattr(self, name) for name in _CHANGING}

    @classmethod
    def of(cls, part: int, number: int, stored: Mapping[str, Any]) -> Range:
        """The range as the journal has it."""
        ids = stored["ids"]
        if isinstance(ids, bytes):
            ids = ObjectIds(ids)
        return cls(part, number, ids, **{name: stored[name] for name in _CHANGING})


_SETTLED = frozenset({"part", "number", "ids"})
_CHANGING = tuple(each.name for each in fields(Range) if each.name not in _SETTLED)
