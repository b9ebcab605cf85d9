"""Reads the source in the order of ``_id``, ahead of the writers, in batches of bounded size."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Any, cast

from bson import ObjectId

from datalayer.monitoring import tracing
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.raw.bson import OBJECT_ID_SIZE, id_of, key_in, key_of, split
from datalayer.transfer.raw.find import BEGINNING, ids_behind, pages_of
from datalayer.transfer.raw.object_ids import ObjectIds, ids_of, packed

_MOST_BYTES = 8 * 2**20
"""What a batch may hold besides its last document: four are in memory at once."""
_MOST_MERGED_BYTES = 24 * 2**20
"""What the server copies at once: more than that takes it no less time for each."""
_MOST_COMPARED_BYTES = 3 * 2**20
"""What is compared at once: for more, the process asks the system for new memory each time."""
_MOST_ID_BYTES = 2**20
_AHEAD = 2
_PAGED_BY_NO_INDEX = frozenset({"timeseries", "clusteredIndex", "collation", "capped"})
_PATIENCE_SECONDS = 0.1


@dataclass(frozen=True)
class Batch:
    """Some documents of the source next to each other; only their ids where the server copies."""

    ids: Sequence[Any]
    documents: Sequence[bytes] | None = None


@contextmanager
def batches(
    endpoint: Endpoint,
    part: Part,
    plan: Plan,
    after: Any = BEGINNING,
    known: Set[bytes] = frozenset(),
) -> Iterator[Iterator[Batch]]:
    """The documents of ``part`` behind the id ``after``, in a ``with`` block, read by a thread.

    Those of a capped collection come in the order in which they were inserted, without those whose
    keys are ``known``.
    """
    if keeps_order(part):
        reader = _Ahead(_in_order(endpoint, part, plan, known))
    else:
        reader = _Ahead(_read(endpoint, part, plan, after))
    try:
        yield reader.received()
    finally:
        reader.stop()


class _Ahead:
    """Takes batches in a thread, so that reading goes on while writers work."""

    def __init__(self, source: Generator[Batch, None, None]) -> None:
        self._source = source
        self._queue: Queue[Batch | BaseException | None] = Queue(_AHEAD)
        self._ended = threading.Event()
        run = tracing.carried(self._run)
        self._thread = threading.Thread(target=run, name="datalayer-reader", daemon=True)
        self._thread.start()

    def received(self) -> Iterator[Batch]:
        """The batches, as they come; raises what reading raised."""
        while True:
            try:
                item = self._queue.get(timeout=_PATIENCE_SECONDS)
            except Empty:
                continue  # so that Ctrl-C is heard
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def stop(self) -> None:
        """End reading."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with closing(self._source):  # with its cursor, in this thread
                for batch in self._source:
                    if not self._put(batch):
                        return
            self._put(None)
        except BaseException as exc:  # noqa: BLE001 - raised again by the thread that waits
            self._put(exc)

    def _put(self, item: Batch | BaseException | None) -> bool:
        while not self._ended.is_set():
            try:
                self._queue.put(item, timeout=_PATIENCE_SECONDS)
            except Full:
                continue
            return True
        return False


def documents_at_once(part: Part, plan: Plan) -> int:
    """How many documents make a batch where their sizes aren't known: of large ones, fewer."""
    return _how_many(part, plan, _MOST_BYTES)


def compared_at_once(part: Part, plan: Plan) -> int:
    """How many documents are compared with each other at once."""
    return _how_many(part, plan, _MOST_COMPARED_BYTES)


def _merged_at_once(part: Part, plan: Plan) -> int:
    """How many documents the server copies at once, of which this process holds the ids alone."""
    kept = plan.conflicts == "replace"  # what was there is read and stored beside the journal
    return _how_many(part, plan, _MOST_BYTES if kept else _MOST_MERGED_BYTES)


