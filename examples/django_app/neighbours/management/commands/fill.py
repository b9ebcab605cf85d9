"""``manage.py fill``: a few neighbours to look at, unless there are some."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from datalayer import db
from neighbours.accounts import sign_up
from neighbours.models import Advertisement, ChatMessage, Conversation, Profile, User

PASSWORD = "neighbour"  # noqa: S105 - for neighbours that do not exist
NEIGHBOURS = (
    ("ada@example.org", "Ada", "Repairs bicycles.", (13.4050, 52.5200)),
    ("grace@example.org", "Grace", "Grows too many tomatoes.", (13.4170, 52.5230)),
    ("alan@example.org", "Alan", "Plays chess on Tuesdays.", (13.3880, 52.5170)),
)
OFFERS = (
    ("Bicycle, nearly new", "bicycles", "Red, seven gears, new brakes.", "180"),
    ("Tomatoes by the kilogram", "garden", "Ripe, in three colours.", "3.50"),
    ("Chess set", "games", "Of wood, complete.", "25"),
)


class Command(BaseCommand):
    help = "Stores a few neighbours with their offers, unless there are users."

    def handle(self, *arguments: Any, **options: Any) -> None:
        # A command connects by itself; the settings are those of Django.
        with db.connected():
            if User.objects.first() is not None:
                self.stdout.write("there are users already")
                return
            users = [self._neighbour(*each) for each in NEIGHBOURS]
            for user, (title, category, body, price) in zip(users, OFFERS, strict=True):
                offer = Advertisement(
                    owner=user, title=title, category=category, body=body, price=price,
                    currency="EUR",
                ).save()  # fmt: skip
                offer.publish()
            conversation = Conversation.between(users[0], users[1])
            ChatMessage.send(conversation, users[1], "Is the bicycle still there?")
        self.stdout.write(f"{len(users)} neighbours, each with an offer")

    def _neighbour(self, email: str, name: str, about: str, place: tuple[float, float]) -> User:
        user = sign_up(email, PASSWORD, name)
        profile = Profile.objects.get(user=user)
        profile.about, profile.location = about, list(place)
        profile.save()
        return user
