"""A few people in Lisbon and what they offer, so that there is something to see."""

from __future__ import annotations

from typing import NamedTuple

from datalayer.models import Advertisement, ChatMessage, Conversation, Profile, User

PASSWORD = "a-sample-password"  # noqa: S105 - that of the sample's people


class Person(NamedTuple):
    email: str
    name: str
    about: str
    place: tuple[float, float]
    offers: tuple[tuple[str, str, str, str], ...]


PEOPLE = (
    Person(
        "ada@example.org",
        "Ada",
        "Repairs typewriters.",
        (-9.1393, 38.7223),
        (
            ("Desk lamp", "Green glass, brass foot.\nThe bulb is new.", "light", "32.00"),
            (
                "Portable typewriter",
                "From 1958. Every key works.",
                "writing",
                "85.00",
            ),
        ),
    ),
    Person(
        "bruno@example.org",
        "Bruno",
        "Too many bicycles for one flat.",
        (-9.1427, 38.7369),
        (
            ("Track pump", "Fits every valve there is.", "bicycles", "9.50"),
            (
                "City bicycle, 3 gears",
                "Blue, with a basket.",
                "bicycles",
                "120.00",
            ),
        ),
    ),
    Person(
        "clara@example.org",
        "Clara",
        "Plants and pots.",
        (-9.2302, 38.7057),
        (
            ("Grand piano, tuned", "On the second floor: bring friends.", "music", "2400.00"),
            ("Lemon tree", "Two years old, in a clay pot, to be collected.", "garden", "25.00"),
        ),
    ),
)


def fill() -> None:
    """Make them, unless they are there."""
    if User.by_email(PEOPLE[0].email) is not None:
        return
    users = [_make(person) for person in PEOPLE]
    chat = Conversation.between(users[0], users[1])
    ChatMessage.send(chat, users[1], "Is the typewriter still there?")
    ChatMessage.send(chat, users[0], "It is. Come by on Saturday?")


def _make(person: Person) -> User:
    user = User(email=person.email)
    user.set_password(PASSWORD)
    user.save()
    place = list(person.place)
    Profile(user=user, display_name=person.name, about=person.about, location=place).save()
    for title, body, category, price in person.offers:
        offer = Advertisement(owner=user, title=title, body=body, category=category)
        offer.price, offer.currency = price, "EUR"
        offer.save()
        offer.publish()
    return user
