"""A TCP proxy before one MongoDB server that fails as networks do, when a test tells it to.

with FaultyProxy(mongod.hosts[0]) as proxy:
    client = MongoClient(proxy.uri_for("name"))
    proxy.hang()
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from time import sleep
from types import TracebackType
from typing import TypeAlias

_PORTS = range(20_000, 32_000)  # below the range of outgoing connections
_HEADER = struct.Struct("<iiii")  # length, request id, response to, operation
_OP_MSG = 2013
_NAME_AT = _HEADER.size + 10  # after flags, section kind, document length and element type
_RESET = struct.pack("ii", 1, 0)
Pump: TypeAlias = Callable[[socket.socket, socket.socket], None]


class FaultyProxy:
    """Forwards whole messages between its clients and the server at ``target``, ``host:port``."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._lock = threading.Lock()  # guards _listener, _live and _lost
        self._live: set[socket.socket] = set()
        self._lost: _LostReply | None = None
        self._flowing = threading.Event()
        self._flowing.set()
        self._delay_seconds = 0.0
        self._listener, self.port = _listen_somewhere()
        self._accept_from(self._listener)

    def __enter__(self) -> FaultyProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def uri_for(self, database: str) -> str:
        """A direct connection, since the set's members announce their own addresses."""
        return f"mongodb://127.0.0.1:{self.port}/{database}?directConnection=true"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        with self._lock:
            return len(self._live) // 2

    # Faults

    def restore(self) -> None:
        """Forward everything again, what was held up too."""
        self._delay_seconds = 0.0
        with self._lock:
            self._lost = None
            if self._listener.fileno() < 0:
                self._listener = _listen(self.port)
                self._accept_from(self._listener)
        self._flowing.set()

    def refuse(self) -> None:
        """Refuse new connections and cut the present ones: the server is down."""
        with self._lock:
            _close(self._listener)
        self.cut()

    def hang(self) -> None:
        """Accept connections and forward nothing: the server or the network hangs."""
        self._flowing.clear()

    def cut(self) -> None:
        """Reset the present connections. New ones work."""
        with self._lock:
            cut, self._live = self._live, set()
        for end in cut:
            _close(end)

    def delay(self, seconds: float) -> None:
        """Forward each message only after ``seconds``, in both directions."""
        self._delay_seconds = seconds

    def swallow_reply(
        self, to: str, nth: int = 1, *, times: int = 1, cut: bool = True
    ) -> threading.Event:
        """Lose the reply to the ``nth`` command ``to`` from now on: the server has done it.

        And to those that follow it, ``times`` in all. The client's connection is reset too,
        unless ``cut`` is false: then the client waits. Returns an event that is set when the
        last of the replies has been lost.
        """
        with self._lock:
            self._lost = _LostReply(to.encode(), nth, times, cut)
            return self._lost.happened

    def close(self) -> None:
        """End the proxy and its connections."""
        self.refuse()
        self._flowing.set()

    # Inside

    def _accept_from(self, listener: socket.socket) -> None:
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, 10)
        except OSError:
            _close(client)
            return
        server.settimeout(None)
        with self._lock:
            self._live |= {client, server}
        for pump in (self._pump_requests, self._pump_replies):
            threading.Thread(target=self._run, args=[pump, client, server], daemon=True).start()

    def _run(self, pump: Pump, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            pump(client, server)
        with self._lock:
            self._live -= {client, server}
        _close(client)
        _close(server)

    def _pump_requests(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            message = self._receive(client)
            with self._lock:
                if self._lost:
                    self._lost.note_request(client, message)
            server.sendall(message)

    def _pump_replies(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            message = self._receive(server)
            with self._lock:
                lost = self._lost if self._lost and self._lost.is_meant(client, message) else None
                if lost:
                    lost.note_lost()
                    if lost.happened.is_set():
                        self._lost = None
            if not lost:
                client.sendall(message)
                continue
            if lost.cut:
                return

    def _receive(self, end: socket.socket) -> bytes:
        header = _read(end, _HEADER.size)
        message = header + _read(end, _HEADER.unpack(header)[0] - _HEADER.size)
        if self._delay_seconds:
            sleep(self._delay_seconds)
        self._flowing.wait()
        return message


class _LostReply:
    """Which replies to lose: those to the ``nth`` command of a name and the following ones."""

    def __init__(self, command: bytes, nth: int, times: int, cut: bool) -> None:
        self.cut = cut
        self.happened = threading.Event()
        self._command = command + b"\0"
        self._before = nth - 1
        self._times = times
        self._requests: set[tuple[socket.socket, int]] = set()

    def note_request(self, client: socket.socket, message: bytes) -> None:
        _, request_id, _, operation = _HEADER.unpack_from(message)
        if operation == _OP_MSG and message.startswith(self._command, _NAME_AT):
            if self._before:
                self._before -= 1
            else:
                self._requests.add((client, request_id))

    def is_meant(self, client: socket.socket, message: bytes) -> bool:
        return (client, _HEADER.unpack_from(message)[2]) in self._requests

    def note_lost(self) -> None:
        self._times -= 1
        if not self._times:
            self.happened.set()


def _listen_somewhere() -> tuple[socket.socket, int]:
    for port in random.sample(_PORTS, 100):
        with suppress(OSError):
            return _listen(port), port
    raise OSError("no free port")


def _listen(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=128)


def _close(end: socket.socket) -> None:
    """Close at once, with a reset, also while another thread waits in a call on it."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    with suppress(OSError):
        # Wakes the thread; shutting down both directions would say a polite goodbye instead.
        end.shutdown(socket.SHUT_RD)
    end.close()


def _read(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = end.recv(size - len(data))
        if not chunk:
            raise ConnectionError("closed")
        data += chunk
    return data
