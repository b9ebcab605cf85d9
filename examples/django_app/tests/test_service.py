"""Page views, errors and health."""

from __future__ import annotations

from unittest.mock import patch

from django.test import Client
from neighbours.models import AnalyticsEvent

from datalayer import recorder
from datalayer.errors import UnavailableError
from tests.cases import NeighboursTestCase, text_of


def viewed() -> list[str]:
    recorder.flush(10)
    found = AnalyticsEvent.objects(name="page.viewed").order_by("occurred_at")
    return [event.properties["route"] for event in found]


class PageViews(NeighboursTestCase):
    def test_are_recorded_with_the_user(self) -> None:
        ada, browser = self.neighbour("ada")
        browser.get("/profile")
        assert viewed() == ["profile"]
        assert AnalyticsEvent.objects.get().user_id == ada.pk

    def test_of_strangers_are_recorded_without(self) -> None:
        self.client.get("/")
        assert viewed() == ["home"]
        assert AnalyticsEvent.objects.get().user_id is None

    def test_of_probes_are_not_recorded(self) -> None:
        self.client.get("/livez")
        self.client.get("/readyz")
        assert viewed() == []

    def test_are_counted(self) -> None:
        for _ in range(3):
            self.client.get("/")
        recorder.flush(10)
        assert "<td>home</td><td>3</td>" in text_of(self.client.get("/numbers"))

    def test_are_missing_while_the_analytics_database_is_away_and_the_page_is_there(self) -> None:
        with patch.object(AnalyticsEvent, "objects", side_effect=UnavailableError("away")):
            answer = self.client.get("/numbers")
        assert answer.status_code == 200
        assert "The analytics database is away." in text_of(answer)


class Service(NeighboursTestCase):
    def test_a_database_that_is_away_is_a_temporary_failure(self) -> None:
        with patch("neighbours.views.advertisements.Advertisement.objects") as objects:
            objects.side_effect = UnavailableError("away")
            answer = Client(raise_request_exception=False).get(
                "/", headers={"accept": "text/html"}
            )
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert "One moment, please" in text_of(answer)

    def test_it_tells_that_it_is_ready(self) -> None:
        assert self.client.get("/readyz").json() == {"status": "pass"}

    def test_its_status_is_not_for_everybody(self) -> None:
        assert self.client.get("/status").status_code in (401, 403)
