"""Inserting documents as bytes: what arrives, what is refused, and what a lost reply leaves."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import bson
import pytest
from bson import ObjectId
from moving import Databases, nonzero, plan, raw
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure

from datalayer import db, transfer
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.errors import fail_over
from datalayer.transfer.raw.insert import insert
from datalayer.transfer.runner import copier

MIB = 2**20


def encoded(*documents: dict[str, Any]) -> list[bytes]:
    return [bson.encode(each) for each in documents]


def numbered(count: int, text: str = "") -> list[bytes]:
    return encoded(*({"_id": number, "text": text} for number in range(count)))


def commands_sent() -> int:
    return db.get("archive").status()["commands"]["total"] - 1  # the status' own ping


def test_documents_arrive_byte_for_byte_in_one_command(databases: Databases) -> None:
    documents = encoded(
        {"_id": 1, "twice": {"b": 1, "a": [None, 2.5, {"c": ObjectId()}]}},
        {"_id": "2", "": b"\x00\x01"},
        {"_id": {"a": 3}},
    )
    before = commands_sent()
    insert(Endpoint.of("archive"), "messages", documents)
    assert commands_sent() - before == 2  # with the first status' own
    assert raw(databases["archive"].messages) == documents


def test_more_than_a_message_takes_is_sent_in_several(databases: Databases) -> None:
    documents = numbered(5, "x" * 7 * MIB)
    insert(Endpoint.of("archive"), "messages", documents)
    assert raw(databases["archive"].messages) == documents


def test_a_document_of_the_largest_size_is_taken(databases: Databases) -> None:
    documents = numbered(2, "x" * (16 * MIB - 100))
    insert(Endpoint.of("archive"), "messages", documents)
    assert raw(databases["archive"].messages) == documents


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_pieces_hold_at_most_as_many_documents_as_the_server_takes(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("datalayer.transfer.raw.insert._MOST_DOCUMENTS", most)
    insert(Endpoint.of("archive"), "messages", numbered(5))
    assert raw(databases["archive"].messages) == numbered(5)


@pytest.mark.parametrize("most", [2, 100])
def test_refused_documents_are_named_by_their_place_and_stop_no_others(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("datalayer.transfer.raw.insert._MOST_DOCUMENTS", most)
    databases["archive"].messages.insert_many([{"_id": 1}, {"_id": 4}])
    with pytest.raises(BulkWriteError) as caught:
        insert(Endpoint.of("archive"), "messages", numbered(6))
    errors = caught.value.details["writeErrors"]
    assert [(each["index"], each["code"], each["keyPattern"]) for each in errors] == [
        (1, 11000, {"_id": 1}),
        (4, 11000, {"_id": 1}),
    ]
    assert databases["archive"].messages.count_documents({}) == 6


def test_a_refused_command_raises_what_the_driver_raises(databases: Databases) -> None:
    databases["archive"].command("create", "view", viewOn="messages", pipeline=[])
    with pytest.raises(OperationFailure, match="view"):
        insert(Endpoint.of("archive"), "view", numbered(1))


@pytest.mark.parametrize(("code", "lost"), [(91, True), (189, True), (64, False)])
def test_documents_without_a_majority_are_told_as_such(
    databases: Databases, code: int, lost: bool
) -> None:
    admin = db.get("archive").client.admin
    unconfirmed = {
        "failCommands": ["insert"], "writeConcernError": {"code": code, "errmsg": "canary"},
    }  # fmt: skip
    admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=unconfirmed)
    with pytest.raises(BulkWriteError) as caught:
        insert(Endpoint.of("archive"), "messages", numbered(2))
    assert [each["code"] for each in caught.value.details["writeConcernErrors"]] == [code]
    assert fail_over(caught.value) is lost


def test_after_a_lost_reply_each_document_is_there_once_and_counts_as_written(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases.fill(50)
    lost: list[int] = []

    def insert_and_lose(endpoint: Endpoint, collection: str, documents: Sequence[bytes]) -> None:
        insert(endpoint, collection, documents)
        if not lost:
            lost.append(len(documents))
            raise AutoReconnect("the reply is lost")

    monkeypatch.setattr(copier, "insert", insert_and_lose)
    report = transfer.run(plan(target="archive"))
    assert lost
    assert (report.state, report.verified, nonzero(report)) == ("done", 50, {})
    assert raw(databases["archive"].messages) == raw(databases["default"].messages)


def test_the_slow_command_log_tells_how_many_were_inserted(
    databases: Databases, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint.of("archive")
    monkeypatch.setattr(endpoint.connection.monitors.commands, "_slow_microseconds", 0)
    with caplog.at_level(logging.WARNING, logger="datalayer.commands"):
        insert(endpoint, "messages", numbered(7))
    assert [vars(each)["documents"] for each in caplog.records] == [7]
