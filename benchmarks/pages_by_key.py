"""How long page 10,000 of 500,000 documents takes: by key (``paginate_after``), and by number
(``paginate``), which counts and skips.

    python benchmarks/pages_by_key.py [documents]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from mongoengine import IntField

from datalayer import BusinessDocument, Settings, db
from datalayer.documents import UTCDateTimeField
from datalayer.documents.querysets.pages.keyset import cursor_after
from datalayer.embedded import EmbeddedMongo

DOCUMENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
PER_PAGE = 20
FAR = min(10_000, DOCUMENTS // PER_PAGE - 1)
REPEATS = 15
START = datetime(2026, 1, 1, tzinfo=UTC)


class Reading(BusinessDocument):
    taken_at = UTCDateTimeField()
    place = IntField()

    meta = {"collection": "readings", "indexes": [("-taken_at", "-id")]}


def main() -> None:
    with EmbeddedMongo(in_memory=True, journal=False) as server:
        uri = server.uri_for("pages")
        db.connect_all(
            Settings({"default": {"uri": uri}, "database1": {"uri": server.uri_for("other")}})
        )
        _fill()
        found = Reading.objects.order_by("-taken_at")
        edge = found.skip((FAR - 1) * PER_PAGE - 1).first()
        assert edge is not None
        cursor = cursor_after(found, (edge.taken_at, edge.pk))
        assert found.paginate_after(cursor, PER_PAGE).items == found.paginate(FAR, PER_PAGE).items
        rows = {
            "page 1 by key": lambda: found.paginate_after(None, PER_PAGE),
            "page 1 by number": lambda: found.paginate(1, PER_PAGE),
            f"page {FAR:,} by key": lambda: found.paginate_after(cursor, PER_PAGE),
            f"page {FAR:,} by number": lambda: found.paginate(FAR, PER_PAGE),
            f"page {FAR:,} by skip and limit": lambda: list(
                found.skip((FAR - 1) * PER_PAGE).limit(PER_PAGE)
            ),
        }
        taken = {name: _median_ms(call) for name, call in rows.items()}
        for name, ms in taken.items():
            print(f"{name:32} {ms:8.2f} ms")
        *_, by_key, _, by_skip = taken.values()
        print(f"skipping takes {by_skip / by_key:.0f} times as long")
        db.disconnect_all()


def _fill() -> None:
    documents = Reading._get_collection()
    for start in range(0, DOCUMENTS, 10_000):
        documents.insert_many(
            [
                {
                    "_id": ObjectId(),
                    "taken_at": START + timedelta(seconds=each // 3),
                    "place": each,
                }
                for each in range(start, min(start + 10_000, DOCUMENTS))
            ]
        )


def _median_ms(call: Callable[[], Any]) -> float:
    call()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


if __name__ == "__main__":
    main()
