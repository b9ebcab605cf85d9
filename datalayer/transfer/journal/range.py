"""A range: the documents of a transfer that are worked on, and noted in the journal, at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import bson

from datalayer.transfer.codecs import DECODED
from datalayer.transfer.raw.bson import exactly, key_of, keys_of
from datalayer.transfer.raw.object_ids import ObjectIds, packed

RangeState = Literal["copying", "copied", "verified", "deleting", "deleted", "restoring"]
MARK_SIZE = 8


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
    marks: bytes = b""
    """Of each document that was the same on both sides before a move deletes it from the source,
    in the order of ``ids``; zeros for others. Empty where it isn't a move."""

    def now(self, state: RangeState, **changes: Any) -> Range:
        """The range in its next state."""
        return replace(self, state=state, **changes)

    def written(self) -> Sequence[Any]:
        """The ids of the documents that the run wrote into the target."""
        if not self.skipped:
            return self.ids
        skipped = keys_of(self.skipped)
        return [one for one in self.ids if key_of(one) not in skipped]

    def marked(self) -> dict[bytes, bytes]:
        """The marks by the keys of their ids."""
        marks = (self.marks[at : at + MARK_SIZE] for at in range(0, len(self.marks), MARK_SIZE))
        return {key_of(one): mark for one, mark in zip(self.ids, marks, strict=False) if any(mark)}

    def settled(self) -> dict[str, Any]:
        """What never changes once the range is entered."""
        ids = packed(self.ids)
        stored = ids.joined if isinstance(ids, ObjectIds) else list(ids)
        return {"ids": stored, "ids_checksum": checksum_of(ids)}

    def changing(self) -> dict[str, Any]:
        """What isn't settled when the range is entered."""
        changing = {name: getattr(self, name) for name in _CHANGING}
        return {**changing, "lists_checksum": checksum_of(self.skipped, self.replaced)}

    @classmethod
    def of(cls, part: int, number: int, stored: Mapping[str, Any]) -> Range:
        """The range as the journal has it.

        Raises:
            KeyError, TypeError, ValueError: where it isn't as it was entered.
        """
        ids = stored["ids"]
        ids = ObjectIds(ids) if isinstance(ids, bytes) else packed(_ids_of(ids))
        changing = {
            name: stored[name] for name in _CHANGING if name not in _ADDED or name in stored
        }
        for name in _LISTS:
            changing[name] = _ids_of(changing[name])
        found = cls(part, number, ids, **changing)
        found._check(stored)
        return found

    def _check(self, stored: Mapping[str, Any]) -> None:
        wrong = (
            self.state not in get_args(RangeState)
            or not isinstance(self.digest, str | None)
            or any(not isinstance(getattr(self, name), int) for name in COUNTS)
            or stored.get("ids_checksum") not in (None, checksum_of(self.ids))
            or stored.get("lists_checksum") not in (None, checksum_of(self.skipped, self.replaced))
        )
        if wrong:
            raise ValueError("not as it was entered")


def checksum_of(*lists: Sequence[Any]) -> str:
    """Tells whether lists of ids are the same."""
    checksum = hashlib.sha256()
    for ids in lists:
        if isinstance(ids, ObjectIds):
            checksum.update(ids.joined)
        else:
            checksum.update(bson.encode({"ids": list(ids)}, codec_options=DECODED))
    return checksum.hexdigest()


def mark_of(raw: bytes) -> bytes:
    """A few bytes that tell one state of a document from others."""
    return hashlib.blake2b(raw, digest_size=MARK_SIZE).digest()


def _ids_of(stored: Any) -> list[Any]:
    if not isinstance(stored, list):
        raise TypeError("not a list")
    return list(map(exactly, stored))


_SETTLED = frozenset({"part", "number", "ids"})
_CHANGING = tuple(each.name for each in fields(Range) if each.name not in _SETTLED)
_LISTS = ("skipped", "replaced", "left")
COUNTS = ("count", "missing", "differing", "gone", "here")
_ADDED = frozenset({"marks"})
"""Ranges that an earlier version entered are without."""
