"""What all pages have, and what each says where there is nothing or too much to show."""

from __future__ import annotations

import re
from unittest.mock import patch

from bson import ObjectId
from django.test import Client, SimpleTestCase, override_settings
from neighbours.models import Advertisement, AnalyticsEvent, ChatMessage, Conversation, Transaction

from datalayer import recorder
from datalayer.errors import UnavailableError
from tests.cases import PASSWORD, NeighboursTestCase, text_of

PAGES = ("/", "/advertisements/new", "/nearby", "/profile", "/chat", "/payments", "/numbers")
FOR_STRANGERS = ("/login", "/sign-up")
TOKEN = "for Prometheus"  # noqa: S105 - of the tests


def title_of(page: str) -> str:
    found = re.search("<title>(.*)</title>", page)
    assert found is not None
    return found[1]


class EachPage(NeighboursTestCase):
    def pages(self) -> dict[str, str]:
        _, browser = self.neighbour("ada")
        pages = {page: text_of(browser.get(page)) for page in PAGES}
        return pages | {page: text_of(self.client.get(page)) for page in FOR_STRANGERS}

    def test_has_a_title_of_its_own(self) -> None:
        titles = [title_of(page) for page in self.pages().values()]
        assert len(set(titles)) == len(titles)

    def test_can_be_read_aloud_and_used_without_a_mouse(self) -> None:
        for page in self.pages().values():
            assert (
                page.count("<h1") == page.count('<main id="main"') == page.count("<header>") == 1
            )
            assert '<a class="skip" href="#main">' in page
            for each in re.findall(r'<(?:input|textarea)(?![^>]*type="hidden")[^>]*>', page):
                assert " autocomplete=" in each
                name = re.search(r' id="(\w+)"', each)
                assert name is not None
                assert f'<label for="{name[1]}">' in page

    def test_says_what_to_do_where_there_is_nothing_yet(self) -> None:
        _, browser = self.neighbour("ada")
        said = {
            "/": "Nothing is on offer yet.",
            "/?words=lamp": "Nothing on offer has these words.",
            "/chat": "No chats yet.",
            "/payments": "You have paid for nothing yet.",
            "/nearby": "Where? Fill in a place",
            "/nearby?longitude=1&latitude=1&kilometres=1": "Nobody there.",
        }
        assert [p for p, words in said.items() if words not in text_of(browser.get(p))] == []


class LongLists(NeighboursTestCase):
    def test_have_pages(self) -> None:
        ada, _ = self.neighbour("ada")
        for number in range(3):
            self.offer_of(ada, title=f"Bicycle {number}")
        with patch("neighbours.pages._PAGE", 2):
            first = text_of(self.client.get("/?words=bicycle"))
            second = text_of(self.client.get("/?page=2"))
        assert 'rel="next" href="?words=bicycle&amp;page=2"' in first
        assert ("Bicycle 0" in second, "Bicycle 2" in second) == (True, False)
        assert ('rel="prev"' in second, 'rel="next"' in second) == (True, False)

    def test_have_no_other_pages(self) -> None:
        for page in ("0", "-1", "1000000000000", "51", "x", "²"):
            assert self.client.get("/", {"page": page}).status_code == 404

    def test_of_messages_begin_with_the_latest(self) -> None:
        ada, browser = self.neighbour("ada")
        grace, _ = self.neighbour("grace")
        conversation = Conversation.between(ada, grace)
        for said in ("first", "second", "third"):
            ChatMessage.send(conversation, grace, said)
        path = f"/chat/{conversation.pk}"
        with patch("neighbours.views.chat._MESSAGES", 2):
            latest = text_of(browser.get(path))
            earlier = re.search(r'href="(\?before=[^"]+)"', latest)
            assert earlier is not None
            assert ("first" in latest, latest.index("second") < latest.index("third")) == (
                False,
                True,
            )
            assert "first" in text_of(browser.get(path + earlier[1]))
        assert browser.get(f"{path}?before=nonsense").status_code == 404


class Chats(NeighboursTestCase):
    def test_name_the_other_and_who_said_what(self) -> None:
        ada, browser = self.neighbour("ada")
        grace, _ = self.neighbour("grace")
        conversation = Conversation.between(ada, grace)
        ChatMessage.send(conversation, grace, "Are there\ntomatoes?")
        ChatMessage.send(conversation, ada, "There are.")
        page = text_of(browser.get(f"/chat/{conversation.pk}"))
        assert title_of(page) == "Chat with Grace · Neighbours"
        assert re.findall(r'<p class="quiet">(?:<bdi>)?(\w+)', page) == ["Grace", "You"]
        assert ">Are there\ntomatoes?</p>" in page


