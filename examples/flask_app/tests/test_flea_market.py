"""What visitors of the flea market can do, and what they can't."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest
from flask import Flask
from flask.testing import FlaskClient

from datalayer import recorder
from datalayer.errors import OutcomeUnknownError
from datalayer.models import (
    Advertisement,
    AnalyticsEvent,
    ChatMessage,
    Profile,
    Transaction,
    User,
)

Visitor = Callable[[str], FlaskClient]
OFFER = {"title": "Lamp", "body": "Green, works.", "category": "light", "price": "12.5"}


def offer_of(client: FlaskClient) -> str:
    return str(client.post("/offers", json={**OFFER, "currency": "EUR"}).json["id"])


# Accounts


def test_signing_up_makes_a_user_and_a_profile(app: Flask, visitor: Visitor) -> None:
    assert visitor("ada").get("/people").status_code == 200
    (user,) = User.objects
    assert user.password_hash.startswith("$argon2id$")
    assert Profile.of(user).display_name == "Ada"


def test_an_address_has_one_account(app: Flask, visitor: Visitor) -> None:
    visitor("ada")
    form = {"email": "ADA@example.org", "password": "another-one", "display_name": "Eve"}
    assert app.test_client().post("/sign-up", data=form).status_code == 409
    assert (User.objects.count(), Profile.objects.count()) == (1, 1)


def test_a_form_can_t_set_what_it_does_not_show(app: Flask) -> None:
    form = {"email": "eve@example.org", "password": "long-enough", "display_name": "Eve"}
    app.test_client().post("/sign-up", data={**form, "status": "suspended"})
    assert User.objects.get().status == "active"


def test_a_short_password_is_refused(app: Flask) -> None:
    form = {"email": "ada@example.org", "password": "short", "display_name": "Ada"}
    response = app.test_client().post("/sign-up", json=form)
    assert (response.status_code, list(response.json["error"])) == (400, ["password"])


@pytest.mark.parametrize(("password", "code"), [("ada-password", 303), ("wrong-password", 401)])
def test_signing_in(app: Flask, visitor: Visitor, password: str, code: int) -> None:
    visitor("ada")
    form = {"email": "Ada@example.org", "password": password}
    assert app.test_client().post("/sign-in", data=form).status_code == code


def test_an_address_without_an_account_takes_as_much_work(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []
    monkeypatch.setattr(User, "verify_password", lambda user, password: compared.append(user))
    form = {"email": "nobody-here@example.org", "password": "a-password"}
    assert app.test_client().post("/sign-in", data=form).status_code == 401
    assert len(compared) == 1


def test_an_operator_is_no_address(app: Flask, visitor: Visitor) -> None:
    visitor("ada")
    form = {"email": {"$ne": None}, "password": "ada-password"}
    assert app.test_client().post("/sign-in", json=form).status_code == 400


def test_signing_out(visitor: Visitor) -> None:
    client = visitor("ada")
    client.post("/sign-out")
    assert client.get("/payments").location == "/sign-in?next=/payments"


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}],
    ids=["Sec-Fetch-Site", "Origin"],
)
def test_a_form_of_another_site_is_refused(visitor: Visitor, headers: dict[str, str]) -> None:
    assert visitor("ada").post("/offers", json=OFFER, headers=headers).status_code == 403


# People


def test_people_nearby_are_found(visitor: Visitor) -> None:
    ada, bruno = visitor("ada"), visitor("bruno")
    bruno.post(
        "/profile", data={"display_name": "Bruno", "longitude": "-9.14", "latitude": "38.73"}
    )
    accept = {"Accept": "application/json"}
    near = ada.get("/people?longitude=-9.13&latitude=38.72&kilometres=5", headers=accept)
    far = ada.get("/people?longitude=-8.61&latitude=41.15&kilometres=5", headers=accept)
    assert [each["display_name"] for each in near.json["people"]] == ["Bruno"]
    assert far.json["people"] == []


def test_a_place_that_is_none_is_refused(visitor: Visitor) -> None:
    response = visitor("ada").post("/profile", data={"longitude": "200", "latitude": "100"})
    assert response.status_code == 400


# Offers


def test_an_offer_is_published_and_found(app: Flask, visitor: Visitor) -> None:
    key = offer_of(visitor("ada"))
    stranger = app.test_client()
    assert "Lamp" in stranger.get("/?words=green").text
    assert "12.50 EUR" in stranger.get(f"/offers/{key}").text


def test_what_others_offer_can_t_be_removed(visitor: Visitor) -> None:
    key = offer_of(visitor("ada"))
    assert visitor("eve").post(f"/offers/{key}/remove").status_code == 403
    assert Advertisement.objects.get().status == "active"


def test_an_offer_is_changed_by_its_owner(visitor: Visitor) -> None:
    ada = visitor("ada")
    page = f"/offers/{offer_of(ada)}/edit"
    assert 'value="Lamp"' in ada.get(page).text
    changed = {
        "title": "<Desk>",
        "body": "Grey.",
        "category": "wood",
        "price": "7.5",
        "currency": "USD",
    }
    assert ada.post(page, data={**changed, "status": "removed"}).status_code == 303
    offer = Advertisement.objects.get()
    assert (offer.title, str(offer.price), offer.status) == ("<Desk>", "7.50", "active")


def test_what_is_wrong_with_a_change_stands_beside_the_field(visitor: Visitor) -> None:
    ada = visitor("ada")
    page = f"/offers/{offer_of(ada)}/edit"
    changed = {"title": "", "body": "Grey.", "category": "wood", "price": "7.5", "currency": ""}
    answer = ada.post(page, data=changed)
    assert answer.status_code == 400
    assert 'id="title-error">This field is required.' in answer.text
    answer = ada.post(page, data={**changed, "title": "Desk"})
    assert 'id="currency-error">a price and its currency go together' in answer.text
    assert Advertisement.objects.get().title == "Lamp"


def test_a_change_may_be_json(visitor: Visitor) -> None:
    ada = visitor("ada")
    page = f"/offers/{offer_of(ada)}/edit"
    assert ada.post(page, json={"title": "Desk", "price": 7.5}).status_code == 201
    assert Advertisement.objects.get().title == "Desk"
    answer = ada.post(page, json={"title": {"$ne": None}})
    assert (answer.status_code, list(answer.json["error"])) == (400, ["title"])


def test_what_others_offer_can_t_be_changed(visitor: Visitor) -> None:
    key = offer_of(visitor("ada"))
    assert visitor("eve").get(f"/offers/{key}/edit").status_code == 403


def test_a_removed_offer_is_not_there(visitor: Visitor) -> None:
    ada = visitor("ada")
    key = offer_of(ada)
    ada.post(f"/offers/{key}/remove")
    assert ada.get(f"/offers/{key}").status_code == 404


def test_a_page_shows_what_people_write_as_text(visitor: Visitor) -> None:
    ada = visitor("ada")
    ada.post("/offers", json={**OFFER, "title": "<script>", "currency": "EUR"})
    assert "&lt;script&gt;" in ada.get("/").text


# Chats


def test_two_people_chat(visitor: Visitor) -> None:
    ada, bruno = visitor("ada"), visitor("bruno")
    other = User.by_email("ada@example.org").pk
    chat = bruno.post(f"/chats/with/{other}").location
    bruno.post(chat, data={"text": "Is it still there?"})
    assert "1 new" in ada.get("/chats").text
    messages = ada.get(chat, headers={"Accept": "application/json"}).json["messages"]
    assert [(each["mine"], each["text"]) for each in messages] == [(False, "Is it still there?")]
    assert "1 new" not in ada.get("/chats").text


def test_a_chat_of_others_is_not_there(visitor: Visitor) -> None:
    visitor("ada")
    chat = visitor("bruno").post(f"/chats/with/{User.by_email('ada@example.org').pk}").location
    eve = visitor("eve")
    assert (eve.get(chat).status_code, eve.post(chat, data={"text": "a"}).status_code) == (
        404,
        404,
    )
    assert ChatMessage.objects.count() == 0


# Payments


def test_a_payment_is_made_once_however_often_its_form_is_sent(visitor: Visitor) -> None:
    key, bruno = offer_of(visitor("ada")), visitor("bruno")
    answers = [bruno.post(f"/offers/{key}/buy", json={"payment_key": "k"}) for _ in range(3)]
    assert len({answer.json["id"] for answer in answers}) == 1
    (payment,) = Transaction.objects
    assert (str(payment.amount), payment.status) == ("12.50", "captured")


def test_a_form_sent_by_two_clicks_at_once_is_one_payment(app: Flask, visitor: Visitor) -> None:
    key = offer_of(visitor("ada"))
    visitor("bruno")

    def click(_: int) -> int:
        client = app.test_client()
        client.post("/sign-in", data={"email": "bruno@example.org", "password": "bruno-password"})
        return client.post(f"/offers/{key}/buy", json={"payment_key": "k"}).status_code

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(click, range(4))) == [201] * 4
    assert [payment.status for payment in Transaction.objects] == ["captured"]


def test_two_forms_are_two_payments(visitor: Visitor) -> None:
    key, bruno = offer_of(visitor("ada")), visitor("bruno")
    for form in ("one", "two"):
        bruno.post(f"/offers/{key}/buy", data={"payment_key": form})
    assert Transaction.objects.count() == 2


def test_a_payment_wants_a_key(visitor: Visitor) -> None:
    key, bruno = offer_of(visitor("ada")), visitor("bruno")
    assert bruno.post(f"/offers/{key}/buy").status_code == 400


def test_the_price_is_not_the_form_s(visitor: Visitor) -> None:
    key, bruno = offer_of(visitor("ada")), visitor("bruno")
    bruno.post(f"/offers/{key}/buy", data={"payment_key": "k", "price": "0.01"})
    assert str(Transaction.objects.get().amount) == "12.50"


def test_after_a_lost_reply_a_payment_may_be_sent_again(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, bruno = offer_of(visitor("ada")), visitor("bruno")

    def lose_the_reply(payment: Transaction) -> None:
        raise OutcomeUnknownError("the reply was lost")

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "authorise", lose_the_reply)
        first = bruno.post(f"/offers/{key}/buy", json={"payment_key": "k"})
    assert (first.status_code, first.headers["Retry-After"]) == (503, "2")
    assert bruno.post(f"/offers/{key}/buy", json={"payment_key": "k"}).json["status"] == "captured"


# Visits and health


def test_pages_that_are_shown_are_counted(app: Flask, visitor: Visitor) -> None:
    ada = visitor("ada")
    for path in ("/", "/", "/nowhere", "/readyz"):
        ada.get(path)
    assert recorder.flush(timeout=10)
    pages = [event.properties["page"] for event in AnalyticsEvent.objects]
    assert pages == ["/", "/"]
    assert "<td>2</td>" in ada.get("/visits").text


def test_the_market_goes_on_without_analytics(
    app: Flask, visitor: Visitor, datalayer_db: ModuleType
) -> None:
    ada = visitor("ada")
    datalayer_db.database1.disconnect()
    assert "analytics database is away" in ada.get("/visits").text
    assert ada.get("/").status_code == 200


def test_the_status_page_is_for_admins(visitor: Visitor) -> None:
    codes = [visitor(name).get("/status").status_code for name in ("ada", "bruno")]
    assert codes == [200, 403]


def test_admins_find_their_way_to_the_status_page(visitor: Visitor) -> None:
    links = ['href="/status"' in visitor(name).get("/").text for name in ("ada", "bruno")]
    assert links == [True, False]


def test_every_page_is_shown(visitor: Visitor) -> None:
    ada = visitor("ada")
    pages = ("/", "/offers/new", "/people", "/profile", "/chats", "/payments", "/visits")
    assert {page: ada.get(page).status_code for page in pages} == dict.fromkeys(pages, 200)
