"""What comes back from a form that is not right, and what is understood though it looks odd."""

from __future__ import annotations

import re
from decimal import Decimal

from django.test import SimpleTestCase
from neighbours import forms
from neighbours.models import Advertisement, ChatMessage, Conversation, Profile, User

from tests.cases import PASSWORD, NeighboursTestCase, text_of, value_in

OFFER = {"title": "Lamp", "category": "light", "body": "Green,\r\nworks.", "price": "12,50"}


def tag_of(page: str, name: str) -> str:
    """The tag of the input with this name."""
    found = re.search(rf'<(?:input|textarea)[^>]* name="{name}"[^>]*>', page)
    assert found is not None, page
    return found[0]


class AFormThatIsRefused(NeighboursTestCase):
    def test_has_what_was_typed_and_each_error_beside_its_field(self) -> None:
        _, browser = self.neighbour("ada")
        sent = OFFER | {"category": " ", "price": "1.234,50"}
        page = text_of(browser.post("/advertisements/new", sent))
        assert 'value="Lamp"' in tag_of(page, "title")
        for name, said in (("category", "This field is required."), ("price", "Write an amount")):
            assert 'aria-invalid="true"' in tag_of(page, name)
            assert re.search(rf'aria-describedby="[^"]*id_{name}_error"', tag_of(page, name))
            assert re.search(rf'id="id_{name}_error"><li>{said}', page)
        assert "aria-invalid" not in tag_of(page, "title")
        assert Advertisement.objects.count() == 0

    def test_has_the_cursor_in_the_first_field_with_an_error(self) -> None:
        page = text_of(self.client.post("/sign-up", {"display_name": "Ada", "email": "nonsense"}))
        assert page.count("autofocus") == 1
        assert "autofocus" in tag_of(page, "email")
        assert "<title>Error: Sign up" in page

    def test_never_has_the_password(self) -> None:
        form = {"email": "ada@example.org", "password": "wrong-password"}
        page = text_of(self.client.post("/login", form))
        assert 'value="ada@example.org"' in tag_of(page, "email")
        assert "wrong-password" not in page

    def test_of_a_chat_keeps_the_chat(self) -> None:
        ada, browser = self.neighbour("ada")
        grace, _ = self.neighbour("grace")
        conversation = Conversation.between(ada, grace)
        ChatMessage.send(conversation, grace, "Hello.")
        page = text_of(browser.post(f"/chat/{conversation.pk}", {"text": "a" * 4001}))
        assert ("Hello." in page, 'id="id_text_error"' in page) == (True, True)
        assert ChatMessage.objects.count() == 1


class Numbers(SimpleTestCase):
    def price(self, written: str) -> forms.Offer:
        return forms.Offer(OFFER | {"price": written})

    def test_an_amount_has_a_point_or_a_comma(self) -> None:
        for written in ("12,50", "12.50", " 12.5 "):
            form = self.price(written)
            assert form.is_valid(), form.errors
            assert form.cleaned_data["price"] == Decimal("12.50")

    def test_what_could_be_another_amount_is_explained(self) -> None:
        for written in ("1,234", "1.234,50", "12,50 EUR", "-1", "1e9", "NaN"):
            form = self.price(written)
            assert form.errors.as_data().keys() == {"price"}
            assert "12.50 or 12,50" in form.errors["price"][0]

    def test_longitude_and_latitude_go_together(self) -> None:
        for alone, missing in (("latitude", "longitude"), ("longitude", "latitude")):
            form = forms.EditProfile({"display_name": "Ada", alone: "38,7"})
            assert form.errors == {missing: ["Longitude and latitude go together."]}

    def test_degrees_have_a_point_or_a_comma(self) -> None:
        form = forms.Nearby({"longitude": "-9,14", "latitude": "38.73", "kilometres": "0,5"})
        assert form.is_valid(), form.errors
        assert form.cleaned_data == {"longitude": -9.14, "latitude": 38.73, "kilometres": 0.5}

    def test_forms_take_what_the_models_take(self) -> None:
        pairs = {
            forms.Offer: (Advertisement, "title", "category", "body"),
            forms.EditProfile: (Profile, "display_name", "about"),
            forms.SignUp: (User, "email"),
            forms.Message: (ChatMessage, "text"),
        }
        for form, (model, *names) in pairs.items():
            for name in names:
                field = form.base_fields[name]
                assert (field.max_length, field.required) == (
                    getattr(model, name).max_length,
                    getattr(model, name).required,
                )


class WhatIsMade(NeighboursTestCase):
    def test_an_offer_that_is_sent_twice_is_there_once(self) -> None:
        _, browser = self.neighbour("ada")
        key = value_in(text_of(browser.get("/advertisements/new")), "key")
        for _ in range(2):
            answer = browser.post("/advertisements/new", OFFER | {"key": key})
            assert answer.headers["Location"] == f"/advertisements/{key}"
        assert Advertisement.objects.get().status == "active"

    def test_a_message_that_is_sent_twice_is_there_once(self) -> None:
        ada, browser = self.neighbour("ada")
        grace, _ = self.neighbour("grace")
        path = f"/chat/{Conversation.between(ada, grace).pk}"
        key = value_in(text_of(browser.get(path)), "key")
        for said in ("Hello!", "Hello!", "Still there?"):
            browser.post(path, {"text": said, "key": key})
        said_once = [each.text for each in ChatMessage.objects.order_by("id")]
        assert said_once == ["Hello!", "Still there?"]

    def test_nobody_takes_the_id_of_anothers_offer(self) -> None:
        ada, _ = self.neighbour("ada")
        _, stranger = self.neighbour("eve")
        sent = OFFER | {"key": str(self.offer_of(ada).pk)}
        assert stranger.post("/advertisements/new", sent).status_code == 403
        assert Advertisement.objects.get().title == "Bicycle"

    def test_line_breaks_stay_and_count_as_one_character(self) -> None:
        _, browser = self.neighbour("ada")
        page = text_of(browser.post("/advertisements/new", OFFER, follow=True))
        assert '<p class="text" dir="auto">Green,\nworks.</p>' in page
        full = OFFER | {"body": "a\r\n" * 5000}
        assert browser.post("/advertisements/new", full).status_code == 302

    def test_a_password_is_taken_as_it_was_typed(self) -> None:
        form = {"email": "ada@example.org", "display_name": "Ada", "password": "  blanks  "}
        self.client.post("/sign-up", form)
        assert User.objects.get().verify_password("  blanks  ")

    def test_after_a_redirect_a_page_says_once_what_was_done(self) -> None:
        _, browser = self.neighbour("ada")
        sent = {"display_name": "Łucja 李 🚲", "email": "", "password": PASSWORD}
        page = text_of(browser.post("/profile", sent, follow=True))
        assert '<p class="notice" role="status">Your profile is saved.</p>' in page
        assert 'value="Łucja 李 🚲"' in page
        assert "is saved" not in text_of(browser.get("/profile"))
