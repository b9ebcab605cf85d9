"""How large the batches of a cursor should be, and what it brings to ask for such.

    python -m benchmarks.batches [--small N] [--nested N] [--rounds N] [--delays MS ...]

Reads collections of small and of nested documents of MongoDB's ODM benchmark, as dictionaries and
as bytes, and prints Markdown: the client's processor time for batches of each size; the driver's
own batches against those that datalayer's cursors ask for, without and behind a proxy that delays
each answer; and a loop that works on each document, without and with reading ahead. All peers take
turns; the figures are the shortest of their rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection as Pipe
from time import perf_counter, process_time
from typing import Any

from bson import encode
from pymongo import MongoClient

from benchmarks.odm.data import fresh
from datalayer import Settings, db
from datalayer.connections.read_ahead import read_ahead
from datalayer.connections.registry import registry
from datalayer.documents.collection import plain_collection
from datalayer.embedded import EmbeddedMongo

SIZES_KB = (64, 128, 256, 512, 1024, 2048, 4096, 16384)
ALIAS = "default"
Clock = Callable[[], float]
Reader = Callable[[Any, int], None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=60_000, help="how many (60,000)")
    parser.add_argument("--nested", type=int, default=4_000, help="how many (4,000)")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--delays", type=float, nargs="*", default=[1, 10, 50], metavar="MS")
    options = parser.parse_args()
    counts = {"small": options.small, "nested": options.nested}
    with EmbeddedMongo() as server:
        with MongoClient[Any](server.uri_for("batches")) as client:
            for kind, count in counts.items():
                client["batches"][kind].insert_many([fresh(kind) for _ in range(count)])
            print_sizes(client["batches"], counts, options.rounds)
        print_peers(server, counts, options.rounds, options.delays)
        print_ahead(server, counts, options.rounds, options.delays)
    return 0


def print_sizes(database: Any, counts: dict[str, int], rounds: int) -> None:
    """The client's processor time by the size of the batches."""
    print("Processor time of the client, µs a document, by the size of the batches in kB\n")
    print("| |", *(f"{size:,} |" for size in SIZES_KB))
    print("|---|", *("---|" for _ in SIZES_KB))
    for kind, count in counts.items():
        weight = len(encode(database[kind].find_one()))
        for way, read in READERS.items():
            batch_sizes = [max(size * 1024 // weight, 1) for size in SIZES_KB]
            calls = [partial(read, database[kind], batch_size) for batch_size in batch_sizes]
            found = shortest(calls, rounds, process_time)
            print(f"| {kind}, {way} |", *(f"{each / count * 1e6:.2f} |" for each in found))


def print_peers(
    server: EmbeddedMongo, counts: dict[str, int], rounds: int, delays: list[float]
) -> None:
    """The driver's batches against datalayer's."""
    print("\nReading all, µs a document: the driver's batches / datalayer's (share of the time)\n")
    print("| round trip |", *(f"{kind}, {way} |" for kind in counts for way in READERS))
    print("|---|", *("---|" for _ in counts for _ in READERS))
    near = [("near, processor time", 0.0, process_time), ("near", 0.0, perf_counter)]
    far = [(f"{delay:g} ms more", delay, perf_counter) for delay in delays]
    for name, delay, clock in near + far:
        with (
            behind(server, delay) as uri,
            db.connected(Settings(databases={ALIAS: uri})),
            MongoClient[Any](uri) as client,
        ):
            cells = [
                compared(client["batches"], kind, read, rounds, clock, count)
                for kind, count in counts.items()
                for read in READERS.values()
            ]
        print(f"| {name} |", *(f"{cell} |" for cell in cells))


def compared(database: Any, kind: str, read: Reader, rounds: int, clock: Clock, count: int) -> str:
    """One cell of the table."""
    ours = plain_collection(registry.connection(ALIAS), kind)
    calls = [partial(read, database[kind], 0), partial(read, ours, 0)]
    before, after = (each / count * 1e6 for each in shortest(calls, rounds, clock))
    return f"{before:.2f} / {after:.2f} ({after / before:.2f})"


def print_ahead(
    server: EmbeddedMongo, counts: dict[str, int], rounds: int, delays: list[float]
) -> None:
    """Reading a batch when it is needed against reading it ahead."""
    print("\nReading and some work, µs a document: in turn / read ahead (share of the time)\n")
    print("| round trip |", *(f"{kind} |" for kind in counts))
    print("|---|", *("---|" for _ in counts))
    for delay in (0.0, *delays):
        with behind(server, delay) as uri, db.connected(Settings(databases={ALIAS: uri})):
            cells = [compared_ahead(kind, rounds, count) for kind, count in counts.items()]
        print(f"| {f'{delay:g} ms more' if delay else 'near'} |", *(f"{cell} |" for cell in cells))


def compared_ahead(kind: str, rounds: int, count: int) -> str:
    """One cell of the table."""
    collection = plain_collection(registry.connection(ALIAS), kind)

    def work(documents: Iterable[Any]) -> None:
        for document in documents:
            encode(document)

    calls = [lambda: work(collection.find()), lambda: work(read_ahead(collection.find()))]
    before, after = (each / count * 1e6 for each in shortest(calls, rounds, perf_counter))
    return f"{before:.2f} / {after:.2f} ({after / before:.2f})"


def shortest(calls: list[Callable[[], None]], rounds: int, clock: Clock) -> list[float]:
    """The shortest time of each call in so many rounds, in which they take turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, taken in zip(calls, times, strict=True):
            began = clock()
            call()
            taken.append(clock() - began)
    return [min(each) for each in times]


def read_dictionaries(collection: Any, batch_size: int) -> None:
    for document in collection.find(batch_size=batch_size):
        document["_id"]


def read_bytes(collection: Any, batch_size: int) -> None:
    for batch in collection.find_raw_batches(batch_size=batch_size):
        at = 0
        while at < len(batch):
            size = int.from_bytes(batch[at : at + 4], "little")
            batch[at : at + size]
            at += size


READERS: dict[str, Reader] = {"dictionaries": read_dictionaries, "bytes": read_bytes}


@contextmanager
def behind(server: EmbeddedMongo, delay_ms: float) -> Iterator[str]:
    """The URI of the server behind a proxy in another process; without one where it delays
    nothing."""
    if not delay_ms:
        yield server.uri_for("batches")
        return
    mine, its = multiprocessing.Pipe()
    host, _, port = server.hosts[0].rpartition(":")
    arguments = (host, int(port), delay_ms / 1000, its)
    proxy = multiprocessing.get_context("spawn").Process(target=run_proxy, args=arguments)
    proxy.start()
    try:
        yield f"mongodb://127.0.0.1:{mine.recv()}/batches?directConnection=true"
    finally:
        proxy.terminate()
        proxy.join()


def run_proxy(host: str, port: int, delay_seconds: float, told: Pipe) -> None:
    """Hand on bytes, those from the server after ``delay_seconds``; as many may be on their way
    as there are."""

    async def serve() -> None:
        async def connected(client: Any, to_client: Any) -> None:
            server, to_server = await asyncio.open_connection(host, port)
            await asyncio.gather(
                delayed(client, to_server, 0.0), delayed(server, to_client, delay_seconds)
            )

        place = random.randrange(20_000, 32_000)  # below the range of outgoing connections
        listener = await asyncio.start_server(connected, "127.0.0.1", place)
        told.send(place)
        await listener.serve_forever()

    asyncio.run(serve())


async def delayed(reader: Any, writer: Any, seconds: float) -> None:
    """Write what is read, each piece after ``seconds``."""
    clock = asyncio.get_running_loop().time
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(due - clock())
            writer.write(piece)
            if not piece:
                writer.close()
                return

    with suppress(ConnectionError):
        writing = asyncio.create_task(write())
        piece = b"-"
        while piece:
            piece = await reader.read(2**18)
            pieces.put_nowait((clock() + seconds, piece))
        await writing


if __name__ == "__main__":
    sys.exit(main())
