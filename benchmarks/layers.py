"""What each layer adds to the time of one operation, from the bare driver up to a document.

    python -m benchmarks.layers [--seconds 60] [--page FILE]

The same operation is done over the driver alone, over datalayer's client, collection, queryset
and document, in turns, block by block, in one process and against one private server. A figure is
the median of all blocks, less that of the layer below.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter, process_time
from typing import Any

from mongoengine.fields import IntField, StringField
from pymongo import MongoClient
from pymongo.collection import Collection

from benchmarks.odm import report
from benchmarks.odm.data import document
from benchmarks.odm.measuring import fill
from datalayer import Settings, db
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo

__all__ = ["LAYERS", "Operation", "measure", "table"]

LAYERS = ("the driver alone", "our client", "our collection", "queryset", "document")
_DOCUMENTS = 1000
_LEAST_ROUNDS = 5

Run = Callable[[], object]


@dataclass
class Operation:
    """One operation, done over each of its layers.

    Arguments:
        title: what it is called.
        calls: how many of them make a block, which is timed as one.
        runs: the operation over each layer that it goes through, from the lowest.
        seconds: the time of one call, by layer, for each block.
        processor_seconds: the processor's time that it took in this process, in the same way.
    """

    title: str
    calls: int
    runs: Mapping[str, Run]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    processor_seconds: dict[str, list[float]] = field(default_factory=dict)

    def time_block(self, layer: str) -> None:
        """Do a block of calls over this layer, and note what it took."""
        run, calls = self.runs[layer], range(self.calls)
        begun, begun_processor = perf_counter(), process_time()
        for _ in calls:
            run()
        processor_seconds = process_time() - begun_processor
        seconds = perf_counter() - begun
        self.seconds.setdefault(layer, []).append(seconds / self.calls)
        self.processor_seconds.setdefault(layer, []).append(processor_seconds / self.calls)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.layers", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="about how long (60)")
    parser.add_argument("--page", type=Path, help="put the table between the marks of this page")
    arguments = parser.parse_args()
    with _small_documents() as (plain, model):
        operations = [_find(plain, model), _save(plain, model), _list(plain, model)]
        measure(operations, arguments.seconds)
    shown = table(operations)
    print(shown)
    if arguments.page:
        page = report.renewed(arguments.page.read_text(encoding="utf-8"), shown, "layers")
        arguments.page.write_text(page, encoding="utf-8")
    return 0


def measure(operations: Sequence[Operation], seconds: float) -> None:
    """Let all layers of all operations take turns for this long; another begins each time."""
    for operation in operations:  # connections, compiled classes, indexes
        for run in operation.runs.values():
            run()
    end = monotonic() + seconds
    for number in count():
        if number >= _LEAST_ROUNDS and monotonic() > end:
            return
        for operation in operations:
            layers = list(operation.runs)
            first = number % len(layers)
            for layer in [*layers[first:], *layers[:first]]:
                operation.time_block(layer)


def table(operations: Sequence[Operation]) -> str:
    """A Markdown table of microseconds: of the lowest layer, what each further one adds, and all
    together; the time that passed, and the processor's time in this process."""
    kinds = [each for one in operations for each in (one.seconds, one.processor_seconds)]
    columns = [_added(times) for times in kinds]
    titles = [title for one in operations for title in (one.title, "processor")]
    lines = [
        f"| microseconds | {' | '.join(titles)} |",
        "|---" + "|---:" * len(titles) + "|",
    ]
    for layer in LAYERS:
        sign = "" if layer == LAYERS[0] else "+"
        cells = [f"{column[layer]:{sign},.0f}" if layer in column else "-" for column in columns]
        lines.append(f"| {layer} | {' | '.join(cells)} |")
    together = [f"{sum(column.values()):,.0f}" for column in columns]
    return "\n".join([*lines, f"| together | {' | '.join(together)} |"])


def _added(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """How many microseconds each layer adds to the one below, which comes before it."""
    present = [layer for layer in LAYERS if layer in times]
    medians = [median(times[layer]) * 1e6 for layer in present]
    below = [0.0, *medians]
    return {
        layer: own - under for layer, own, under in zip(present, medians, below[:-1], strict=True)
    }


@contextmanager
def _small_documents() -> Iterator[tuple[Collection[dict[str, Any]], Any]]:
    """The same collection of small documents over a plain driver, and as a model."""
    fields: dict[str, Any] = {
        name: StringField() if isinstance(value, str) else IntField()
        for name, value in document("small").items()
    }
    model: Any = type("Small", (Document,), {**fields, "meta": {"collection": "small"}})
    with EmbeddedMongo(in_memory=True) as server:
        uri = server.uri_for("layers")
        client: MongoClient[dict[str, Any]] = MongoClient(uri)
        with client, db.connected(Settings(databases={"default": {"uri": uri}})):
            database = client.get_default_database()
            fill(database, "small", _DOCUMENTS)
            yield database["small"], model


def _collections(plain: Collection[Any], model: Any) -> dict[str, Collection[Any]]:
    ours = db.get("default").client[plain.database.name][plain.name]
    return dict(zip(LAYERS, (plain, ours, model._get_collection()), strict=False))


def _find(plain: Any, model: Any) -> Operation:
    key = plain.find_one({}, ["_id"])["_id"]

    def find_one(collection: Any) -> Run:
        return lambda: collection.find_one({"_id": key})["field1"]

    runs = {name: find_one(each) for name, each in _collections(plain, model).items()}
    runs["queryset"] = lambda: model.objects(id=key).as_pymongo().first()["field1"]
    runs["document"] = lambda: model.objects(id=key).first().field1
    return Operation("a `find_one`", 20, runs)


def _save(plain: Collection[Any], model: Any) -> Operation:
    instance, numbers = model.objects.skip(1).first(), count()
    key = instance.pk

    def update_one(collection: Collection[Any]) -> Run:
        def run() -> None:
            collection.update_one({"_id": key}, {"$set": {"field1": f"value {next(numbers)}"}})

        return run

    def save() -> None:
        instance.field1 = f"value {next(numbers)}"
        instance.save()

    runs = {name: update_one(each) for name, each in _collections(plain, model).items()}
    return Operation("a `save` of one field", 10, {**runs, "document": save})


def _list(plain: Collection[Any], model: Any) -> Operation:
    def read(collection: Collection[Any]) -> Run:
        return lambda: [each["field1"] for each in collection.find()]

    runs = {name: read(each) for name, each in _collections(plain, model).items()}
    runs["queryset"] = lambda: [each["field1"] for each in model.objects.no_cache().as_pymongo()]
    runs["document"] = lambda: [each.field1 for each in model.objects.no_cache()]
    return Operation("a list of 1,000", 1, runs)


if __name__ == "__main__":
    sys.exit(main())