class Paying(NeighboursTestCase):
    def test_is_not_for_an_offer_of_ones_own(self) -> None:
        ada, browser = self.neighbour("ada")
        _, other = self.neighbour("grace")
        page = f"/advertisements/{self.offer_of(ada).pk}"
        assert f"{page}/pay" not in text_of(browser.get(page))
        assert f"{page}/pay" in text_of(other.get(page))
        sent = {"idempotency_key": "b8f0a3e2-9e5b-4a3c-8f57-0c8de3b1c9b3"}
        codes = [browser.get(f"{page}/pay"), browser.post(f"{page}/pay", sent)]
        assert [each.status_code for each in codes] == [403, 403]
        assert "This is your own offer" in text_of(codes[0])
        assert Transaction.objects.count() == 0

    def test_shows_amounts_and_moments_for_people(self) -> None:
        ada, _ = self.neighbour("ada")
        _, browser = self.neighbour("grace")
        offer = self.offer_of(ada, price="2400")
        page = f"/advertisements/{offer.pk}/pay"
        assert "Pay 2,400.00 EUR</button>" in text_of(browser.get(page))
        sent = {"idempotency_key": "b8f0a3e2-9e5b-4a3c-8f57-0c8de3b1c9b3"}
        text = text_of(browser.post(page, sent, follow=True))
        assert "Paid: 2,400.00 EUR." in text
        created = Transaction.objects.get().created_at
        assert f"{created.day} {created:%B %Y, %H:%M} UTC</time>" in text


class LoggingIn(NeighboursTestCase):
    def test_leads_to_where_one_wanted_to_be(self) -> None:
        self.neighbour("ada")
        form = {"email": "ada@example.org", "password": PASSWORD}
        path = self.client.get("/payments?page=1").headers["Location"]
        assert self.client.post(path, form | {"password": "wrong"}).status_code == 200
        assert self.client.post(path, form).headers["Location"] == "/payments?page=1"

    def test_after_a_button_leads_back_to_its_page(self) -> None:
        answer = self.client.post(
            f"/chat/with/{ObjectId()}", headers={"referer": "http://testserver/advertisements/1?a"}
        )
        assert answer.headers["Location"] == "/login?next=/advertisements/1"

    def test_leads_to_no_other_site(self) -> None:
        self.neighbour("ada")
        form = {"email": "ada@example.org", "password": PASSWORD}
        for page in ("//evil.example", "/\\evil.example", "https://evil.example", ""):
            answer = self.client.post("/login", form, query_params={"next": page})
            assert answer.headers["Location"] == "/"

    def test_keeps_pages_from_the_back_button(self) -> None:
        _, browser = self.neighbour("ada")
        assert "no-store" in browser.get("/profile").headers["Cache-Control"]


class Errors(NeighboursTestCase):
    def test_ids_that_are_none_are_not_found(self) -> None:
        _, browser = self.neighbour("ada")
        for key in (ObjectId(), "1", "$where", "6b0d6656203de69bf7f11c8", "%00"):
            for page in (f"/advertisements/{key}", f"/chat/{key}", f"/advertisements/{key}/pay"):
                assert browser.get(page).status_code == 404, page

    @override_settings(DEBUG=False)  # or Django shows what went wrong to those who develop
    def test_have_pages_that_look_like_the_others(self) -> None:
        _, browser = self.neighbour("ada")
        browser.raise_request_exception = False
        html = {"accept": "text/html"}
        shown = {404: browser.get("/nowhere")}
        strict = Client(enforce_csrf_checks=True)
        shown[403] = strict.post("/sign-up", {})
        for code, error in ((503, UnavailableError("away")), (500, ZeroDivisionError())):
            with (
                patch.object(Advertisement, "search", side_effect=error),
                self.assertLogs(level="ERROR"),
            ):
                shown[code] = browser.get("/?words=a", headers=html)
        assert [answer.status_code for answer in shown.values()] == list(shown)
        for answer in shown.values():
            page = text_of(answer)
            assert ('id="main"' in page, "--accent" in page, "<h1>" in page) == (True, True, True)
            assert "away" not in page


class Metrics(NeighboursTestCase):
    def test_are_there_for_prometheus_and_are_no_page_view(self) -> None:
        answer = self.client.get("/metrics")
        assert 'datalayer_database_state{alias="default",state="connected"} 1.0' in text_of(answer)
        assert recorder.flush(timeout=10)
        assert AnalyticsEvent.objects.count() == 0


class MetricsWithoutADatabase(SimpleTestCase):
    @override_settings(METRICS_TOKEN=TOKEN)
    def test_are_there_for_those_who_bring_the_token(self) -> None:
        given = {"authorization": f"Bearer {TOKEN}"}
        codes = [self.client.get("/metrics", headers=each).status_code for each in ({}, given)]
        assert codes == [401, 200]
