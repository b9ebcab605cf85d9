"""Finds the documents of a period of time, which all models of analytics have."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from datalayer.documents import Document, QuerySet

Model = TypeVar("Model", bound=Document)


def in_period(
    model: type[Model],
    time_field: str,
    since: datetime | None,
    until: datetime | None,
    **conditions: Any,
) -> QuerySet[Model]:
    """Those that fulfil ``conditions``, from ``since`` on and before ``until``, newest first."""
    limits = {f"{time_field}__gte": since, f"{time_field}__lt": until}
    conditions.update((name, moment) for name, moment in limits.items() if moment is not None)
    return model.objects(**conditions).order_by(f"-{time_field}")
