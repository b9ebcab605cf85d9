"""Compares documents on both sides, byte by byte, and keeps a digest of each range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import bson

from datalayer.transfer.arrays import documents_in
from datalayer.transfer.exact import (
    DECODED,
    digest_of,
    id_of,
    key_of,
    keys_of,
    split,
)
from datalayer.transfer.ids import are_of, pieces
from datalayer.transfer.places import Place
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.ranges import Range
from datalayer.transfer.reading import compared_at_once, raw_between, raw_by_id
from datalayer.transfer.shaping import Shape

__all__ = ["Verifier"]

_COUNTS = ("count", "missing", "differing", "gone", "here")


@dataclass(frozen=True)
class _Found:
    """What the target holds of some documents of a range, and how that compares."""

    documents: Iterable[bytes]
    counts: Mapping[str, int]


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
        skipped = keys_of(each.skipped)
        counts: Counter[str] = Counter()

        def documents() -> Iterator[bytes]:
            for ids in self._pieces(each):
                found = self._compared(ids, skipped)
                counts.update(found.counts)
                yield from found.documents

        digest = digest_of(documents())
        return each.now("verified", digest=digest, **{name: counts[name] for name in _COUNTS})

    def _compared(self, ids: Sequence[Any], skipped: Set[bytes]) -> _Found:
        plain = not (self.plan.reshapes or self._unordered or skipped)
        if plain and (documents := self._all_the_same(ids)):
            # At once: that takes the digest less time, in which other threads may run.
            return _found_same([b"".join(documents)], len(documents), gone=0)
        there = b"".join(raw_by_id(self.destination, self.part.target, ids, None))
        here = b"".join(raw_by_id(self.origin, self.part.source, ids, self.part))
        if plain and here == there:
            count = _count(there)
            # On both sides, as it should be where changes are followed.
            return _found_same([there], count, 0 if self.plan.follow else len(ids) - count)
        return self._compared_one_by_one(
            ids, skipped, _by_key(split([here])), _by_key(split([there]))
        )

    def _all_the_same(self, ids: Sequence[Any]) -> list[bytes] | None:
        """The documents of ``ids``, where they are the same on both sides, and the only ones
        between the first and the last. Quicker for the servers than to look for each."""
        there = raw_between(self.destination, self.part.target, ids, None)
        if there is None:
            return None
        documents = documents_in(there)
        if not are_of(documents, ids):
            return None
        here = raw_between(self.origin, self.part.source, ids, self.part)
        return documents if here == there else None

    def _compared_one_by_one(
        self,
        ids: Sequence[Any],
        skipped: Set[bytes],
        here: Mapping[bytes, bytes],
        there: Mapping[bytes, bytes],
    ) -> _Found:
        missing = differing = same = gone = 0
        for identifier in ids:
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
        return _Found(
            [self._plain(raw) for key, raw in there.items() if key not in skipped],
            {
                "count": same,
                "missing": missing,
                "differing": differing,
                "gone": gone,
                "here": len(ids) - gone,
            },
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
        skipped = keys_of(each.skipped)

        def documents() -> Iterator[bytes]:
            for ids in self._pieces(each):  # as they were verified, whatever the target's order
                written = [one for one in ids if key_of(one) not in skipped] if skipped else ids
                yield from raw_by_id(self.destination, self.part.target, written, None)

        found = documents()
        return digest_of(map(self._plain, split(found)) if self._unordered else found)

    def _pieces(self, each: Range) -> Iterator[Sequence[Any]]:
        return pieces(each.ids, compared_at_once(self.part, self.plan))

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


def _found_same(documents: Iterable[bytes], count: int, gone: int) -> _Found:
    return _Found(documents, {"count": count, "gone": gone, "here": count})


def _by_key(documents: Any) -> dict[bytes, bytes]:
    return {key_of(id_of(raw)): raw for raw in documents}


def _count(documents: bytes) -> int:
    return sum(1 for _ in split([documents]))
