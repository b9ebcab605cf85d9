"""However much waits, a pass holds no more of it in memory than a batch of bounded size."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from deliveries import Note, arrived, outbox, send

from datalayer import db
from datalayer.outbox import batches
from datalayer.outbox.entries import Entry
from datalayer.settings import Settings

LIMIT = 100_000


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", LIMIT)


def send_large(count: int, size: int) -> None:
    for number in range(count):
        db.outbox.add(Note(name="x" * size, number=number), key="large")


def sizes_of(batch: list[Any]) -> list[int]:
    return [len(entry.document.raw) for entry in batch if isinstance(entry, Entry)]


def test_the_limit_is_the_size_of_the_largest_document() -> None:
    assert batches.BATCH_BYTES == 16 * 1024 * 1024


@pytest.mark.usefixtures("small_batches")
def test_a_batch_holds_no_more_bytes_than_the_limit(databases: Settings) -> None:
    send_large(7, size=LIMIT // 3)
    found = [sizes_of(batch) for batch in batches.batches(outbox(), dict)]
    assert [len(sizes) for sizes in found] == [2, 2, 2, 1]
    assert all(sum(sizes) <= LIMIT for sizes in found)


@pytest.mark.usefixtures("small_batches")
def test_a_larger_document_is_a_batch_of_its_own(databases: Settings) -> None:
    send_large(2, size=LIMIT * 2)
    send(1, key="large", name="small")
    assert [len(batch) for batch in batches.batches(outbox(), dict)] == [1, 1, 1]
    assert db.outbox.deliver().delivered == 3
    assert arrived("small") == [1]


@pytest.mark.usefixtures("small_batches")
def test_a_batch_is_given_up_before_the_next_is_read(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_large(6, size=LIMIT // 3)
    alive: list[weakref.ref[Any]] = []
    held: list[int] = []
    read_batch = batches._batch

    def counted(cursor: Any) -> list[Any]:
        gc.collect()
        held.append(sum(each() is not None for each in alive))
        batch = read_batch(cursor)
        alive.extend(weakref.ref(entry) for entry in batch)
        return batch

    monkeypatch.setattr(batches, "_batch", counted)
    assert db.outbox.deliver().delivered == 6
    assert held == [0] * 4
