"""How long `schema check` takes, against one `$jsonSchema` query by hand.

    python benchmarks/schema_check.py [--documents N] [--rounds N] [--json FILE]

One private server with generated documents, whose model has twelve rules. The peer is
``count_documents({"$nor": [{"$jsonSchema": whole}]})``, which says how many documents break
something, and neither what nor which. Both take turns: where no document breaks a rule, where a
few do, and where all do, as after a field has been renamed in the model. The bound that the
project holds the first two to is twice the peer; and the memory of the process is told.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from mongoengine.fields import EmbeddedDocumentListField, IntField, StringField

from datalayer import Settings, db, schema
from datalayer.documents import Document, EmbeddedDocument
from datalayer.documents.json_schema import json_schema
from datalayer.embedded import EmbeddedMongo
from datalayer.schema.rules import rules_of

_MOST_TIMES_THE_PEER = 2.0
_MOST_MEGABYTES = 150


class Line(EmbeddedDocument):
    sku = StringField(required=True)


class Order(Document):
    number = StringField(required=True, max_length=12)
    total = IntField(min_value=0)
    lines = EmbeddedDocumentListField(Line)
    meta = {"collection": "orders", "timestamps": False}


@dataclass(frozen=True)
class Figure:
    """Seconds of both in one situation, medians of the rounds, and what was found."""

    situation: str
    check_seconds: float
    query_seconds: float
    ratio: float
    findings: dict[str, int]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    rules = len(rules_of(json_schema(Order)))
    with (
        EmbeddedMongo() as server,
        db.connected(_settings(server.uri_for("shop"))),
        db.deadline(3600),
    ):
        orders = Order._get_collection()
        _fill(orders, arguments.documents)
        figures = [_measured("clean", orders, arguments.rounds)]
        orders.update_many({"total": {"$lt": 5}}, {"$set": {"total": -1}})
        orders.update_many({"total": 5}, {"$set": {"voucher": "x"}})
        figures.append(_measured("a few broken", orders, arguments.rounds))
        orders.update_many({}, {"$rename": {"number": "code"}})
        figures.append(_measured("all broken", orders, arguments.rounds))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{arguments.documents:,} documents, {rules} rules; the process took {peak:.0f} MiB")
    for each in figures:
        print(
            f"{each.situation:<14}check {each.check_seconds:6.2f} s   query by hand "
            f"{each.query_seconds:6.2f} s   ratio {each.ratio:.2f}   {each.findings}"
        )
    if arguments.json:
        shown = {"documents": arguments.documents, "rules": rules, "peak_mib": round(peak)}
        shown["figures"] = [asdict(each) for each in figures]
        arguments.json.write_text(json.dumps(shown, indent=2))
    holds = all(each.ratio <= _MOST_TIMES_THE_PEER for each in figures[:2])
    return 0 if holds and peak <= _MOST_MEGABYTES else 1


def _settings(uri: str) -> Settings:
    return Settings(databases={"default": {"uri": uri}})


def _fill(orders: Any, count: int) -> None:
    documents = _documents()
    for _ in range(0, count, 10_000):
        orders.insert_many(list(islice(documents, 10_000)))


def _documents() -> Iterator[dict[str, Any]]:
    number = 0
    while True:
        number += 1
        yield {
            "number": f"N{number}",
            "total": number % 1000,
            "lines": [{"sku": f"sku-{line}"} for line in range(number % 4)],
        }


def _measured(situation: str, orders: Any, rounds: int) -> Figure:
    whole = {"$nor": [{"$jsonSchema": json_schema(Order)}]}
    checks, queries = [], []
    found: list[schema.Finding] = []
    for _ in range(rounds):
        queries.append(_seconds(lambda: orders.count_documents(whole)))
        checks.append(_seconds(lambda: found.__setitem__(slice(None), schema.check([Order]))))
    return Figure(
        situation,
        median(checks),
        median(queries),
        median(checks) / median(queries),
        {f"{each.path} {each.rule}": each.documents for each in found},
    )


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
