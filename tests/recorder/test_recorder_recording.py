"""What is recorded is stored, in batches, and nothing of it makes the caller fail."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from mongoengine import Document, IntField
from pymongo.collection import Collection
from recorded_events import Animal, Broken, Cat, Click, Seat, Visit

from datalayer import db
from datalayer.documents.engine import core
from datalayer.models import Metric
from datalayer.recorder import Recorder

Make = Callable[..., Recorder]


def stored(model: Any = Click) -> list[dict[str, Any]]:
    return list(model._get_collection().find({}, sort=[("number", 1)]))


def test_a_dict_is_stored_with_an_id_and_the_models_time_stamps(make: Make) -> None:
    recorder = make()
    recorder.record({"number": 1}, Click)
    assert recorder.flush()
    (click,) = stored()
    assert sorted(click) == ["_id", "created_at", "number", "updated_at"]
    assert isinstance(click["_id"], ObjectId)
    assert datetime.now(UTC) - click["created_at"] < timedelta(seconds=10)


def test_a_dict_keeps_the_id_that_it_has(make: Make) -> None:
    recorder = make()
    recorder.record({"_id": "mine", "number": 1}, Click)
    recorder.flush()
    assert stored()[0]["_id"] == "mine"


def test_a_document_is_stored_as_it_was_and_can_be_saved_afterwards(make: Make) -> None:
    recorder = make()
    click = Click(number=1)
    recorder.record(click)
    click.number = 2
    recorder.flush()
    assert (stored()[0]["_id"], stored()[0]["number"]) == (click.pk, 1)
    click.save()
    assert [each["number"] for each in stored()] == [2]


@pytest.mark.skipif(core is None, reason="of the part in C")
def test_a_document_is_encoded_when_it_is_recorded(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: list[type] = []
    original = Collection.insert_many

    def note(self: Any, documents: Any, *args: Any, **kwargs: Any) -> Any:
        kinds.extend(map(type, documents))
        return original(self, documents, *args, **kwargs)

    monkeypatch.setattr(Collection, "insert_many", note)
    recorder = make()
    cat = Cat(number=1)
    recorder.record(cat)
    recorder.record(Click(text="\ud800"))
    recorder.record(Click(number=2))
    assert recorder.flush()
    assert kinds == [RawBSONDocument, RawBSONDocument]
    assert stored(Animal) == [{"_id": cat.pk, "_cls": "Animal.Cat", "number": 1}]
    assert sorted(stored()[0]) == ["_id", "created_at", "number", "updated_at"]
    assert recorder.stats()["refused"] == 1


def test_who_prepares_events_gets_a_mapping_of_a_document(make: Make) -> None:
    seen: list[Any] = []

    def prepare(event: dict[str, Any], model: Any) -> dict[str, Any]:
        seen.append(dict(event))
        return {**event, "text": "prepared"}

    recorder = make()
    recorder._begin(recorder.settings, prepare)
    recorder.record(Click(number=1))
    assert recorder.flush()
    assert (seen[0]["number"], stored()[0]["text"]) == (1, "prepared")


def test_a_dict_that_is_used_again_is_another_event(make: Make) -> None:
    recorder = make()
    event = {"number": 0}
    for event["number"] in range(3):
        recorder.record(event, Click)
    recorder.flush()
    assert [each["number"] for each in stored()] == [0, 1, 2]
    assert event == {"number": 2}


def test_a_dict_of_an_inherited_model_names_its_class(make: Make) -> None:
    recorder = make()
    recorder.record({"number": 1}, Cat)
    recorder.flush()
    assert [type(animal) for animal in Animal.objects] == [Cat]


def test_a_document_of_another_library_is_stored(make: Make) -> None:
    class Plain(Document):
        number = IntField()
        meta = {"collection": "plain", "db_alias": "database1"}

    recorder = make()
    recorder.record(Plain(number=1))
    assert recorder.flush()
    assert [each["number"] for each in stored(Plain)] == [1]


@pytest.mark.parametrize("event", [{"number": 1}, 1, None, "text", Click])
def test_what_is_neither_a_document_nor_a_dict_with_a_model_raises(make: Make, event: Any) -> None:
    with pytest.raises(TypeError, match="takes a document, or a dict and its model"):
        make().record(event)


def test_events_come_in_batches(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = Collection.insert_many

    def note(self: Any, documents: Any, *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(documents))
        return original(self, documents, *args, **kwargs)

    monkeypatch.setattr(Collection, "insert_many", note)
    recorder = make(batch_size=100, interval_ms=5000)
    for number in range(1000):
        recorder.record({"number": number}, Click)
    assert recorder.flush()
    assert (sum(sizes), max(sizes)) == (1000, 100)
    assert len(sizes) <= 11


def test_an_event_is_stored_after_the_interval_without_a_flush(make: Make) -> None:
    recorder = make(interval_ms=30)
    seen = threading.Event()
    recorder.record({"number": 1}, Click)
    ends = threading.Timer(10, seen.set)
    ends.start()
    while not stored() and not seen.wait(0.01):
        pass
    ends.cancel()
    assert len(stored()) == 1


def test_events_of_eight_threads_are_all_stored_once(make: Make) -> None:
    recorder = make(batch_size=50)

    def work(first: int) -> None:
        for number in range(first, first + 1000):
            recorder.record({"number": number}, Click)

    threads = [threading.Thread(target=work, args=(n * 1000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert recorder.flush(30)
    assert [each["number"] for each in stored()] == list(range(8000))


@pytest.mark.parametrize(
    "poison",
    [
        {"text": "\ud800"},
        {"text": 2**70},
        {"text": object()},
        {1: "a key that is no string"},
        {"a.b": 1},
        {"$where": 1},
        {"text": "x" * (16 * 1024 * 1024)},
    ],
    ids=["surrogate", "integer", "object", "key", "dot", "dollar", "too large"],
)
def test_an_event_that_cannot_be_stored_stops_no_other(make: Make, poison: Any) -> None:
    recorder = make()
    for event in ({"number": 1}, {"number": 2, **poison}, {"number": 3}):
        recorder.record(event, Click)
    assert recorder.flush()
    assert [each["number"] for each in stored()] == [1, 3]
    assert (recorder.stats()["refused"], recorder.stats()["dropped"]) == (1, 1)


def test_an_event_that_the_server_refuses_stops_no_other(make: Make) -> None:
    recorder = make()
    for number in (1, 2, 2, 3):
        recorder.record({"number": number}, Visit)
    assert recorder.flush()
    assert [each["number"] for each in stored(Visit)] == [1, 2, 3]
    assert recorder.stats()["refused"] == 1


def test_an_event_that_makes_the_server_refuse_all_stops_no_other(make: Make) -> None:
    deep: dict[str, Any] = {}
    for _ in range(250):
        deep = {"a": deep}
    recorder = make()
    for number in range(10):
        recorder.record({"number": number, **({"deep": deep} if number == 4 else {})}, Click)
    assert recorder.flush()
    assert [each["number"] for each in stored()] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert recorder.stats()["refused"] == 1


def test_a_document_that_cannot_be_converted_is_counted(make: Make) -> None:
    recorder = make()
    recorder.record(Broken())
    recorder.record({"number": 1}, Click)
    assert recorder.flush()
    assert (len(stored()), recorder.stats()["refused"], recorder.stats()["recorded"]) == (1, 1, 2)


def test_a_loss_is_told_without_contents(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    recorder = make()
    for _ in range(3):
        recorder.record({"number": 1, "secret canary.key": "canary"}, Click)
    recorder.flush()
    recorder.close()
    told = [record.getMessage() for record in caplog.records if "lost" in record.getMessage()]
    assert told == [
        "3 recorded events were lost: no room, refused by the server, or impossible to store; "
        "the recorder's stats() tell more"
    ]


def test_the_statistics_add_up(make: Make) -> None:
    recorder = make()
    for number in (1, 2, 2):
        recorder.record({"number": number}, Visit)
    assert recorder.flush()
    told = recorder.stats()
    assert (told["recorded"], told["written"], told["dropped"], told["waiting"]) == (3, 2, 1, 0)
    assert told["lag_seconds"] == 0.0


def test_the_status_of_the_analytics_database_tells_of_the_recorder(make: Make) -> None:
    assert make  # connected
    told = db.status()
    assert sorted(told["database1"]["recorder"]) == sorted(db.recorder.stats())
    assert "recorder" not in told["default"]


def test_nothing_is_taken_after_closing(make: Make) -> None:
    recorder = make()
    recorder.record({"number": 1}, Click)
    recorder.close()
    recorder.record({"number": 2}, Click)
    assert [each["number"] for each in stored()] == [1]
    assert recorder.stats()["dropped"] == 1


def test_a_counter_is_stored_as_one_measurement(make: Make) -> None:
    recorder = make()
    for amount in (1, 2.5):
        recorder.counter("signups", Metric, plan="pro").inc(amount)
    recorder.counter("signups", Metric, plan="free").inc()
    assert recorder.flush()
    found = sorted((m.value, m.series.name, m.series.labels) for m in Metric.objects)
    assert found == [(1.0, "signups", {"plan": "free"}), (3.5, "signups", {"plan": "pro"})]


def test_a_counter_is_stored_by_the_clock(make: Make) -> None:
    recorder = make(counter_seconds=0.1)
    recorder.counter("signups", Metric).inc()
    ends = threading.Event()
    timer = threading.Timer(10, ends.set)
    timer.start()
    while not Metric.objects.first() and not ends.wait(0.01):
        pass
    timer.cancel()
    assert [m.value for m in Metric.objects] == [1.0]


def test_a_counter_that_did_not_change_stores_nothing(make: Make) -> None:
    recorder = make()
    signups = recorder.counter("signups", Metric)
    signups.inc()
    recorder.flush()
    assert recorder.flush()
    assert len(Metric.objects) == 1


def test_counting_from_eight_threads_loses_nothing(make: Make) -> None:
    signups = make().counter("signups", Metric)

    def work() -> None:
        for _ in range(5000):
            signups.inc()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert signups.taken() == 40_000


@pytest.mark.parametrize("prepare", [None, lambda event, model: event])
def test_what_is_stored_of_a_versioned_model_has_its_first_version(
    make: Make, prepare: Any
) -> None:
    recorder = make()
    recorder._begin(recorder.settings, prepare)
    seat = Seat(number=1)
    recorder.record(seat)
    recorder.record({"number": 2}, Seat)
    assert recorder.flush()
    assert [(each["number"], each["version"]) for each in stored(Seat)] == [(1, 1), (2, 1)]
    seat.number = 3
    seat.save()
    assert [each["number"] for each in stored(Seat)] == [2, 3]
