"""Spans of datalayer's own work: with those of the commands inside, or linked to those that have
caused it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fresh_databases import connected, model_registry, settings_for
from mongoengine import IntField, StringField
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from spans import Exported, attributes, fail_next, id_of, things

from datalayer import Settings, db, migrations, transfer
from datalayer.contrib import opentelemetry
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import UnavailableError


class Order(Document):
    number = IntField()


class Note(Document):
    text = StringField()
    meta = {"db_alias": "database1"}


@pytest.fixture(scope="module")
def shared(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with model_registry(Order, Note), connected(settings_for(mongod)) as settings:
        yield settings


def parent_of(span: Any) -> tuple[int, int]:
    assert span.parent is not None
    return span.parent.trace_id, span.parent.span_id


def links_of(span: Any) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


# Transactions


def test_a_transaction_is_a_span_around_its_commands(traced: Exported) -> None:
    Order(number=0).save()  # the collection is there
    traced.clear()
    with db.transaction():
        Order(number=1).save()
    inserted, committed, around = traced.spans()[-3:]  # behind the server's sign of life
    assert (inserted.name, committed.name) == ("insert order", "commitTransaction admin")
    assert around.name == "transaction"
    assert around.kind is SpanKind.INTERNAL
    assert attributes(around) == {"datalayer.aliases": ("default",)}
    assert parent_of(inserted) == parent_of(committed) == id_of(around)


def test_all_attempts_of_a_function_are_in_one_span(traced: Exported) -> None:
    Order(number=0).save()

    @db.transactional
    def order() -> None:
        Order(number=1).save()

    fail_next("insert", 112, errorLabels=["TransientTransactionError"])
    traced.clear()
    order()
    (around,) = traced.spans("transaction")
    assert around.name.startswith("transaction test_all_attempts")
    assert around.status.status_code is StatusCode.UNSET
    (retry,) = around.events
    assert retry.name == "datalayer.retry"
    assert dict(retry.attributes or {}) == {
        "datalayer.attempt": 1,
        "error.type": "UnavailableError",
    }
    refused, stored = traced.spans("insert")
    assert parent_of(refused) == parent_of(stored) == id_of(around)


def test_a_transaction_that_was_rolled_back_tells_the_errors_class_alone(
    traced: Exported,
) -> None:
    with pytest.raises(ValueError, match="hidden"), db.transaction():
        raise ValueError("hidden")
    span = traced.one("transaction")
    assert attributes(span)["error.type"] == "ValueError"
    assert span.status.status_code is StatusCode.ERROR
    assert "hidden" not in span.to_json()


def test_a_transaction_inside_another_has_no_span_of_its_own(traced: Exported) -> None:
    with db.transaction(), db.transaction():
        pass
    assert len(traced.spans("transaction")) == 1


def test_a_function_that_is_run_again_is_an_event_of_the_applications_span(
    traced: Exported,
) -> None:
    calls = []

    @db.retry(attempts=2)
    def sometimes() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise UnavailableError("away", alias="default")

    with traced.tracer.start_as_current_span("request"):
        sometimes()
    assert [event.name for event in traced.one("request").events] == ["datalayer.retry"]


def test_a_transaction_is_committed_where_its_span_fails(
    databases: Settings, exported: Exported, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError("hidden")

    exported.provider.add_span_processor(Failing())
    opentelemetry.instrument_traces(exported.provider)
    with db.transaction():
        Order(number=7).save()
    assert Order.objects(number=7).count() == 1
    assert "a span was not made (RuntimeError)" in caplog.text
    assert "hidden" not in caplog.text


# What happens later


def test_recorded_events_are_sent_in_a_span_linked_to_where_they_were_recorded(
    traced: Exported,
) -> None:
    requests = []
    for number in range(2):
        with traced.tracer.start_as_current_span("request") as request:
            db.recorder.record(Note(text=str(number)))
            db.recorder.record({"text": "again"}, Note)
            requests.append(id_of(request))
    db.recorder.record(Note(text="outside"))
    assert db.recorder.flush(30)
    sent = traced.spans("recorder send")
    assert {span.name for span in sent} == {"recorder send note"}
    assert sum(attributes(span)["datalayer.documents"] for span in sent) == 5
    assert [link for span in sent for link in links_of(span)] == requests
    assert {parent_of(span) for span in traced.spans("insert note")} <= set(map(id_of, sent))
    assert Note.objects.count() == 5


def test_an_outboxes_delivery_is_linked_to_the_span_that_added_the_document(
    traced: Exported,
) -> None:
    with traced.tracer.start_as_current_span("request") as request:
        db.outbox.add(Note(text="for later"))
    db.outbox.deliver()
    (span,) = traced.spans("outbox deliver")
    (added, _) = traced.spans("transaction")
    assert links_of(span) == [id_of(added)]
    assert parent_of(added) == id_of(request)
    assert attributes(span) == {"datalayer.alias": "database1", "datalayer.documents": 1}


def test_an_outbox_holds_nothing_of_spans_where_nobody_traces(databases: Settings) -> None:
    db.outbox.add(Note(text="for later"))
    entry = db.database.client[db.database.name]["datalayer_outbox"].find_one()
    assert entry is not None
    assert "span" not in entry


# Batches


def test_each_batch_of_a_transfer_is_a_span_in_that_of_who_started_it(traced: Exported) -> None:
    things().insert_many([{} for _ in range(250)])
    traced.clear()
    with traced.tracer.start_as_current_span("moving") as moving:
        plan = transfer.plan(
            "traced",
            source="default",
            target="database1",
            collections=["things"],
            method="copy",
            batch_size=100,
        )
        transfer.run(plan)
    copied = traced.spans("transfer copy")
    assert sorted(attributes(span)["datalayer.documents"] for span in copied) == [50, 100, 100]
    assert {parent_of(span) for span in copied} == {id_of(moving)}
    assert len(traced.spans("transfer verify")) == 3
    reading = [span.context.trace_id for span in traced.spans("find things")]
    assert set(reading) == {id_of(moving)[0]}


def test_a_migration_is_a_span_with_one_for_each_step(
    databases: Settings, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "traced_migrations"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "0001_names.py").write_text(
        "def apply(m):\n    m.rename_field('things', 'old', 'new')\n"
        "def undo(m):\n    m.rename_field('things', 'new', 'old')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    things().insert_one({"old": 1})
    opentelemetry.instrument_traces(exported.provider)
    migrations.apply(package="traced_migrations")
    (step,) = exported.spans("migration step")
    around = exported.one("migration apply")
    assert step.name == "migration step rename_field"
    assert attributes(around) == {"datalayer.migration": "0001_names"}
    assert parent_of(step) == id_of(around)