def _how_many(part: Part, plan: Plan, most_bytes: int) -> int:
    average = part.size_bytes // part.count if part.count else 0
    return max(min(plan.batch_size, most_bytes // max(average, 1)), 1)


def how_many(endpoint: Endpoint, part: Part) -> int:
    """How many documents the part's filter selects now; of all, the index on ``_id`` tells it in
    half the time."""
    hint: dict[str, Any] = {"hint": {"_id": 1}} if is_paged(part) else {}
    return endpoint.collection(part.source).count_documents(dict(part.filter), **hint)


def keeps_order(part: Part) -> bool:
    """Whether the order in which documents were inserted belongs to what is copied."""
    return bool(part.options.get("capped"))


def _in_order(
    endpoint: Endpoint, part: Part, plan: Plan, known: Set[bytes]
) -> Generator[Batch, None, None]:
    cursor = endpoint.collection(part.source).find_raw_batches(
        dict(part.filter), sort=[("$natural", 1)], batch_size=documents_at_once(part, plan)
    )
    with cursor:
        pages = (
            [raw for raw in split([page]) if key_in(raw) not in known]
            for page in cast(Iterable[bytes], cursor)
        )
        yield from _batches(pages, plan)


def _read(endpoint: Endpoint, part: Part, plan: Plan, after: Any) -> Generator[Batch, None, None]:
    query = dict(part.filter)
    if after is not BEGINNING:
        # In an expression, an id is compared with ids of every type; in a query, only with
        # those of its own, so that some would never be read.
        behind = {"$expr": {"$gt": ["$_id", {"$literal": after}]}}
        query = {"$and": [query, behind]} if query else behind
    if plan.method == "merge":
        yield from _read_ids(endpoint, part, plan, query, after)
        return
    if is_paged(part):
        yield from _batches(pages_of(endpoint, part.source, after, plan.batch_size), plan)
        return
    cursor = endpoint.collection(part.source).find_raw_batches(
        query, sort=[("_id", 1)], allow_disk_use=True, batch_size=documents_at_once(part, plan)
    )
    with cursor:
        pages = (list(split([page])) for page in cast(Iterable[bytes], cursor))
        yield from _batches(pages, plan)


def is_paged(part: Part) -> bool:
    """Whether page after page can be found through the index on ``_id``, which is the quickest."""
    return not (part.filter or _PAGED_BY_NO_INDEX & set(part.options))


def _read_ids(
    endpoint: Endpoint, part: Part, plan: Plan, query: dict[str, Any], after: Any
) -> Iterator[Batch]:
    most = documents_at_once(part, plan)
    if is_paged(part):
        for page in ids_behind(endpoint, part.source, after, _merged_at_once(part, plan)):
            yield from [Batch(page)] if isinstance(page, ObjectIds) else _pieces(page, most)
        return
    cursor = endpoint.collection(part.source).find_raw_batches(
        query, {"_id": True}, sort=[("_id", 1)], allow_disk_use=True, batch_size=plan.batch_size
    )
    with cursor:
        yield from _pieces(map(id_of, split(cast(Iterable[bytes], cursor))), most)


def _pieces(found: Iterable[Any], most: int) -> Iterator[Batch]:
    ids: list[Any] = []
    size = 0
    for one in found:
        ids.append(one)
        size += OBJECT_ID_SIZE if type(one) is ObjectId else _id_bytes(one)
        if len(ids) == most or size > _MOST_ID_BYTES:
            yield Batch(packed(ids))
            ids, size = [], 0
    if ids:
        yield Batch(packed(ids))


def _batches(pages: Iterable[list[bytes]], plan: Plan) -> Iterator[Batch]:
    ids: list[Any] = []
    documents: list[bytes] = []
    size = id_size = 0
    for page in pages:
        if not ids and (whole := _whole(page, plan)):
            yield whole
            continue
        for raw in page:
            ids.append(id_of(raw))
            documents.append(raw)
            size += len(raw)
            id_size += OBJECT_ID_SIZE if type(ids[-1]) is ObjectId else _id_bytes(ids[-1])
            if len(ids) == plan.batch_size or size > _MOST_BYTES or id_size > _MOST_ID_BYTES:
                yield Batch(packed(ids), documents)
                ids, documents, size, id_size = [], [], 0, 0
    if ids:
        yield Batch(packed(ids), documents)


def _whole(page: list[bytes], plan: Plan) -> Batch | None:
    """A page as a batch, where it is one: at half the cost of looking at document by document."""
    if len(page) != plan.batch_size or sum(map(len, page)) > _MOST_BYTES:
        return None
    ids = ids_of(page)
    fits = len(ids) * OBJECT_ID_SIZE <= _MOST_ID_BYTES
    return Batch(ids, page) if fits and isinstance(ids, ObjectIds) else None


def _id_bytes(identifier: Any) -> int:
    if isinstance(identifier, (str, bytes)):
        return len(identifier)
    return len(key_of(identifier)) if isinstance(identifier, Mapping) else 16
