"""Compares documents on both sides, byte by byte, and keeps a digest of each range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

import bson

from datalayer.transfer.codecs import DECODED
from datalayer.transfer.job import Job
from datalayer.transfer.journal.range import COUNTS, MARK_SIZE, Range, mark_of
from datalayer.transfer.raw.arrays import documents_in
from datalayer.transfer.raw.bson import digest_of, key_in, key_of, keys_of, split
from datalayer.transfer.raw.object_ids import are_of, pieces
from datalayer.transfer.raw.read_ahead import compared_at_once
from datalayer.transfer.runner.lookup import by_key, raw_between, raw_by_id

_WRONG = ("missing", "differing", "gone")


@dataclass(frozen=True)
class _Found:
    """What the target holds of some documents of a range, and how that compares."""

    documents: Iterable[bytes]
    counts: Mapping[str, int]
    vouched: Iterable[bytes]
    """The documents that were not seen to be another's."""


def verify(job: Job, each: Range) -> Range:
    """The range as verified, with what was found of differences.

    Of a range that was deleted from the source, the target's documents are compared with
    the digest taken before, and the source has to be without them.
    """
    if each.state in ("deleting", "deleted"):
        return _verify_deleted(job, each)
    skipped = keys_of(each.skipped)
    counts: Counter[str] = Counter()
    marks: dict[bytes, bytes] = {}

    def documents() -> Iterator[bytes]:
        for ids in pieces(each.ids, compared_at_once(job.part, job.plan)):
            found = _compared(job, ids, skipped)
            counts.update(found.counts)
            if job.plan.move:
                marks.update((key_in(raw), mark_of(raw)) for raw in split(found.vouched))
            yield from found.documents

    digest = digest_of(documents())
    verified = each.now("verified", **{name: counts[name] for name in COUNTS})
    if each.state == "verified" and any(counts[name] for name in _WRONG):
        # Rollback compares with what was found the first time, if all was as it should be.
        return verified.now("verified", digest=None) if each.differing else verified
    none = bytes(MARK_SIZE)
    in_order = b"".join([marks.get(key_of(one), none) for one in each.ids]) if marks else b""
    return verified.now("verified", digest=digest, marks=in_order)


def _compared(job: Job, ids: Sequence[Any], skipped: Set[bytes]) -> _Found:
    undisturbed = not (job.plan.reshapes or _unordered(job) or skipped)
    if undisturbed and (documents := _all_the_same(job, ids)):
        # At once: that takes the digest less time, in which other threads may run.
        return _found_same([b"".join(documents)], len(documents), gone=0)
    if undisturbed:
        there = b"".join(raw_by_id(job.destination, job.part.target, ids))
        if there == b"".join(raw_by_id(job.origin, job.part.source, ids, job.part)):
            count = _count(there)
            # On both sides, as it should be where changes are followed.
            return _found_same([there], count, 0 if job.plan.follow else len(ids) - count)
    return _compared_one_by_one(
        job,
        ids,
        skipped,
        by_key(job.origin, job.part.source, ids, job.part),
        by_key(job.destination, job.part.target, ids),
    )


def _all_the_same(job: Job, ids: Sequence[Any]) -> list[bytes] | None:
    """The documents of ``ids``, where they are the same on both sides, and the only ones
    between the first and the last. Quicker for the servers than to look for each."""
    there = raw_between(job.destination, job.part.target, ids)
    if there is None:
        return None
    documents = documents_in(there)
    if not are_of(documents, ids):
        return None
    here = raw_between(job.origin, job.part.source, ids, job.part)
    return documents if here == there else None


def _compared_one_by_one(
    job: Job,
    ids: Sequence[Any],
    skipped: Set[bytes],
    here: Mapping[bytes, bytes],
    there: Mapping[bytes, bytes],
) -> _Found:
    missing = same = gone = 0
    others: set[bytes] = set()
    for identifier in ids:
        key = key_of(identifier)
        original, copied = here.get(key), there.get(key)
        if original is None:
            gone += not job.plan.follow or (copied is not None and key not in skipped)
        elif copied is None:
            missing += 1
        elif plain(job, job.transform(original)) == plain(job, copied):
            same += 1
        elif key not in skipped:
            others.add(key)
    return _Found(
        [plain(job, raw) for key, raw in there.items() if key not in skipped],
        {
            "count": same,
            "missing": missing,
            "differing": len(others),
            "gone": gone,
            "here": len(ids) - gone,
        },
        [raw for key, raw in there.items() if key not in others],
    )


def _verify_deleted(job: Job, each: Range) -> Range:
    found = written(job, each)
    digest = digest_of(map(partial(plain, job), split(found)) if _unordered(job) else found)
    left = keys_of(each.left)
    deleted = [one for one in each.ids if key_of(one) not in left]
    back = _count(b"".join(raw_by_id(job.origin, job.part.source, deleted)))
    differing = 0 if digest == each.digest else len(each.ids)
    return each.now(each.state, differing=max(differing, back))


def written(job: Job, each: Range) -> Iterator[bytes]:
    """What the run wrote of this range, as it is in the target now, and as the server packs it."""
    skipped = keys_of(each.skipped)
    # As they were verified, whatever the target's order.
    for ids in pieces(each.ids, compared_at_once(job.part, job.plan)):
        ours = [one for one in ids if key_of(one) not in skipped] if skipped else ids
        yield from raw_by_id(job.destination, job.part.target, ours)


def _unordered(job: Job) -> bool:
    """Whether the server gives the fields of a document back in an order of its own."""
    return "timeseries" in job.part.options


def plain(job: Job, raw: bytes) -> bytes:
    """The form in which two documents that are the same have the same bytes."""
    if not _unordered(job):
        return raw
    fields = bson.decode(raw, DECODED)
    return bson.encode(dict(sorted(fields.items())), codec_options=DECODED)


def _found_same(documents: Iterable[bytes], count: int, gone: int) -> _Found:
    found = list(documents)
    return _Found(found, {"count": count, "gone": gone, "here": count}, found)


def _count(documents: bytes) -> int:
    return sum(1 for _ in split([documents]))
