"""Compares documents on both sides, byte by byte, and keeps a digest of each range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import bson

from datalayer.transfer.exact import (
    DECODED,
    digest_of,
    id_of,
    key_of,
    keys_of,
    split,
)
from datalayer.transfer.ids import are_of
from datalayer.transfer.places import Place
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.ranges import Range
from datalayer.transfer.raw_find import documents_of
from datalayer.transfer.reading import raw_between, raw_by_id
from datalayer.transfer.shaping import Shape

__all__ = ["Verifier"]


@dataclass(frozen=True)
class Verifier:
    """Compares the ranges of one part."""

    plan: Plan
    part: Part
    origin: Place
    destination: Place
    shape: Shape

    def verify(self, each: Range) -> Range:
        """The range as verified, with what was found of differences.

        Of a range that was deleted from the source, the target's documents are compared with
        the digest taken before, and the source has to be without them.
        """
        if each.state in ("deleting", "deleted"):
            return self._verify_deleted(each)
        plain = not (self.plan.reshapes or self._unordered or each.skipped)
        if plain and (documents := self._all_the_same(each)):
            return _found_same(each, documents, len(documents), gone=0)
        there = b"".join(raw_by_id(self.destination, self.part.target, each.ids, None))
        here = b"".join(raw_by_id(self.origin, self.part.source, each.ids, self.part))
        if plain and here == there:
            count = _count(there)
            # On both sides, as it should be where changes are followed.
            gone = 0 if self.plan.follow else len(each.ids) - count
            return _found_same(each, [there], count, gone)
        return self._compared(each, _by_key(split([here])), _by_key(split([there])))

    def _all_the_same(self, each: Range) -> list[bytes] | None:
        """The range's documents, where they are the same on both sides, and the only ones between
        the first and the last. Quicker for the servers than to look for each."""
        there = raw_between(self.destination, self.part.target, each.ids, None)
        if there is None:
            return None
        documents = documents_of(there)
        if not are_of(documents, each.ids):
            return None
        here = raw_between(self.origin, self.part.source, each.ids, self.part)
        return documents if here == there else None

    def _compared(
        self, each: Range, here: Mapping[bytes, bytes], there: Mapping[bytes, bytes]
    ) -> Range:
        skipped = keys_of(each.skipped)
        missing = differing = same = gone = 0
        for identifier in each.ids:
            key = key_of(identifier)
            original, copied = here.get(key), there.get(key)
            if original is None:
                gone += not self.plan.follow or (copied is not None and key not in skipped)
            elif copied is None:
                missing += 1
            elif self._plain(self.shape(original)) == self._plain(copied):
                same += 1
            elif key not in skipped:
                differing += 1
        mine = (self._plain(raw) for key, raw in there.items() if key not in skipped)
        return each.now(
            "verified",
            digest=digest_of(mine),
            count=same,
            missing=missing,
            differing=differing,
            gone=gone,
            here=len(each.ids) - gone,
        )

    def _verify_deleted(self, each: Range) -> Range:
        digest = self.digest(each)
        left = keys_of(each.left)
        deleted = [one for one in each.ids if key_of(one) not in left]
        back = _count(b"".join(raw_by_id(self.origin, self.part.source, deleted, None)))
        differing = 0 if digest == each.digest else len(each.ids)
        return each.now(each.state, differing=max(differing, back))

    def digest(self, each: Range) -> str:
        """Of what the run wrote of this range, as it is in the target now."""
        found = raw_by_id(self.destination, self.part.target, each.written(), None)
        return digest_of(map(self._plain, split(found)) if self._unordered else found)

    @property
    def _unordered(self) -> bool:
        """Whether the server gives the fields of a document back in an order of its own."""
        return "timeseries" in self.part.options

    def _plain(self, raw: bytes) -> bytes:
        """The form in which two documents that are the same have the same bytes."""
        if not self._unordered:
            return raw
        fields = bson.decode(raw, DECODED)
        return bson.encode(dict(sorted(fields.items())), codec_options=DECODED)


def _found_same(each: Range, documents: Iterable[bytes], count: int, gone: int) -> Range:
    return each.now(
        "verified",
        digest=digest_of(documents),
        count=count,
        missing=0,
        differing=0,
        gone=gone,
        here=count,
    )


def _by_key(documents: Any) -> dict[bytes, bytes]:
    return {key_of(id_of(raw)): raw for raw in documents}


def _count(documents: bytes) -> int:
    return sum(1 for _ in split([documents]))
