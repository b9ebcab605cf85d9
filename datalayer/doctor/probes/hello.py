"""One ``hello`` over an open socket, without the driver: it needs no credentials, and tells who
answers."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping

import bson
from bson.errors import InvalidBSON

# OP_MSG of the wire protocol: a header of four integers, flags, one section of kind 0.
_HEADER = struct.Struct("<iiii")
_OP_MSG = 2013
_FLAGS_AND_KIND = b"\0\0\0\0\0"
_LARGEST = 1_000_000  # bytes; an answer to hello has a few hundred


class NotMongoDB(Exception):
    """What came back is not MongoDB's protocol."""


def say_hello(connection: socket.socket, question: Mapping[str, object]) -> dict[str, object]:
    """What the server says of itself; ``question`` is added to the command.

    Each read waits for as long as the socket's own time-out.

    Raises:
        NotMongoDB: for an answer in another protocol.
        OSError: for none: a time-out, or a connection that is closed.
    """
    message = _FLAGS_AND_KIND + bson.encode({"hello": 1, **question, "$db": "admin"})
    connection.sendall(_HEADER.pack(_HEADER.size + len(message), 1, 0, _OP_MSG) + message)
    length, _, _, operation = _HEADER.unpack(_read(connection, _HEADER.size))
    if operation != _OP_MSG or not _HEADER.size < length < _LARGEST:
        raise NotMongoDB
    body = _read(connection, length - _HEADER.size)
    try:
        return bson.decode(body[len(_FLAGS_AND_KIND) :])
    except InvalidBSON:
        raise NotMongoDB from None


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part and data:
            raise NotMongoDB
        if not part:
            raise ConnectionResetError("the connection was closed")
        data += part
    return data
