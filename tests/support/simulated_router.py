"""A router of a sharded cluster, as far as drivers and datalayer ask it: it remembers which
collections were sharded, and holds no documents. There is no ``mongos`` to test with."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import bson

__all__ = ["SimulatedRouter"]

# https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
_HEADER = struct.Struct("<iiii")
_REPLY, _QUERY, _MESSAGE = 1, 2004, 2013
Command = Mapping[str, Any]


class SimulatedRouter:
    """Answers on a port of its own from ``with SimulatedRouter() as router`` on."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[str, Any]] = {}
        """What ``config.collections`` holds, by the name with its database."""
        self.indexes: list[tuple[str, dict[str, Any]]] = []
        """The collections and keys of the indexes that were built, in order."""
        self.documents: dict[str, int] = {"shard-a": 3, "shard-b": 4}
        """How many of each collection's are on each shard."""
        self.refused: dict[str, int] = {}
        """The error codes of commands that are refused."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.router = self

    @property
    def uri(self) -> str:
        """Names the database ``shop``."""
        return f"mongodb://127.0.0.1:{self._server.server_address[1]}/shop"

    def __enter__(self) -> SimulatedRouter:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, command: Command) -> dict[str, Any]:
        """The reply to a command."""
        name = next(iter(command))
        if name in self.refused:
            code = self.refused[name]
            return {"ok": 0, "code": code, "errmsg": "refused", "codeName": "Refused"}
        act: Callable[[Command], dict[str, Any]] | None = getattr(self, f"_{name.lower()}", None)
        if act is None:
            return {"ok": 0, "code": 59, "errmsg": f"no such command: {name}"}
        return {"ok": 1, **act(command)}

    def _hello(self, command: Command) -> dict[str, Any]:
        return {
            "ismaster": True,
            "isWritablePrimary": True,
            "helloOk": True,
            "msg": "isdbgrid",
            "maxBsonObjectSize": 16 * 2**20,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "minWireVersion": 0,
            "maxWireVersion": 17,
            "logicalSessionTimeoutMinutes": 30,
        }

    _ismaster = _hello

    def _ping(self, command: Command) -> dict[str, Any]:
        return {}

    _endsessions = _ping

    def _explain(self, command: Command) -> dict[str, Any]:
        return {"serverInfo": {"version": "6.0.5"}}

    def _find(self, command: Command) -> dict[str, Any]:
        assert (command["$db"], command["find"]) == ("config", "collections")
        bounds = command["filter"]["_id"]
        found = [
            {"_id": name, **stored}
            for name, stored in self.collections.items()
            if bounds["$gte"] <= name < bounds["$lt"]
        ]
        return _cursor("config.collections", found)

    def _aggregate(self, command: Command) -> dict[str, Any]:
        assert command["pipeline"] == [{"$collStats": {"storageStats": {}}}]
        found = [
            {"shard": shard, "storageStats": {"count": count}}
            for shard, count in self.documents.items()
        ]
        return _cursor(f"{command['$db']}.{command['aggregate']}", found)

    def _listcollections(self, command: Command) -> dict[str, Any]:
        return _cursor(f"{command['$db']}.$cmd.listCollections", [])

    _create = _ping

    def _createindexes(self, command: Command) -> dict[str, Any]:
        name = f"{command['$db']}.{command['createIndexes']}"
        self.indexes += [(name, dict(index["key"])) for index in command["indexes"]]
        return {}

    def _enablesharding(self, command: Command) -> dict[str, Any]:
        return {}

    def _shardcollection(self, command: Command) -> dict[str, Any]:
        # As a server stores it: numbers in a shard key come back as doubles.
        key = {n: kind if kind == "hashed" else float(kind) for n, kind in command["key"].items()}
        self.collections[command["shardCollection"]] = {"key": key} | {
            name: command[name] for name in ("collation",) if name in command
        }
        return {}

    def _refinecollectionshardkey(self, command: Command) -> dict[str, Any]:
        self.collections[command["refineCollectionShardKey"]]["key"] = dict(command["key"])
        return {}


def _cursor(namespace: str, documents: list[dict[str, Any]]) -> dict[str, Any]:
    return {"cursor": {"id": bson.Int64(0), "ns": namespace, "firstBatch": documents}}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    router: SimulatedRouter


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        for request, kind, body in self._messages():
            if kind == _QUERY:  # a driver's first greeting
                reply = struct.pack("<iqii", 8, 0, 0, 1) + self._answer(body, _behind_name(body))
                self._send(_REPLY, request, reply)
            else:
                self._send(_MESSAGE, request, struct.pack("<iB", 0, 0) + self._answer(body, 5))

    def _answer(self, body: bytes, at: int) -> bytes:
        (length,) = struct.unpack_from("<i", body, at)
        return bson.encode(self.server.router.answer(bson.decode(body[at : at + length])))

    def _send(self, kind: int, request: int, reply: bytes) -> None:
        self.request.sendall(_HEADER.pack(len(reply) + 16, 0, request, kind) + reply)

    def _messages(self) -> Iterator[tuple[int, int, bytes]]:
        while header := self._received(16):
            length, request, _, kind = _HEADER.unpack(header)
            yield request, kind, self._received(length - 16)

    def _received(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            try:
                part = self.request.recv(size - len(parts))
            except OSError:
                return b""
            if not part:
                return b""
            parts += part
        return parts


def _behind_name(body: bytes) -> int:
    """Where the document of an old query begins, behind its flags, collection and two numbers."""
    return body.index(b"\x00", 4) + 9
