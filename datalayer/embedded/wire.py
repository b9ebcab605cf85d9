"""One MongoDB command over a connection of its own, without a client's threads and retries.

A client looks for its server every half second at best, too coarse for watching one start.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import Any

import bson

LOOPBACK = "127.0.0.1"

# OP_MSG of the wire protocol: a header of four integers, flags, one section of kind 0.
_HEADER = struct.Struct("<iiii")
_OP_MSG = 2013
_FLAGS_AND_KIND = b"\0\0\0\0\0"


def command(port: int, body: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """Run a command on the ``admin`` database of a server on this machine.

    ``timeout`` is in seconds, for each step of the exchange. Raises ``OSError`` when there is
    no answer; an answer may still say ``ok: 0``.
    """
    message = _FLAGS_AND_KIND + bson.encode({**body, "$db": "admin"})
    with socket.create_connection((LOOPBACK, port), timeout) as connection:
        connection.sendall(_HEADER.pack(_HEADER.size + len(message), 1, 0, _OP_MSG) + message)
        with connection.makefile("rb") as replies:
            header = _read(replies, _HEADER.size)
            reply = _read(replies, _HEADER.unpack(header)[0] - _HEADER.size)
    answer: dict[str, Any] = bson.decode(reply[len(_FLAGS_AND_KIND) :])
    return answer


def _read(replies: Any, size: int) -> bytes:
    data: bytes = replies.read(size)
    if len(data) < size:
        raise ConnectionError("the server closed the connection")
    return data
