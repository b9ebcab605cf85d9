"""What all pages have, and what each says where there is nothing or too much to show."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from bson import ObjectId
from flask import Flask
from flask.testing import FlaskClient
from flea_market import create_app, web
from flea_market.accounts import next_page

from datalayer import recorder
from datalayer.errors import UnavailableError
from datalayer.models import (
    Advertisement,
    AnalyticsEvent,
    ChatMessage,
    Conversation,
    Profile,
    Transaction,
    User,
)

Visitor = Callable[[str], FlaskClient]
OFFER = {
    "title": "Lamp",
    "body": "Green.",
    "category": "light",
    "price": "12.5",
    "currency": "EUR",
}
PAGES = ("/", "/offers/new", "/people", "/profile", "/chats", "/payments", "/visits")
FOR_STRANGERS = ("/sign-in", "/sign-up")


def user(name: str) -> User:
    found = User.by_email(f"{name}@example.org")
    assert found is not None
    return found


def title_of(page: str) -> str:
    found = re.search("<title>(.*)</title>", page)
    assert found is not None
    return found[1]


# All pages


def test_each_page_has_a_title_of_its_own(app: Flask, visitor: Visitor) -> None:
    ada, stranger = visitor("ada"), app.test_client()
    titles = [title_of(ada.get(page).text) for page in PAGES]
    titles += [title_of(stranger.get(page).text) for page in (*FOR_STRANGERS, "/nowhere")]
    assert len(set(titles)) == len(titles)


def test_each_page_can_be_read_aloud_and_used_without_a_mouse(
    app: Flask, visitor: Visitor
) -> None:
    ada, stranger = visitor("ada"), app.test_client()
    pages = [ada.get(page).text for page in PAGES]
    pages += [stranger.get(page).text for page in FOR_STRANGERS]
    for page in pages:
        assert page.count("<h1") == page.count('<main id="main"') == page.count("<header>") == 1
        assert '<a class="skip" href="#main">' in page
        inputs = re.findall(r"<(?:input|textarea|select)(?![^>]*type=\"hidden\")[^>]*>", page)
        for each in inputs:
            assert " autocomplete=" in each
            name = re.search(r' id="(\w+)"', each)
            assert name is not None
            assert f'<label for="{name[1]}">' in page


def test_the_forms_take_what_the_models_take(app: Flask, visitor: Visitor) -> None:
    ada, stranger = visitor("ada"), app.test_client()
    models = {
        "/offers/new": (ada, Advertisement, ("title", "body", "category")),
        "/profile": (ada, Profile, ("display_name", "about")),
        "/sign-up": (stranger, User, ("email",)),
    }
    for page, (client, model, names) in models.items():
        for name in names:
            field = getattr(model, name)
            tag = re.search(rf'<[^>]* name="{name}"[^>]*>', client.get(page).text)
            assert tag is not None
            assert f'maxlength="{field.max_length}"' in tag[0]
            assert ("required" in tag[0]) == field.required


def test_where_there_is_nothing_yet_a_page_says_what_to_do(visitor: Visitor) -> None:
    ada = visitor("ada")
    said = {
        "/": "Nothing is on offer yet.",
        "/?words=lamp": "Nothing on offer has these words.",
        "/chats": "No chats yet.",
        "/payments": "You have bought nothing yet.",
        "/people": "Where? Fill in a place",
        "/people?longitude=1&latitude=1": "Nobody there.",
    }
    assert [page for page, words in said.items() if words not in ada.get(page).text] == []


def test_names_in_all_scripts_stay_as_they_are(visitor: Visitor) -> None:
    name = "Łucja 李 🚲 אדה"
    ada = visitor("ada")
    ada.post("/profile", data={"display_name": name})
    key = ada.post("/offers", json=OFFER).json["id"]
    assert f"<bdi>{name}</bdi>" in visitor("bruno").get(f"/offers/{key}").text


def test_amounts_and_moments_are_written_for_people(visitor: Visitor) -> None:
    key = visitor("ada").post("/offers", json={**OFFER, "price": "2400"}).json["id"]
    bruno = visitor("bruno")
    page = bruno.post(f"/offers/{key}/buy", data={"payment_key": "k"}, follow_redirects=True).text
    assert "Paid: 2,400.00 EUR for Lamp." in page  # once, after the redirect
    assert '<p class="price">2,400.00 EUR</p>' in page
    created = Transaction.objects.get().created_at
    assert f'<time datetime="{created.isoformat(timespec="seconds")}">' in page
    assert f"{created.astimezone():%B %Y, %H:%M %Z}</time>" in page
    assert "Paid:" not in bruno.get("/payments").text


# Long lists


def test_a_long_list_has_pages(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_PAGE", 2)
    ada = visitor("ada")
    for number in range(3):
        ada.post("/offers", json={**OFFER, "title": f"Lamp {number}"})
    first, second = ada.get("/?words=lamp").text, ada.get("/?page=2").text
    assert 'rel="next" href="/?page=2&amp;words=lamp"' in first
    assert ("Lamp 0" in second, "Lamp 2" in second) == (True, False)
    assert ('rel="prev"' in second, 'rel="next"' in second) == (True, False)


def test_payments_are_paged_by_key(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_PAGE", 2)
    ada = visitor("ada")
    for number in range(3):
        Transaction.charge(
            user("ada"), 1, "EUR", idempotency_key=f"{number}", description=f"Lamp {number}"
        )
    first = ada.get("/payments").text
    link = re.search('rel="next" href="([^"]*)"', first)
    assert link is not None
    second = ada.get(link[1]).text
    assert ("Lamp 2" in first, "Lamp 0" in second, "Lamp 1" in second) == (True, True, False)
    assert ada.get("/payments?cursor=made-up").status_code == 404


@pytest.mark.parametrize("page", ["0", "-1", "1000000000000", "51"])
def test_a_page_that_is_none_is_not_found(app: Flask, page: str) -> None:
    assert app.test_client().get(f"/?page={page}").status_code == 404


def test_earlier_messages_are_a_click_away(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flea_market.chats._MESSAGES", 2)
    ada, _ = visitor("ada"), visitor("bruno")
    chat = Conversation.between(user("ada"), user("bruno"))
    for said in ("first", "second", "third"):
        ChatMessage.send(chat, user("bruno"), said)
    latest = ada.get(f"/chats/{chat.pk}").text
    earlier = re.search(r'href="([^"]+before=[^"]+)"', latest)
    assert earlier is not None
    assert ("first" in latest, latest.index("second") < latest.index("third")) == (False, True)
    assert "first" in ada.get(earlier[1]).text


# Chats and payments


def test_a_chat_names_the_other_and_who_said_what(visitor: Visitor) -> None:
    ada, _ = visitor("ada"), visitor("bruno")
    chat = Conversation.between(user("ada"), user("bruno"))
    ChatMessage.send(chat, user("bruno"), "Is it\nstill there?")
    ada.post(f"/chats/{chat.pk}", data={"text": "It is."})
    page = ada.get(f"/chats/{chat.pk}").text
    assert title_of(page) == "Chat with Bruno · Flea market"
    assert re.findall(r'<p class="soft">(?:<bdi>)?(\w+)', page) == ["Bruno", "You"]
    assert ">Is it\nstill there?</p>" in page


def test_nobody_chats_with_himself(visitor: Visitor) -> None:
    ada = visitor("ada")
    assert ada.post(f"/chats/with/{user('ada').pk}").status_code == 404


def test_nobody_pays_for_an_offer_of_his_own(visitor: Visitor) -> None:
    ada = visitor("ada")
    page = f"/offers/{ada.post('/offers', json=OFFER).json['id']}"
    assert f"{page}/buy" not in ada.get(page).text
    assert f"{page}/buy" in visitor("bruno").get(page).text
    codes = [ada.get(f"{page}/buy"), ada.post(f"{page}/buy", json={"payment_key": "k"})]
    assert [each.status_code for each in codes] == [403, 403]
    assert Transaction.objects.count() == 0


def test_before_paying_one_sees_what_for_and_how_much(visitor: Visitor) -> None:
    page = f"/offers/{visitor('ada').post('/offers', json=OFFER).json['id']}"
    confirm = visitor("bruno").get(f"{page}/buy").text
    assert ("Lamp" in confirm, "Ada" in confirm) == (True, True)
    assert "<button>Pay 12.50 EUR</button>" in confirm
    assert 'name="payment_key"' in confirm


# Signing in and out


def test_after_signing_in_one_is_where_one_wanted_to_be(app: Flask, visitor: Visitor) -> None:
    visitor("ada")
    client = app.test_client()
    form = client.get("/payments?page=1").location
    account = {"email": "ada@example.org", "password": "ada-password"}
    assert client.post(form, data={**account, "password": "wrong"}).status_code == 401
    assert client.post(form, data=account).location == "/payments?page=1"


def test_after_a_button_one_comes_back_to_its_page(app: Flask, visitor: Visitor) -> None:
    visitor("ada")
    headers = {"Referer": "http://localhost/offers/1?a=b"}
    answer = app.test_client().post(f"/chats/with/{user('ada').pk}", headers=headers)
    assert answer.location == "/sign-in?next=/offers/1"


@pytest.mark.parametrize(
    "page", ["//evil.example", "/\\evil.example", "/\t/evil.example", "https://evil.example", ""]
)
def test_signing_in_leads_to_no_other_site(page: str) -> None:
    app = create_app({"SECRET_KEY": "test"})
    with app.test_request_context("/sign-in", query_string={"next": page}):
        assert next_page("offers.home") == "/"


def test_no_browser_keeps_what_is_for_one_visitor(app: Flask, visitor: Visitor) -> None:
    assert visitor("ada").get("/profile").headers["Cache-Control"] == "no-store"
    assert "Cache-Control" not in app.test_client().get("/").headers


# What is not there, and what goes wrong


def test_an_address_with_another_id_is_not_found(visitor: Visitor) -> None:
    ada = visitor("ada")
    for key in (ObjectId(), "1", "$where", "6b0d6656203de69bf7f11c8", "%00"):
        for page in (f"/offers/{key}", f"/chats/{key}", f"/offers/{key}/buy"):
            assert ada.get(page).status_code == 404, page
    assert ada.get(f"/chats/{ObjectId()}?before=x").status_code == 404


def test_pages_for_errors_look_like_the_others(
    app: Flask, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = visitor("ada")
    app.testing = False  # or an error would come through to the test
    app.config["PROPAGATE_EXCEPTIONS"] = False
    shown = {404: ada.get("/nowhere")}
    for code, error in ((503, UnavailableError("away")), (500, ZeroDivisionError())):
        with monkeypatch.context() as patch:

            def fail(*_: object, error: Exception = error) -> None:
                raise error

            patch.setattr(Advertisement, "objects", property(fail))
            patch.setattr("flea_market.accounts.current_user", fail)
            patch.setattr("flea_market.offers.Advertisement.search", fail)
            shown[code] = ada.get("/?words=a")
    assert {code: answer.status_code for code, answer in shown.items()} == {
        code: code for code in shown
    }
    for answer in shown.values():
        assert 'href="/static/style.css"' in answer.text
        assert "Sign out" in answer.text
        assert "away" not in answer.text


# For machines


def test_metrics_are_there_for_prometheus_and_are_no_page_view(app: Flask) -> None:
    client = app.test_client()
    client.get("/livez")
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert 'datalayer_database_state{alias="default",state="connected"} 1.0' in answer.text
    assert recorder.flush(timeout=10)
    assert AnalyticsEvent.objects.count() == 0


def test_metrics_need_no_database_and_may_want_a_token() -> None:
    client = create_app({"SECRET_KEY": "test", "METRICS_TOKEN": "for Prometheus"}).test_client()
    given = {"Authorization": "Bearer for Prometheus"}
    codes = [client.get("/metrics", headers=each).status_code for each in ({}, given)]
    assert codes == [401, 200]


def test_a_developer_sees_what_a_page_asks_of_the_databases(visitor: Visitor) -> None:
    visitor("ada")
    app = create_app({"TESTING": True, "SECRET_KEY": "test", "DEBUG_TB_ENABLED": True})
    page = app.test_client().get("/").text
    assert "Commands to MongoDB" in page
    assert "flea_market/web.py" in page


def test_nobody_else_does(app: Flask) -> None:
    assert "MongoDB" not in app.test_client().get("/").text
