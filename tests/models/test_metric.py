"""Metrics: a real time-series collection."""

from __future__ import annotations

from datetime import timedelta

import pytest
from models_explained import indexes_used
from mongoengine.errors import ValidationError

from datalayer.connections.registry import database
from datalayer.documents import utc_now
from datalayer.models import Metric, MetricSeries


def test_the_collection_is_a_time_series_that_expires() -> None:
    Metric.record("load", 0.5)
    (found,) = database("database1").list_collections(filter={"name": "metrics"})
    assert found["type"] == "timeseries"
    assert found["options"]["expireAfterSeconds"] == 90 * 24 * 3600
    assert found["options"]["timeseries"]["metaField"] == "series"


def test_it_still_expires_after_drop_and_recreate() -> None:
    Metric.record("load", 0.5)
    Metric.drop_collection()
    Metric.record("load", 0.5)
    options = database("database1")["metrics"].options()
    assert options["expireAfterSeconds"] == 90 * 24 * 3600


def test_measurements_are_found_by_name_and_period() -> None:
    old = Metric(
        series=MetricSeries(name="load"), value=1, measured_at=utc_now() - timedelta(hours=1)
    ).save()
    new = Metric.record("load", 2.0, host="a")
    Metric.record("memory", 3.0)
    assert [each.value for each in Metric.named("load")] == [2.0, 1.0]
    assert [each.value for each in Metric.named("load", since=new.measured_at)] == [2.0]
    assert [each.value for each in Metric.named("load", until=new.measured_at)] == [old.value]
    assert Metric.named("load").first().series.labels == {"host": "a"}


def test_many_are_inserted_at_once() -> None:
    series = MetricSeries(name="load")
    Metric.objects.insert([Metric(series=series, value=number) for number in range(100)])
    assert Metric.named("load").count() == 100


def test_a_measurement_has_no_stamps() -> None:
    Metric.record("load", 1.0)
    raw = Metric._get_collection().find_one()
    assert sorted(raw) == ["_id", "measured_at", "series", "value"]


def test_a_number_and_a_name_are_required() -> None:
    with pytest.raises(ValidationError, match="value"):
        Metric.record("load", "high")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="series"):
        Metric.record("", 1.0)


def test_finding_by_name_uses_its_index() -> None:
    Metric.record("load", 1.0)
    used = indexes_used(Metric.named("load", since=utc_now() - timedelta(days=1)))
    assert used == {"series.name_1_measured_at_-1"}
