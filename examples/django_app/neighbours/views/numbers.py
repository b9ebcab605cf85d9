"""Which pages are looked at, from the analytics database."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from datalayer import recorder
from datalayer.errors import DataLayerError
from neighbours.models import AnalyticsEvent

_COUNTED: list[dict[str, Any]] = [
    {"$group": {"_id": "$properties.route", "views": {"$sum": 1}}},
    {"$sort": {"views": -1}},
]


def overview(request: HttpRequest) -> HttpResponse:
    try:
        found = list(AnalyticsEvent.objects(name="page.viewed").aggregate(_COUNTED))
    except DataLayerError:
        found = None  # the analytics database is away, and the rest goes on
    rows = None if found is None else [(each["_id"], each["views"]) for each in found]
    return render(request, "numbers.html", {"rows": rows, "recorder": recorder.stats()})
