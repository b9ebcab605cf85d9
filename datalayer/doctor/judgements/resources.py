"""Performance issue 4: has the server enough memory, disk and room for work?"""

from __future__ import annotations

from collections.abc import Iterator

from datalayer.doctor.facts import AliasFacts, Answer, Document, Session, Unknown
from datalayer.doctor.findings import Remark, error, ok, skipped, warning

_GIGABYTE = 2**30
# WiredTiger lets the application's own threads evict pages from 95% used and 20% dirty on.
_FULL_CACHE = 0.95
_DIRTY_CACHE = 0.20
_MUCH_MEMORY = 0.90
_FULL_DISK = 0.95
_FILLING_DISK = 0.85
_LONG_QUEUE = 10


def judge_resources(facts: AliasFacts) -> Iterator[Remark]:
    """Cache, memory, disk and queues."""
    session = facts.server
    if not isinstance(session, Session):
        yield skipped("no session could be opened")
        return
    yield from _disk(session.database_stats)
    status = session.status
    if isinstance(status, Unknown):
        yield skipped(f"cache, memory and queues: {status.why}")
        return
    if "wiredTiger" not in status:
        yield skipped("cache and queues: this server, a router say, has no data of its own")
    else:
        yield from _cache(status["wiredTiger"]["cache"])
        yield from _queues(status)
    yield from _memory(status, session.host_info)


def _disk(answer: Answer[Document]) -> Iterator[Remark]:
    if isinstance(answer, Unknown):
        yield skipped(f"disk: {answer.why}")
        return
    used, total = answer.get("fsUsedSize", 0), answer.get("fsTotalSize", 0)
    if not total:
        yield skipped("disk: the server does not tell as long as the database is empty")
        return
    saw = f"the server's disk is {used / total:.0%} full ({_gigabytes(total - used)} free)"
    if used >= total * _FULL_DISK:
        yield error(saw, "make room now: a server without disk space stops")
    elif used >= total * _FILLING_DISK:
        yield warning(saw, "make room: drop what is not needed, or extend the disk")
    else:
        yield ok(saw)


def _cache(cache: Document) -> Iterator[Remark]:
    size = cache["maximum bytes configured"]
    used = cache["bytes currently in the cache"] / size
    dirty = cache["tracked dirty bytes in the cache"] / size
    saw = f"the cache of {_gigabytes(size)} is {used:.0%} used, {dirty:.0%} of it changed"
    if used >= _FULL_CACHE or dirty >= _DIRTY_CACHE:
        yield warning(
            f"{saw}: operations have to make room in it themselves",
            "give the server more memory, or have it read and write less (indexes, batches)",
        )
    else:
        yield ok(saw)


def _queues(status: Document) -> Iterator[Remark]:
    queued = status["globalLock"]["currentQueue"]["total"]
    tickets = status["wiredTiger"].get("concurrentTransactions", {})
    used_up = [kind for kind in ("read", "write") if tickets.get(kind, {}).get("available") == 0]
    if used_up:
        yield warning(
            f"all tickets to {' and '.join(used_up)} are taken, {queued} operations wait",
            "look for long operations; the server has more work than it can do at a time",
        )
    elif queued > _LONG_QUEUE:
        yield warning(
            f"{queued} operations wait for a lock",
            "look for long operations, index builds and transactions",
        )
    else:
        yield ok(f"{queued or 'no'} operations wait for their turn")


def _memory(status: Document, host: Answer[Document]) -> Iterator[Remark]:
    resident = status.get("mem", {}).get("resident")
    if resident is None:
        return
    if isinstance(host, Unknown):
        yield ok(f"the server's process uses {resident} MB of memory")
        return
    system = host["system"]
    total = min(system["memSizeMB"], system.get("memLimitMB", system["memSizeMB"]))
    saw = f"the server's process uses {resident} MB of {total} MB of memory"
    if resident >= total * _MUCH_MEMORY:
        yield warning(saw, "give the machine more memory, or the server a smaller cache")
    else:
        yield ok(saw)


def _gigabytes(size: float) -> str:
    return f"{size / _GIGABYTE:.1f} GB"
