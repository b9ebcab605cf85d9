"""How much of the outbox is read at a time: batches of bounded size, in the order of delivery."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

from datalayer.outbox.entries import Entry, Unreadable, raw, read

_BATCH = 200
BATCH_BYTES = 16 * 1024 * 1024
"""As much as one document may have: memory is bounded by that, and transactions stay short."""
_ENOUGH_BYTES = BATCH_BYTES // 2
"""With so much a batch ends, rather than read another document that may not fit in any more."""


def batches(
    outbox: Any, query: Callable[[], Mapping[str, Any]]
) -> Iterator[list[Entry | Unreadable]]:
    """What the outbox holds, in the order of delivery, and never more of it at a time than
    ``BATCH_BYTES`` or one document."""
    after: Any = {}
    while True:
        batch = _batch(raw(outbox).find({"_id": {"$gt": after}, **query()}).sort("_id", 1))
        if not batch:
            return
        after = batch[-1].id
        yield batch
        batch.clear()  # before the next one is read


def _batch(cursor: Any) -> list[Entry | Unreadable]:
    batch: list[Entry | Unreadable] = []
    size = 0
    with closing(cursor.limit(_BATCH)) as found:
        for stored in found:
            size += len(stored.raw)
            if batch and size > BATCH_BYTES:
                break
            batch.append(read(stored))
            if size > _ENOUGH_BYTES:
                break
    return batch
