"""Events for the analytics database, taken from request threads without making them wait.

    from datalayer import recorder

    recorder.record({"name": "page.viewed"}, AnalyticsEvent)

The functions here are those of one ``Recorder``, the application's. It begins with the defaults;
``db.connect_all`` gives it the settings.

``recorder`` is what applications call: it appends to the ``queues``, one for a model, where
``backpressure`` says what happens when one is full. The ``batcher`` makes batches of them,
``encoding`` BSON. A ``sender`` stores them, by ``bulk_insert`` and, where a collection takes an
``_id`` twice, ``time_series``. ``spool/`` is how events lie on the disk: ``spool_writer`` puts
them there, ``spool_replay`` sends what processes that are gone have left. ``counters`` add up in
memory; ``state`` is what all the threads share.
"""

from __future__ import annotations

import os

from datalayer import shutdown
from datalayer.recorder.counters import Counter
from datalayer.recorder.recorder import Recorder
from datalayer.settings import RecorderSettings

__all__ = [
    "Counter",
    "Recorder",
    "RecorderSettings",
    "configure",
    "counter",
    "default",
    "flush",
    "record",
    "stats",
]

_BEFORE_FORK_SECONDS = 1.0

default = Recorder()
"""The application's recorder."""

configure = default.configure
record = default.record
counter = default.counter
flush = default.flush
stats = default.stats

shutdown.late_writers.add(default)


def _before_fork() -> None:
    # The parent may never run its threads again: a server that only watches its workers.
    if default.may_have_work():
        default.flush(_BEFORE_FORK_SECONDS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=default.after_fork)
