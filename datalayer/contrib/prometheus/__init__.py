"""Prometheus: the figures of all databases, in one process or in several.

    from datalayer.contrib import prometheus

    prometheus.register()

They are exposed with the application's other metrics, in whichever way it exposes those.
``metrics`` names each and reads it; ``collector`` exposes those of one process, ``multiprocess``
writes those of several.
"""

from __future__ import annotations

import contextlib
import os

try:
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector
except ImportError as exc:
    raise ImportError(
        "datalayer.contrib.prometheus needs prometheus-client: "
        'pip install "mongoengine-datalayer[prometheus]"'
    ) from exc

from datalayer.contrib.prometheus.collector import DataLayerCollector
from datalayer.contrib.prometheus.multiprocess import Publisher, is_multi_process

__all__ = ["DataLayerCollector", "register", "registry_to_scrape", "unregister"]

_collector = DataLayerCollector()
_publisher = Publisher()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_publisher.before_fork,
        after_in_parent=_publisher.after_fork_in_parent,
        after_in_child=_publisher.after_fork_in_child,
    )


def register(registry: CollectorRegistry = REGISTRY, *, interval_seconds: float = 5.0) -> None:
    """Have datalayer's figures exposed. Idempotent; before or after connecting.

    In one process ``registry`` reads them when it is scraped. In prometheus_client's
    multi-process mode (``PROMETHEUS_MULTIPROC_DIR``) each process, and each one forked from it,
    writes its own every ``interval_seconds`` instead. Where forks run no handlers, as under
    uWSGI, call it in each worker.

    Raises:
        ValueError: when ``registry`` has a metric of the same name already.
    """
    if is_multi_process():
        _publisher.start(interval_seconds)
        return
    unregister(registry)
    registry.register(_collector)


def unregister(registry: CollectorRegistry = REGISTRY) -> None:
    """Expose them no longer. In multi-process mode, this process's gauges become 0."""
    _publisher.stop()
    with contextlib.suppress(KeyError):  # it was not registered there
        registry.unregister(_collector)


def registry_to_scrape() -> CollectorRegistry:
    """What a scrape is answered from: all metrics of this process, or in multi-process mode
    those of all processes.

        generate_latest(registry_to_scrape())

    Raises:
        ValueError: where ``PROMETHEUS_MULTIPROC_DIR`` is no directory.
    """
    if not is_multi_process():
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no annotations
    return registry
