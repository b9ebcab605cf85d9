"""What the tests have in common."""

from __future__ import annotations

import re
from unittest.mock import patch

from argon2 import PasswordHasher
from django.http import HttpResponse
from django.test import Client, SimpleTestCase
from neighbours.accounts import sign_up
from neighbours.models import Advertisement, User

from datalayer.contrib.django.test import EmptyDatabasesMixin

PASSWORD = "a good password"  # noqa: S105 - of the tests


class NeighboursTestCase(EmptyDatabasesMixin, SimpleTestCase):
    """Each test begins with empty databases. There is no SQL database, as ``TestCase`` wants."""

    @classmethod
    def setUpClass(cls) -> None:
        # Hashing is slow on purpose. Here nobody has to be kept from guessing.
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        hasher = patch("datalayer.models.business.user.password_hasher", return_value=cheap)
        cls.enterClassContext(hasher)
        super().setUpClass()

    def neighbour(self, name: str) -> tuple[User, Client]:
        """A user, and a browser in which it is signed in."""
        user = sign_up(f"{name}@example.org", PASSWORD, name.capitalize())
        browser = Client()
        form = {"email": user.email, "password": PASSWORD}
        assert browser.post("/login", form).status_code == 302
        return user, browser

    def offer_of(self, owner: User, **changes: object) -> Advertisement:
        """A published offer."""
        offer = {"title": "Bicycle", "category": "bicycles", "body": "Red.", "price": "180"}
        advertisement = Advertisement(owner=owner, currency="EUR", **(offer | changes)).save()
        advertisement.publish()
        return advertisement


def text_of(answer: HttpResponse) -> str:
    return answer.content.decode()


def value_in(page: str, name: str) -> str:
    """What the page's form brings along in its hidden input of this name."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]
