"""How many documents a cursor asks for: by their weight and the way to the server, unless its
caller says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mongoengine
import pytest
from bson import decode_all
from fresh_databases import connected, model_registry, settings_for
from mongoengine.fields import IntField, StringField
from observing import SentCommands, commands_sent
from pymongo import CursorType

from datalayer import db
from datalayer.connections import batch_sizes
from datalayer.connections.batch_sizes import (
    BYTES,
    MOST_BYTES,
    Batch,
    bytes_to_ask_for,
    documents_to_ask_for,
)
from datalayer.documents import BusinessDocument, accelerate
from datalayer.documents.engine.compile.c_core import core
from datalayer.embedded import EmbeddedMongo

COUNT = 4_000
with model_registry():

    class Page(BusinessDocument):
        n = IntField()
        text = StringField()

        meta = {"collection": "sized_pages"}

    class Plain(mongoengine.Document):
        n = IntField()

        meta = {"collection": "sized_pages", "strict": False}


@pytest.fixture(scope="module")
def sent(mongod: EmbeddedMongo) -> Iterator[SentCommands]:
    """What is sent for documents of a kilobyte each."""
    with commands_sent() as heard, model_registry(Page), connected(settings_for(mongod)):
        Page.objects.insert([Page(n=n, text="x" * 900) for n in range(COUNT)])
        yield heard


@pytest.fixture(autouse=True)
def every_server_is_near(monkeypatch: pytest.MonkeyPatch, sent: SentCommands) -> None:
    """However busy the machine is that runs the tests."""
    monkeypatch.setattr(batch_sizes, "_NEAR_SECONDS", 600.0)
    sent.clear()


def asked(sent: SentCommands) -> list[int | None]:
    return [each.get("batchSize") for each in sent.commands if "getMore" in each]


def is_sized(batch_size: int | None) -> bool:
    """Whether so many documents of a kilobyte are one batch."""
    return batch_size is not None and 900 < batch_size < 1_200


# Pure


def test_a_near_servers_batch_weighs_a_megabyte() -> None:
    assert bytes_to_ask_for(1e12, 0.0) == BYTES


def test_a_batch_of_a_far_server_is_used_ten_times_as_long_as_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_sizes, "_NEAR_SECONDS", 0.001)
    assert bytes_to_ask_for(100e6, 0.005) == 5_000_000


def test_slow_use_asks_for_no_more_of_a_far_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_sizes, "_NEAR_SECONDS", 0.001)
    assert bytes_to_ask_for(1e5, 0.05) == BYTES


def test_no_batch_weighs_more_than_a_server_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_sizes, "_NEAR_SECONDS", 0.001)
    assert bytes_to_ask_for(1e9, 1.0) == MOST_BYTES


def test_as_many_documents_are_asked_for_as_weigh_a_batch() -> None:
    last = Batch(size_bytes=100_000, count=100, arrived=1.0)
    assert documents_to_ask_for(last, 1e8, 0.0) == BYTES // 1_000


def test_at_least_one_document_is_asked_for() -> None:
    last = Batch(size_bytes=15_000_000, count=1, arrived=1.0)
    assert documents_to_ask_for(last, 1e8, 0.0) == 1


def test_time_that_did_not_pass_is_no_fault() -> None:
    last = Batch(size_bytes=100_000, count=100, arrived=1.0)
    assert last.rate_until(1.0) > 1e9


def test_the_rate_is_that_of_the_time_since_a_batch_came() -> None:
    assert Batch(size_bytes=100_000, count=100, arrived=1.0).rate_until(3.0) == 50_000


def test_a_far_server_decides_where_nothing_was_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert documents_to_ask_for(None, 0.0, 0.0) == 1_000
    monkeypatch.setattr(batch_sizes, "_NEAR_SECONDS", 0.001)
    assert documents_to_ask_for(None, 0.0, 0.02) == 0


# On a server


def test_a_queryset_asks_for_batches_of_a_megabyte(sent: SentCommands) -> None:
    assert [page.n for page in Page.objects.no_cache()] == list(range(COUNT))
    assert [is_sized(each) for each in asked(sent)] == [True] * 4
    assert "batchSize" not in sent.commands[0]


@pytest.mark.skipif(core is None, reason="the part in C has cursors of its own for them")
def test_accelerated_documents_of_mongoengine_do_too(sent: SentCommands) -> None:
    accelerate()
    try:
        assert [page.n for page in Plain.objects] == list(range(COUNT))
    finally:
        accelerate(False)
    assert [is_sized(each) for each in asked(sent)] == [True] * 4


def test_as_pymongo_does_too(sent: SentCommands) -> None:
    assert len(list(Page.objects.as_pymongo())) == COUNT
    assert [is_sized(each) for each in asked(sent)] == [True] * 4


def test_a_limit_is_kept(sent: SentCommands) -> None:
    assert len(list(Page.objects.limit(1_500).as_pymongo())) == 1_500
    first, second = asked(sent)
    assert is_sized(first)
    assert second == 1_500 - 101 - (first or 0)


def test_the_callers_batch_size_is_kept(sent: SentCommands) -> None:
    assert len(list(Page.objects.batch_size(1_900).as_pymongo())) == COUNT
    assert asked(sent) == [1_900, 1_900]


def test_an_aggregation_asks_for_such_batches_once_one_was_weighed(sent: SentCommands) -> None:
    assert len(list(Page.objects.aggregate([]))) == COUNT
    assert asked(sent)[0] == 1_000
    assert is_sized(asked(sent)[1])


def test_the_callers_batch_size_of_an_aggregation_is_kept(sent: SentCommands) -> None:
    assert len(list(Page.objects.batch_size(1_900).aggregate([]))) == COUNT
    assert asked(sent) == [1_900, 1_900]


@pytest.mark.parametrize("ways", ["find_raw_batches", "aggregate_raw_batches"])
def test_raw_batches_are_of_that_size(sent: SentCommands, ways: str) -> None:
    collection: Any = Page._get_collection()
    query: Any = {} if ways == "find_raw_batches" else []
    batches = list(getattr(collection, ways)(query))
    assert sum(len(decode_all(each)) for each in batches) == COUNT
    assert is_sized(asked(sent)[-1])


def test_a_far_server_is_asked_for_more(
    sent: SentCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_sizes, "_NEAR_SECONDS", 0.001)
    monkeypatch.setattr(batch_sizes, "_round_trip_seconds", lambda cursor: 600.0)
    assert len(list(Page.objects.as_pymongo())) == COUNT
    assert len(asked(sent)) == 1


def test_a_cursor_that_was_wound_back_begins_with_the_servers_batch(sent: SentCommands) -> None:
    cursor = Page._get_collection().find()
    assert len(list(cursor)) == COUNT
    sent.clear()
    assert len(list(cursor.rewind())) == COUNT
    assert "batchSize" not in sent.commands[0]
    assert len(asked(sent)) == 4


def test_a_tailable_cursor_is_left_alone(sent: SentCommands) -> None:
    Page._get_db().create_collection("tail", capped=True, size=2**22)
    tail = Page._get_db()["tail"]
    tail.insert_many([{"text": "x" * 900} for _ in range(300)])
    sent.clear()
    with tail.find(cursor_type=CursorType.TAILABLE) as cursor:
        assert sum(1 for _ in zip(range(300), cursor, strict=False)) == 300
    assert asked(sent) == [None]


def test_a_change_stream_by_hand_is_left_alone(replset: EmbeddedMongo) -> None:
    with commands_sent() as heard, model_registry(Page), connected(settings_for(replset)):
        changes = Page._get_collection().aggregate([{"$changeStream": {}}])
        Page(n=1).save()
        assert changes.try_next() is not None
        changes.close()
        assert set(asked(heard)) == {None}


@pytest.mark.usefixtures("sent")
def test_a_transaction_reads_batches_of_that_size(replset: EmbeddedMongo) -> None:
    with commands_sent() as heard, model_registry(Page), connected(settings_for(replset)):
        Page.objects.insert([Page(n=n, text="x" * 900) for n in range(COUNT)])
        with db.transaction("default"):
            assert len(list(Page.objects.as_pymongo())) == COUNT
        assert [is_sized(each) for each in asked(heard)] == [True] * 4
