"""Which documents are a transfer's own: still as it wrote them, or as a move has found them. All
others belong to somebody else, and a rollback leaves them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datalayer.transfer.job import Job
from datalayer.transfer.journal.range import Range, mark_of
from datalayer.transfer.raw.bson import digest_of, key_in, key_of, keys_of, split
from datalayer.transfer.raw.object_ids import pieces
from datalayer.transfer.runner.lookup import AT_ONCE, by_key
from datalayer.transfer.runner.verifier import plain, written


@dataclass(frozen=True)
class Ownership:
    """Whose the documents of one range are."""

    own: Mapping[bytes, bytes]
    """The marks of the target's documents that this transfer wrote, by their keys."""
    changed: Sequence[Any]
    """Ids whose documents in the target can't be told to be this transfer's: they were changed
    there since, or somebody else has put them there."""
    made_anew: Sequence[Any]
    """Ids that a move deleted from the source, and that have another document there now."""


def ownership_of(job: Job, each: Range) -> Ownership:
    """Which documents of a range belong to this transfer.

    A document is told by the mark that a move has taken of it, or by what the source has; in a
    range without marks, whose digest is still the same, it is what was verified.
    """
    found: dict[bytes, bytes] = {}
    marked = each.marked()
    vouched = _is_as_verified(job, each, found) and not marked
    not_sure = keys_of(each.ids if each.differing else each.left)
    own: dict[bytes, bytes] = {}
    changed: list[Any] = []
    for ids in pieces(each.written(), AT_ONCE):
        there = {key: found[key] for key in map(key_of, ids) if key in found}
        unsure = [
            one
            for one in ids
            if (mark := there.get(key := key_of(one))) is not None
            and mark != marked.get(key)
            and not (vouched and key not in not_sure)
        ]
        unlike = _unlike_the_source(job, unsure, there, vouched=vouched)
        changed += unlike
        own |= {key: there[key] for key in there.keys() - keys_of(unlike)}
    restored = _restored(job, each, changed, found)
    return Ownership(
        own,
        [one for one in changed if key_of(one) not in restored] + _not_kept(job, each, marked),
        [one for ids in pieces(moved_ids(job, each), AT_ONCE) for one in made_anew(job, ids)],
    )


def count(job: Job, ranges: Iterable[Range]) -> int:
    """How many documents there are of ``ranges`` in the target."""
    return sum(1 for each in ranges for _ in split(written(job, each)))


def moved_ids(job: Job, each: Range) -> Sequence[Any]:
    """The ids that a move has deleted from the source, or was about to."""
    if each.state not in ("deleting", "deleted", "restoring"):
        return []
    left = keys_of(each.left)
    return [one for one in each.ids if key_of(one) not in left] if left else each.ids


def originals_of(job: Job, ids: Sequence[Any]) -> dict[bytes, bytes]:
    """What a move has deleted from the source, made again from what there is in the target."""
    inverse = job.inverse
    if inverse is None:
        return by_key(job.destination, job.kept_collection("sources"), ids)
    found = by_key(job.destination, job.part.target, ids)
    return {key: inverse(raw) for key, raw in found.items() if key == key_in(raw)}


def made_anew(job: Job, ids: Sequence[Any]) -> list[Any]:
    """Those of ``ids`` with another document in the source than a move deleted there."""
    here = by_key(job.origin, job.part.source, ids)
    if not here:
        return []
    originals = originals_of(job, [one for one in ids if key_of(one) in here])
    return [
        one
        for one in ids
        if (key := key_of(one)) in here and originals.get(key, here[key]) != here[key]
    ]


def _is_as_verified(job: Job, each: Range, found: dict[bytes, bytes]) -> bool:
    """Whether the target's documents have the digest of then; enters their marks."""

    def noted() -> Iterator[bytes]:
        for raw in split(written(job, each)):
            compared = plain(job, raw)
            found[key_in(raw)] = mark_of(compared)
            yield compared

    return digest_of(noted()) == each.digest


def _unlike_the_source(
    job: Job, ids: Sequence[Any], there: Mapping[bytes, bytes], *, vouched: bool
) -> list[Any]:
    here = by_key(job.origin, job.part.source, ids) if ids else {}
    return [
        one
        for one in ids
        if not _is_like(job, here.get(key_of(one)), there[key_of(one)], vouched=vouched)
    ]


def _is_like(job: Job, original: bytes | None, mark: bytes, *, vouched: bool) -> bool:
    if original is None:
        return vouched  # it was in the target when that was verified, and no longer here
    return mark_of(plain(job, job.transform(original))) == mark


def _restored(
    job: Job, each: Range, changed: Sequence[Any], found: Mapping[bytes, bytes]
) -> Collection[bytes]:
    """The keys of those that hold again what was replaced."""
    replaced = keys_of(each.replaced) & keys_of(changed)
    if not replaced:
        return replaced
    wanted = [one for one in changed if key_of(one) in replaced]
    kept = by_key(job.destination, job.kept_collection("originals"), wanted)
    return {key for key, raw in kept.items() if mark_of(raw) == found[key]}


def _not_kept(job: Job, each: Range, marked: Mapping[bytes, bytes]) -> list[Any]:
    """Ids that a move deleted from the source as the target had the same document already, and
    has another now."""
    if not (each.skipped and marked) or job.inverse is None:
        return []
    moved = keys_of(moved_ids(job, each))
    ids = [one for one in each.skipped if (key := key_of(one)) in moved and key in marked]
    there = by_key(job.destination, job.part.target, ids) if ids else {}
    return [
        one
        for one in ids
        if (raw := there.get(key := key_of(one))) is None or mark_of(raw) != marked[key]
    ]
