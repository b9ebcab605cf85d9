"""The proxy fails in the ways that it is told to, and in no other."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pymongo
import pytest
from faulty_proxy import FaultyProxy
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, NetworkTimeout, ServerSelectionTimeoutError

from datalayer.embedded import EmbeddedMongo

Client = MongoClient[dict[str, Any]]


@pytest.fixture
def proxy(mongod: EmbeddedMongo) -> Iterator[FaultyProxy]:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultyProxy, database_name: str) -> Iterator[Client]:
    """A client that has talked through the proxy and doesn't retry."""
    options: dict[str, Any] = {
        "retryReads": False,
        "retryWrites": False,
        # Closing a client looks for a server as long as this, to end its sessions.
        "serverSelectionTimeoutMS": 1000,
        "socketTimeoutMS": 5000,
    }
    with MongoClient[dict[str, Any]](proxy.uri_for(database_name), **options) as client:
        client.admin.command("ping")
        yield client


def test_its_port_is_below_the_range_of_outgoing_connections(proxy: FaultyProxy) -> None:
    assert proxy.port < 32768


def test_it_passes_messages_of_any_size_on(client: Client) -> None:
    documents = client.get_default_database().things
    documents.insert_one({"_id": 1, "text": "x" * 3_000_000})
    assert [len(found["text"]) for found in documents.find()] == [3_000_000]


def test_refusing_turns_new_connections_away(proxy: FaultyProxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), 5)


def test_refusing_makes_a_client_fail(proxy: FaultyProxy, client: Client) -> None:
    proxy.refuse()
    with pymongo.timeout(1), pytest.raises((AutoReconnect, ServerSelectionTimeoutError)):
        client.admin.command("ping")


def test_after_refusing_it_takes_connections_again(proxy: FaultyProxy, client: Client) -> None:
    proxy.refuse()
    proxy.restore()
    with pymongo.timeout(10):
        while True:
            try:
                assert client.admin.command("ping")["ok"] == 1
            except AutoReconnect:
                continue  # one of the pool's connections was cut
            break


def test_hanging_accepts_connections_and_answers_nothing(proxy: FaultyProxy) -> None:
    proxy.hang()
    with (
        MongoClient[dict[str, Any]](proxy.uri_for("any")) as client,
        pymongo.timeout(0.3),
        pytest.raises(ServerSelectionTimeoutError),
    ):
        client.admin.command("ping")
    assert proxy.connections > 0


def test_hanging_holds_up_live_connections_until_restored(
    proxy: FaultyProxy, client: Client
) -> None:
    proxy.hang()
    with pymongo.timeout(0.3), pytest.raises(NetworkTimeout):
        client.admin.command("ping")
    proxy.restore()
    with pymongo.timeout(10):
        assert client.admin.command("ping")["ok"] == 1


def test_a_cut_resets_live_connections_and_lets_new_ones_in(
    proxy: FaultyProxy, client: Client
) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as live:
        _wait_until_connected(proxy, live)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            live.recv(1)
    with MongoClient[dict[str, Any]](proxy.uri_for("any")) as other:
        assert other.admin.command("ping")["ok"] == 1


def test_a_delay_counts_in_each_direction(proxy: FaultyProxy, client: Client) -> None:
    proxy.delay(0.2)
    started = monotonic()
    client.admin.command("ping")
    assert monotonic() - started >= 0.4


def test_a_swallowed_reply_loses_the_answer_and_not_the_write(
    proxy: FaultyProxy, client: Client
) -> None:
    documents = client.get_default_database().things
    lost = proxy.swallow_reply("insert", nth=2)
    documents.insert_one({"_id": 1})
    with pytest.raises(AutoReconnect):
        documents.insert_one({"_id": 2})
    assert lost.is_set()
    assert [found["_id"] for found in documents.find().sort("_id")] == [1, 2]


def test_a_swallowed_reply_can_leave_the_client_waiting(
    proxy: FaultyProxy, client: Client
) -> None:
    documents = client.get_default_database().things
    proxy.swallow_reply("insert", cut=False)
    with pymongo.timeout(0.3), pytest.raises(NetworkTimeout):
        documents.insert_one({"_id": 1})
    assert documents.count_documents({"_id": 1}) == 1


def test_closing_it_ends_its_connections(mongod: EmbeddedMongo) -> None:
    with FaultyProxy(mongod.hosts[0]) as proxy, socket.socket() as live:
        live.settimeout(5)
        live.connect(("127.0.0.1", proxy.port))
        _wait_until_connected(proxy, live)
        proxy.close()
        with pytest.raises(ConnectionResetError):
            live.recv(1)


def _wait_until_connected(proxy: FaultyProxy, live: socket.socket) -> None:
    """Exchange one message, so that the proxy has surely taken this connection."""
    import bson

    body = b"\0\0\0\0\0" + bson.encode({"ping": 1, "$db": "admin"})
    live.sendall((16 + len(body)).to_bytes(4, "little") + b"\1\0\0\0\0\0\0\0\xdd\7\0\0" + body)
    assert live.recv(65536)
