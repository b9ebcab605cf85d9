"""Durations counted since the start."""

from __future__ import annotations

from datalayer.monitoring.durations import BOUNDS_SECONDS, Durations


def test_a_duration_is_counted_up_to_each_bound_that_it_does_not_pass() -> None:
    durations = Durations()
    durations.record_all([1_000, 1_001, 30_000_000])
    distribution = durations.distribution()
    up_to = dict(zip(BOUNDS_SECONDS, distribution.up_to, strict=True))
    assert (up_to[0.0005], up_to[0.001], up_to[0.0025], up_to[25.0]) == (0, 1, 2, 2)
    assert distribution.count == 3
    assert distribution.sum_seconds == 30.002001


def test_what_was_counted_stays_counted() -> None:
    durations = Durations()
    durations.record_all([200])
    durations.record_all([])
    durations.record_all([200, 300])
    assert durations.distribution().up_to[:3] == (0, 2, 3)
