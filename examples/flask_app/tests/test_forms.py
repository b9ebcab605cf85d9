"""What comes back from a form that is not right, and what is understood though it looks odd."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flea_market import create_app
from flea_market.forms import amount, errors_of, place

from datalayer.models import Advertisement, ChatMessage, Profile, User

Visitor = Callable[[str], FlaskClient]
OFFER = {
    "title": "Lamp",
    "body": "Green,\r\nworks.",
    "category": "light",
    "price": "12,50",
    "currency": "EUR",
}


@pytest.fixture(scope="module")
def forms_only() -> Flask:
    """The application, with no database: for what asks none."""
    return create_app({"SECRET_KEY": "test"})


def tag_of(page: str, name: str) -> str:
    """The tag of the input with this name."""
    found = re.search(rf'<(?:input|textarea|select)[^>]* name="{name}"[^>]*>', page)
    assert found is not None, page
    return found[0]


# A form that comes back


def test_a_form_comes_back_with_what_was_typed_and_each_error_beside_its_field(
    visitor: Visitor,
) -> None:
    sent = {**OFFER, "category": " ", "price": "1.234,50"}
    answer = visitor("ada").post("/offers", data=sent)
    assert answer.status_code == 400
    assert 'value="Lamp"' in tag_of(answer.text, "title")
    assert "Green,\r\nworks.</textarea>" in answer.text
    for name, said in (("category", "Please fill this in."), ("price", "Write an amount as")):
        assert 'aria-invalid="true"' in tag_of(answer.text, name)
        assert re.search(rf'aria-describedby="[^"]*{name}-error"', tag_of(answer.text, name))
        assert re.search(rf'id="{name}-error">{said}', answer.text)
    assert "aria-invalid" not in tag_of(answer.text, "title")
    assert Advertisement.objects.count() == 0


def test_the_cursor_is_in_the_first_field_with_an_error(visitor: Visitor) -> None:
    page = visitor("ada").post("/offers", data={**OFFER, "category": "", "price": "much"}).text
    assert page.count("autofocus") == 1
    assert "autofocus" in tag_of(page, "category")


def test_the_title_says_that_there_is_an_error(visitor: Visitor) -> None:
    page = visitor("ada").post("/offers", data={**OFFER, "title": ""}).text
    assert "<title>Error: Offer something" in page


def test_all_errors_of_a_sign_up_come_at_once_and_no_password_comes_back(app: Flask) -> None:
    sent = {"email": "nonsense", "password": "short", "display_name": ""}
    page = app.test_client().post("/sign-up", data=sent).text
    assert page.count('class="error"') == 3
    assert 'value="nonsense"' in tag_of(page, "email")
    assert 'value=""' in tag_of(page, "password")


def test_a_wrong_password_is_told_in_the_form(app: Flask, visitor: Visitor) -> None:
    visitor("ada")
    sent = {"email": "ada@example.org", "password": "wrong-password"}
    answer = app.test_client().post("/sign-in", data=sent)
    assert answer.status_code == 401
    assert 'value="ada@example.org"' in tag_of(answer.text, "email")
    assert "The address or the password is wrong." in answer.text


def test_a_password_is_taken_as_it_was_typed(app: Flask) -> None:
    sent = {"email": "ada@example.org", "password": "  blanks  ", "display_name": "Ada"}
    app.test_client().post("/sign-up", data=sent)
    assert User.objects.get().verify_password("  blanks  ")


def test_the_errors_of_json_are_json(visitor: Visitor) -> None:
    answer = visitor("ada").post("/offers", json={"title": 5, "price": {"$gt": 0}})
    assert set(answer.json["error"]) == {"title", "body", "category", "price"}


# Numbers


@pytest.mark.parametrize("written", ["12,50", "12.50", "12.5"])
def test_an_amount_has_a_point_or_a_comma(forms_only: Flask, written: str) -> None:
    with forms_only.test_request_context("/", method="POST", data={"price": written}):
        assert amount("price") == Decimal("12.50")


@pytest.mark.parametrize("written", ["1,234", "1.234,50", "12,50 EUR", "-1", "1e30", "NaN", "½"])
def test_what_could_be_another_amount_is_explained(forms_only: Flask, written: str) -> None:
    with forms_only.test_request_context("/", method="POST", data={"price": written}):
        errors = errors_of(lambda: amount("price"))
    assert errors == {"price": "Write an amount as 12.50 or 12,50, without a sign for thousands."}


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        ({"latitude": "38,7"}, "longitude"),
        ({"longitude": "-9.1"}, "latitude"),
        ({"longitude": "190", "latitude": "38.7"}, "longitude"),
        ({"longitude": "-9.1", "latitude": "nan"}, "latitude"),
    ],
    ids=["latitude alone", "longitude alone", "too far east", "no number"],
)
def test_what_is_no_place_is_refused(forms_only: Flask, sent: dict[str, str], wrong: str) -> None:
    with forms_only.test_request_context("/", method="POST", data=sent):
        assert list(errors_of(place)) == [wrong]


def test_a_latitude_alone_changes_nothing(visitor: Visitor) -> None:
    ada = visitor("ada")
    there = {"display_name": "Ada", "longitude": "-9,14", "latitude": "38,73"}
    assert ada.post("/profile", data=there).status_code == 303
    refused = ada.post("/profile", data={"display_name": "Eve", "latitude": "50"})
    assert (refused.status_code, 'id="longitude-error"' in refused.text) == (400, True)
    (profile,) = Profile.objects
    assert profile.location["coordinates"] == [-9.14, 38.73]
    assert profile.display_name == "Ada"


def test_a_place_can_be_taken_back(visitor: Visitor) -> None:
    ada = visitor("ada")
    for sent in ({"longitude": "1", "latitude": "1"}, {"longitude": "", "latitude": ""}):
        ada.post("/profile", data={"display_name": "Ada", **sent})
    assert Profile.objects.get().location is None


# What is made


def form_id_in(page: str) -> str:
    """The id that the page's form brings along, of what it makes."""
    found = re.search(r'name="form_id" value="(\w+)"', page)
    assert found is not None, page
    return found[1]


