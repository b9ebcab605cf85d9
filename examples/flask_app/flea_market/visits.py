"""Which pages are looked at, recorded without making anyone wait."""

from __future__ import annotations

from bson import ObjectId
from flask import Blueprint, Flask, Response, render_template, request, session
from flask.typing import ResponseReturnValue

from datalayer import recorder
from datalayer.documents import utc_now
from datalayer.errors import DataLayerError
from datalayer.models import AnalyticsEvent, User
from flea_market.accounts import signed_in

blueprint = Blueprint("visits", __name__)


def prepare(app: Flask) -> None:
    """Record each page of ``app`` that is shown."""
    app.after_request(_record)


def _record(response: Response) -> Response:
    shown = request.method == "GET" and response.status_code == 200
    page = response.mimetype == "text/html" and request.blueprint != "datalayer_health"
    if shown and page and request.url_rule:
        key = session.get("user_id")
        recorder.record(
            {
                "name": "page.viewed",
                "user_id": ObjectId(key) if key else None,
                "properties": {"page": request.url_rule.rule},
                "occurred_at": utc_now(),
            },
            AnalyticsEvent,
        )
    return response


@blueprint.get("/visits")
@signed_in
def overview(user: User) -> ResponseReturnValue:
    """How often each page was looked at. Analytics may be away: then there is nothing to show."""
    try:
        views = AnalyticsEvent.objects(name="page.viewed")
        counted = list(views.aggregate([{"$sortByCount": "$properties.page"}]))
    except DataLayerError:
        counted = None
    return render_template("visits.html", counted=counted)
