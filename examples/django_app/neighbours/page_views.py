"""Records which pages are looked at, in the analytics database."""

from __future__ import annotations

from collections.abc import Callable

from bson import ObjectId
from django.http import HttpRequest, HttpResponse

from datalayer import recorder
from neighbours.accounts import SESSION_KEY
from neighbours.models import AnalyticsEvent


class PageViewMiddleware:
    """Hands each page view to the recorder, which stores it later and in batches: a request
    never waits for the analytics database, and none fails because it is away."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        match = request.resolver_match
        page = response.headers.get("Content-Type", "").startswith("text/html")
        if request.method == "GET" and page and match is not None and not match.namespace:
            user = request.session.get(SESSION_KEY)
            event = {
                "name": "page.viewed",
                "user_id": ObjectId(user) if user else None,
                # The route rather than the path: there are few, and none names a person.
                "properties": {"route": match.url_name, "code": response.status_code},
            }
            recorder.record(event, AnalyticsEvent)
        return response
