"""The analytics database: events, logs, metrics, history; alias ``database1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datalayer import recorder
from datalayer.connections.registry import registry
from datalayer.documents import AnalyticsDocument, define_model
from datalayer.service.service import DatabaseService

__all__ = ["AnalyticsService", "database1"]


class AnalyticsService(DatabaseService):
    """The service of the analytics database, which also makes models at run time."""

    def model(
        self,
        name: str,
        fields: Mapping[str, Any],
        *,
        indexes: Sequence[Any] = (),
        collection: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> type[AnalyticsDocument]:
        """An analytics model with these MongoEngine fields, defined now.

        The same definition again gives the same class. ``indexes`` are MongoEngine index
        specifications; they are built before the first write. ``collection`` defaults to
        MongoEngine's name for the model.

        Raises:
            ConfigurationError: when the name is taken by a model that is defined otherwise.
        """
        return define_model(
            AnalyticsDocument, name, fields, indexes=indexes, collection=collection, meta=meta
        )

    def status_unasked(self, error: str | None, latency_ms: float | None = None) -> dict[str, Any]:
        """``status()`` from a ping that is over, with the recorder's counters."""
        told = super().status_unasked(error, latency_ms)
        return {**told, "recorder": recorder.stats()}


database1 = AnalyticsService("database1")
registry.services["database1"] = database1
