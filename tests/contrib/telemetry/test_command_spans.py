"""Spans of commands, as OpenTelemetry's SDK gets them, with real traffic on real servers.

https://opentelemetry.io/docs/specs/semconv/db/mongodb/
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import connected, model_registry, settings_for
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.semconv.attributes import (
    db_attributes,
    error_attributes,
    network_attributes,
    server_attributes,
)
from opentelemetry.trace import SpanKind, StatusCode
from pymongo.cursor import CursorType
from pymongo.errors import BulkWriteError, OperationFailure
from spans import Exported, attributes, events, fail_next, id_of, seconds, things
from waiting import wait_until

from datalayer import Settings, db
from datalayer.connections.registry import registry
from datalayer.contrib import opentelemetry
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import PoolExhaustedError

POOL = "db.client.connection.pool.name"


def test_a_command_is_described_as_the_conventions_want_it(
    mongod: EmbeddedMongo, databases: Settings, traced: Exported
) -> None:
    things().find_one({"secret": "hidden"})
    span = traced.one("find")
    host, _, port = mongod.hosts[0].partition(":")
    assert span.name == "find things"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert attributes(span) == {
        db_attributes.DB_SYSTEM_NAME: "mongodb",
        db_attributes.DB_NAMESPACE: databases["default"].database,
        db_attributes.DB_COLLECTION_NAME: "things",
        db_attributes.DB_OPERATION_NAME: "find",
        db_attributes.DB_QUERY_SUMMARY: "find things",
        server_attributes.SERVER_ADDRESS: host,
        server_attributes.SERVER_PORT: int(port),
        network_attributes.NETWORK_PEER_ADDRESS: host,
        network_attributes.NETWORK_PEER_PORT: int(port),
        POOL: "default",
    }


def test_a_command_is_a_part_of_the_applications_span(traced: Exported) -> None:
    with traced.tracer.start_as_current_span("request") as request:
        things().find_one()
    parent = traced.one("find").parent
    assert parent is not None
    assert (parent.trace_id, parent.span_id) == id_of(request)


def test_a_command_without_a_collection_names_its_database(traced: Exported) -> None:
    db.database.client.admin.command("buildInfo")
    span = traced.one("buildInfo")
    assert span.name == "buildInfo admin"
    assert attributes(span)[db_attributes.DB_NAMESPACE] == "admin"
    assert db_attributes.DB_COLLECTION_NAME not in attributes(span)


def test_no_value_of_a_query_or_a_document_is_in_a_span(traced: Exported) -> None:
    things().insert_one({"_id": "hidden", "email": "hidden@example.com"})
    things().find_one({"email": "hidden@example.com"})
    with pytest.raises(OperationFailure):
        things().insert_one({"_id": "hidden"})
    with pytest.raises(OperationFailure):
        things().update_one({"_id": "hidden"}, {"$inc": {"email": 1}})
    things().delete_one({"_id": "hidden"})
    assert len(traced.spans()) == 5
    assert "hidden" not in "".join(span.to_json() for span in traced.spans())


# Batches and cursors


@pytest.mark.parametrize(("count", "told"), [(1, None), (2, 2), (300, 300)])
def test_a_batch_of_inserts_tells_its_size(traced: Exported, count: int, told: int | None) -> None:
    things().insert_many([{} for _ in range(count)])
    size = attributes(traced.one("insert")).get(db_attributes.DB_OPERATION_BATCH_SIZE)
    assert size == told


def test_batches_that_are_refused_in_part_tell_their_size_too(traced: Exported) -> None:
    with pytest.raises(BulkWriteError):
        things().insert_many([{"_id": 1}, {"_id": 1}, {"_id": 2}], ordered=False)
    span = traced.one("insert")
    assert attributes(span)[db_attributes.DB_OPERATION_BATCH_SIZE] == 3
    assert attributes(span)[error_attributes.ERROR_TYPE] == "11000"
    assert attributes(span)[db_attributes.DB_RESPONSE_STATUS_CODE] == "11000"
    assert span.status.status_code is StatusCode.ERROR


def test_each_command_of_a_bulk_write_is_a_span_that_begins_when_the_last_one_ended(
    traced: Exported,
) -> None:
    from pymongo import DeleteMany, InsertOne

    things().bulk_write([InsertOne({}), InsertOne({}), DeleteMany({})])
    inserted, deleted = traced.spans()
    assert (inserted.name, deleted.name) == ("insert things", "delete things")
    assert deleted.start_time == inserted.end_time


def test_what_a_cursor_reads_later_is_linked_to_the_span_that_opened_it(traced: Exported) -> None:
    things().insert_many([{} for _ in range(250)])
    assert len(list(things().find(batch_size=100))) >= 250
    opened, *more = traced.spans("find") + traced.spans("getMore")
    assert len(more) >= 2
    for span in more:
        assert [id_of_link(link) for link in span.links] == [id_of(opened)]
        assert span.name == "getMore things"


def id_of_link(link: Any) -> tuple[int, int]:
    return link.context.trace_id, link.context.span_id


# Failures and attempts


def test_an_error_of_the_server_has_its_code_and_its_name(traced: Exported) -> None:
    with pytest.raises(OperationFailure):
        db.database.client.admin.command("noSuchCommand")
    span = traced.one("noSuchCommand")
    assert attributes(span)[error_attributes.ERROR_TYPE] == "59"
    assert attributes(span)[db_attributes.DB_RESPONSE_STATUS_CODE] == "59"
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "CommandNotFound (59)"


def test_an_attempt_that_was_repeated_is_an_event_of_one_span(traced: Exported) -> None:
    things().find_one()
    fail_next("find", 89)
    traced.clear()
    things().find_one()
    span = traced.one("find")
    assert span.status.status_code is StatusCode.UNSET
    retry = events(span)["datalayer.retry"]
    assert retry == {"error.type": "89", "db.response.status_code": "89"}


def test_an_attempt_that_got_no_answer_is_one_too(
    mongod: EmbeddedMongo, database_name: str, exported: Exported
) -> None:
    opentelemetry.instrument_traces(exported.provider)
    with FaultyProxy(mongod.hosts[0]) as proxy, model_registry():
        uris = {"default": proxy.uri_for(database_name)}
        with connected(Settings(databases=uris)):
            exported.clear()
            proxy.swallow_reply("find")
            things().find_one()
            span = exported.one("find")
    assert events(span)["datalayer.retry"] == {"error.type": "AutoReconnect"}
    assert span.status.status_code is StatusCode.UNSET


def test_where_the_last_attempt_fails_too_the_span_has_its_error(traced: Exported) -> None:
    things().find_one()
    fail_next("find", 89)
    traced.clear()
    with pytest.raises(OperationFailure):
        things().find_one({"$noSuchOperator": 1})
    span = traced.one("find")
    assert events(span)["datalayer.retry"]["error.type"] == "89"
    assert attributes(span)[error_attributes.ERROR_TYPE] == "2"
    assert span.status.status_code is StatusCode.ERROR


def test_waiting_for_a_connection_is_an_event_and_a_part_of_the_span(
    mongod: EmbeddedMongo, exported: Exported
) -> None:
    opentelemetry.instrument_traces(exported.provider)
    small = settings_for(mongod, max_pool_size=1)
    with model_registry(), connected(small):
        things().insert_one({})
        slow = {"$where": "sleep(200) || true"}
        other = threading.Thread(target=lambda: things().find_one(slow))
        exported.clear()
        other.start()
        pool = registry.connection("default").monitors.pool
        wait_until(lambda: pool.snapshot()["in_use"], 30, "the other operation has it")
        db.database.client.admin.command("buildInfo")
        other.join()
        span = exported.one("buildInfo")
    waited = events(span)["datalayer.connection_acquired"]["datalayer.wait_seconds"]
    assert 0.05 < waited <= seconds(span)


def test_an_operation_that_got_no_connection_has_a_span(
    mongod: EmbeddedMongo, exported: Exported
) -> None:
    opentelemetry.instrument_traces(exported.provider)
    small = settings_for(mongod, max_pool_size=1, wait_queue_timeout_ms=50)
    with model_registry(), connected(small):
        things().insert_many([{"number": number} for number in range(300)])
        cursor = things().find(cursor_type=CursorType.EXHAUST, batch_size=1)
        next(cursor)  # keeps its connection until it is closed
        exported.clear()
        with pytest.raises(PoolExhaustedError):
            things().find_one()
        span = exported.one("find")
        cursor.close()
    assert attributes(span)[error_attributes.ERROR_TYPE] == "PoolExhaustedError"
    assert events(span)["datalayer.connection_failed"]["error.type"] == "timeout"
    assert seconds(span) >= 0.05


def test_a_fail_over_is_an_attempt_and_a_wait_for_the_new_primary(
    replset: EmbeddedMongo, exported: Exported
) -> None:
    opentelemetry.instrument_traces(exported.provider)
    with model_registry(), connected(settings_for(replset)):
        things().insert_one({})
        primary = db.database.client.primary
        assert primary is not None
        exported.clear()
        step_down()
        things().insert_one({})
        span = exported.one("insert")
    told = events(span)
    assert span.status.status_code is StatusCode.UNSET
    assert told["datalayer.server_selected"]["datalayer.wait_seconds"] <= seconds(span)
    assert server_attributes.SERVER_ADDRESS not in attributes(span)


def step_down() -> None:
    """Have the primary give up its office for a while."""
    db.database.client.admin.command(
        "replSetStepDown", 5, secondaryCatchUpPeriodSecs=5, force=True
    )


def test_an_operation_does_not_fail_where_its_span_does(
    databases: Settings, exported: Exported, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError("hidden")

    exported.provider.add_span_processor(Failing())
    opentelemetry.instrument_traces(exported.provider)
    things().insert_one({"_id": 1})
    fail_next("find", 2)
    with pytest.raises(OperationFailure):
        things().find_one()
    assert things().find_one() == {"_id": 1}
    assert "a command was not counted (RuntimeError)" in caplog.text
    assert "hidden" not in caplog.text


# Switching on and off


def test_without_instrumenting_no_span_is_made(databases: Settings, exported: Exported) -> None:
    things().find_one()
    assert exported.spans() == []


def test_after_uninstrumenting_no_span_is_made(traced: Exported) -> None:
    things().find_one()
    opentelemetry.uninstrument_traces()
    things().find_one()
    assert traced.names() == ["find things"]


def test_instrumenting_twice_makes_no_span_twice(databases: Settings, exported: Exported) -> None:
    opentelemetry.instrument_traces(exported.provider)
    opentelemetry.instrument_traces(exported.provider)
    things().find_one()
    assert exported.names() == ["find things"]


def test_databases_that_are_connected_later_are_traced(
    mongod: EmbeddedMongo, exported: Exported
) -> None:
    opentelemetry.instrument_traces(exported.provider)
    with model_registry(), connected(settings_for(mongod)):
        exported.clear()
        things().find_one()
        assert exported.names() == ["find things"]


def test_spans_outside_of_others_are_left_out_on_request(
    databases: Settings, exported: Exported
) -> None:
    opentelemetry.instrument_traces(exported.provider, require_parent=True)
    things().find_one()
    with exported.tracer.start_as_current_span("request"):
        things().count_documents({})
    assert exported.names() == ["aggregate things", "request"]


def test_metrics_and_spans_go_together(databases: Settings, traced: Exported) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    opentelemetry.instrument(MeterProvider([reader]))
    try:
        things().find_one()
        assert reader.get_metrics_data() is not None
    finally:
        opentelemetry.uninstrument()
    assert traced.names() == ["find things"]
    things().find_one()
    assert traced.names() == ["find things"] * 2


def test_the_sdks_own_traffic_is_not_traced(traced: Exported) -> None:
    from opentelemetry.instrumentation.utils import suppress_instrumentation

    with suppress_instrumentation():
        things().find_one()
    assert traced.spans() == []