def test_an_offer_that_is_sent_twice_is_there_once(visitor: Visitor) -> None:
    ada = visitor("ada")
    form_id = form_id_in(ada.get("/offers/new").text)
    pages = {ada.post("/offers", data={**OFFER, "form_id": form_id}).location for _ in "12"}
    assert pages == {f"/offers/{form_id}"}
    assert Advertisement.objects.get().status == "active"


def test_nobody_takes_the_id_of_another_s_offer(visitor: Visitor) -> None:
    made = visitor("ada").post("/offers", data=OFFER).location.rpartition("/")[2]
    sent = {**OFFER, "title": "Mine", "form_id": made}
    assert visitor("eve").post("/offers", data=sent).status_code == 403
    assert Advertisement.objects.get().title == "Lamp"


def test_line_breaks_stay_and_count_as_one_character(visitor: Visitor) -> None:
    ada = visitor("ada")
    page = ada.get(ada.post("/offers", data=OFFER).location).text
    assert '<p class="text" dir="auto">Green,\nworks.</p>' in page
    full = "a\r\n" * 5000  # as many characters as the form takes
    assert ada.post("/offers", data={**OFFER, "body": full}).status_code == 303


def test_an_offer_needs_no_price_and_then_can_t_be_bought(visitor: Visitor) -> None:
    page = visitor("ada").post("/offers", data={**OFFER, "price": ""}).location
    bruno = visitor("bruno")
    assert "Price to be agreed on" in bruno.get(page).text
    assert f"{page}/buy" not in bruno.get(page).text
    assert bruno.get(f"{page}/buy").status_code == 404


def test_an_empty_message_is_not_sent(visitor: Visitor) -> None:
    visitor("ada")
    bruno = visitor("bruno")
    chat = bruno.post(f"/chats/with/{User.by_email('ada@example.org').pk}").location
    answer = bruno.post(chat, data={"text": " \r\n "})
    assert (answer.status_code, 'id="text-error"' in answer.text) == (400, True)
    assert ChatMessage.objects.count() == 0


def test_a_message_that_is_sent_twice_is_there_once(visitor: Visitor) -> None:
    visitor("ada")
    bruno = visitor("bruno")
    chat = bruno.post(f"/chats/with/{User.by_email('ada@example.org').pk}").location
    form_id = form_id_in(bruno.get(chat).text)
    for said in ("Hello!", "Hello!", "Still there?"):
        assert bruno.post(chat, data={"text": said, "form_id": form_id}).status_code == 303
    assert [each.text for each in ChatMessage.objects.order_by("id")] == ["Hello!", "Still there?"]
