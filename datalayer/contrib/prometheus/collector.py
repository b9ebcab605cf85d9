"""The collector that prometheus_client asks for the figures of one process, and how readings
become its metric families."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from datalayer.contrib.prometheus.metrics import (
    METRICS,
    Metric,
    Reading,
    counted,
    gauges,
)
from datalayer.monitoring.durations import BOUNDS_SECONDS, Distribution

BOUNDS = (*map(str, BOUNDS_SECONDS), "+Inf")
"""The values of the label ``le``."""


class DataLayerCollector(Collector):
    """Reads the figures of this process whenever it is asked for them.

    It keeps nothing, asks no server, and never raises because of one.
    """

    def collect(self) -> Iterator[Family]:
        """The figures of this moment."""
        return _families(chain(gauges(), counted()))

    def describe(self) -> Iterator[Family]:
        """The metrics without figures, by which a registry notices a name that is taken."""
        return _families(())


def _families(readings: Iterable[Reading]) -> Iterator[Family]:
    families = {metric: _family(metric) for metric in METRICS}
    for metric, labels, value in readings:
        family = families[metric]
        if isinstance(family, HistogramMetricFamily):
            assert isinstance(value, Distribution)  # noqa: S101 - for the type checker
            counts = (*value.up_to, value.count)
            family.add_metric(labels, list(zip(BOUNDS, counts, strict=True)), value.sum_seconds)
        else:
            assert not isinstance(value, Distribution)  # noqa: S101 - as above
            family.add_metric(labels, value)
    yield from families.values()


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily:
    if metric.kind == "counter":
        return CounterMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    if metric.kind == "gauge":
        return GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    return HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
