"""Signing up, in and out, and profiles."""

from __future__ import annotations

from django.test import Client
from neighbours.accounts import sign_up
from neighbours.models import Profile, User

from datalayer.contrib.django.sessions import Session, SessionStore
from tests.cases import PASSWORD, NeighboursTestCase, text_of

FORM = {"email": "ada@example.org", "display_name": "Ada", "password": PASSWORD}


class SigningUp(NeighboursTestCase):
    def test_makes_a_user_with_a_profile_and_signs_it_in(self) -> None:
        assert self.client.post("/sign-up", FORM).status_code == 302
        user = User.by_email("ADA@example.org")
        assert user is not None
        assert user.password_hash.startswith("$argon2id$")
        assert Profile.of(user).display_name == "Ada"
        assert self.client.get("/profile").status_code == 200

    def test_an_address_has_one_account(self) -> None:
        sign_up("ada@example.org", PASSWORD, "Ada")
        answer = self.client.post("/sign-up", FORM | {"email": "Ada@Example.org"})
        assert "There is an account with this address." in text_of(answer)
        assert (User.objects.count(), Profile.objects.count()) == (1, 1)

    def test_a_short_password_is_refused(self) -> None:
        answer = self.client.post("/sign-up", FORM | {"password": "short"})
        assert "at least 8 characters" in text_of(answer)
        assert User.objects.count() == 0

    def test_a_form_without_its_token_is_refused(self) -> None:
        strict = Client(enforce_csrf_checks=True)
        assert strict.post("/sign-up", FORM).status_code == 403


class LoggingIn(NeighboursTestCase):
    def test_the_session_names_the_user_and_nothing_else(self) -> None:
        user, _ = self.neighbour("ada")
        (session,) = Session.objects
        assert SessionStore(session.key).load() == {"user": str(user.pk)}

    def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(self) -> None:
        sign_up("ada@example.org", PASSWORD, "Ada")
        for email, password in (("ada@example.org", "wrong"), ("eve@example.org", PASSWORD)):
            answer = self.client.post("/login", {"email": email, "password": password})
            assert "The address or the password is wrong." in text_of(answer)
            assert "user" not in self.client.session

    def test_the_session_gets_a_new_key(self) -> None:
        sign_up("ada@example.org", PASSWORD, "Ada")
        session = self.client.session
        session["planted"] = True
        session.save()
        self.client.cookies["sessionid"] = before = session.session_key
        self.client.post("/login", {"email": "ada@example.org", "password": PASSWORD})
        assert self.client.session.session_key != before

    def test_a_suspended_user_is_signed_out(self) -> None:
        user, browser = self.neighbour("ada")
        user.status = "suspended"
        user.save()
        assert browser.get("/profile").headers["Location"] == "/login?next=/profile"

    def test_logging_out_ends_the_session(self) -> None:
        _, browser = self.neighbour("ada")
        browser.post("/logout")
        assert browser.get("/profile").headers["Location"] == "/login?next=/profile"
        assert Session.objects.count() == 0


class Profiles(NeighboursTestCase):
    def test_are_edited(self) -> None:
        user, browser = self.neighbour("ada")
        form = {"display_name": "Ada L.", "about": "", "longitude": "13.4", "latitude": "52.5"}
        assert "Your profile is saved." in text_of(browser.post("/profile", form, follow=True))
        profile = Profile.of(user)
        assert profile.display_name == "Ada L."
        assert profile.location["coordinates"] == [13.4, 52.5]

    def test_nothing_but_the_forms_fields_is_taken(self) -> None:
        user, browser = self.neighbour("ada")
        other, _ = self.neighbour("eve")
        browser.post("/profile", {"display_name": "Ada", "user": str(other.pk), "status": "x"})
        assert Profile.of(user).display_name == "Ada"

    def test_the_nearest_come_first_and_the_far_ones_not_at_all(self) -> None:
        _, browser = self.neighbour("ada")
        for name, longitude in (("far", 20.0), ("second", 13.42), ("first", 13.41)):
            user, _ = self.neighbour(name)
            profile = Profile.of(user)
            profile.location = [longitude, 52.5]
            profile.save()
        place = {"longitude": 13.4, "latitude": 52.5, "kilometres": 5}
        text = text_of(browser.get("/nearby", place))
        assert "Far" not in text
        assert 0 < text.index("First") < text.index("Second")
