"""The demo's documents: invented by Faker and random numbers from one seed, so that every run has
the same people, offers and payments, at times counted back from its start."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from datalayer.errors import ConfigurationError
from datalayer.models import (
    Advertisement,
    AnalyticsEvent,
    ChatMessage,
    Conversation,
    Document,
    Metric,
    MetricSeries,
    Preferences,
    Profile,
    Transaction,
    User,
)

BERLIN = (13.405, 52.52)  # longitude, latitude

_CITIES = (BERLIN, (2.352, 48.857), (-0.128, 51.507), (-3.704, 40.417), (21.012, 52.230))
_THINGS = {
    "bikes": ("bicycle", "cargo bike", "bicycle helmet", "folding bicycle"),
    "books": ("atlas", "cookbook", "dictionary", "novel"),
    "furniture": ("armchair", "bookshelf", "kitchen table", "lamp"),
    "music": ("guitar", "piano", "record player", "violin"),
}
_CONDITIONS = ("almost new", "big", "blue", "old", "repaired", "small")
_EVENTS = ("page.viewed", "page.viewed", "page.viewed", "advertisement.viewed", "search.run")
_ROUTES = ("/", "/advertisements", "/messages", "/pay")
_PASSWORD = "a password for the demo"  # noqa: S105 - it opens nothing but the demo's users


@dataclass(frozen=True)
class Batch:
    """All documents of one model: how many there will be, and how to make them."""

    model: type[Document]
    count: int
    make: Callable[[], Iterator[Document]]


class World:
    """Users and what they did until ``now``; ``scale`` 1 stands for 2,000 users."""

    def __init__(self, *, scale: float, seed: int, now: datetime) -> None:
        try:
            from faker import Faker
        except ImportError:
            raise ConfigurationError(
                'the demo needs its extra: pip install "mongoengine-datalayer[demo]"'
            ) from None
        self._fake = Faker("en_US")
        self._fake.seed_instance(seed)
        self._chance = random.Random(seed)  # noqa: S311 - data for a demo, no secret
        self._now = now
        self._scale = scale
        self.users: list[User] = []
        self.conversations: list[Conversation] = []

    def batches(self) -> Sequence[Batch]:
        """What to load, in this order: later documents refer to earlier ones."""
        plan = (
            (User, 2_000, self._users),
            (Profile, 2_000, self._profiles),
            (Advertisement, 1_500, self._advertisements),
            (Conversation, 500, self._conversations),
            (ChatMessage, 5_000, self._messages),
            (Transaction, 3_000, self._transactions),
            (AnalyticsEvent, 8_000, self._events),
            (Metric, 2_000, self._metrics),
        )
        return [self._batch(model, count, make) for model, count, make in plan]

    def _batch(
        self, model: type[Document], count: int, make: Callable[[int], Iterator[Document]]
    ) -> Batch:
        scaled = max(round(count * self._scale), 10)
        return Batch(model, scaled, lambda: make(scaled))

    def _users(self, count: int) -> Iterator[User]:
        # argon2 is slow on purpose: 2,000 hashes would take a minute, so all share one.
        shared = User(email="shared@example.com")
        shared.set_password(_PASSWORD)
        for number in range(count):
            user = User(
                email=f"{self._fake.user_name()}.{number}@example.com",
                password_hash=shared.password_hash,
                status="active" if self._chance.random() < 0.95 else "pending",
                created_at=self._before(days=365),
            )
            self.users.append(user)
            yield user

    def _profiles(self, count: int) -> Iterator[Profile]:
        for user in self.users[:count]:
            longitude, latitude = self._chance.choice(_CITIES)
            yield Profile(
                user=user.pk,
                display_name=self._fake.name(),
                about=self._fake.job(),
                birth_date=self._now.date() - timedelta(days=self._chance.randint(6_600, 29_000)),
                location=[
                    round(self._chance.gauss(longitude, 0.15), 5),
                    round(self._chance.gauss(latitude, 0.1), 5),
                ],
                preferences=Preferences(theme=self._chance.choice(("system", "light", "dark"))),
            )

    def _advertisements(self, count: int) -> Iterator[Advertisement]:
        for _ in range(count):
            category = self._chance.choice(tuple(_THINGS))
            thing = self._chance.choice(_THINGS[category])
            published = self._before(days=60)
            yield Advertisement(
                owner=self._someone().pk,
                title=f"{self._chance.choice(_CONDITIONS)} {thing}".capitalize(),
                body=self._fake.sentence(12),
                category=category,
                price=Decimal(self._chance.randint(500, 90_000)) / 100,
                currency="EUR",
                status="active" if self._chance.random() < 0.8 else "paused",
                created_at=published,
                published_at=published,
                expires_at=published + timedelta(days=90),
            )

    def _conversations(self, count: int) -> Iterator[Conversation]:
        pairs: dict[str, list[Any]] = {}
        for _ in range(20 * count):  # a few users have fewer pairs than that
            pair = sorted(user.pk for user in self._chance.sample(self.users, 2))
            pairs[":".join(map(str, pair))] = pair
            if len(pairs) == count:
                break
        for key, pair in pairs.items():
            conversation = Conversation(
                participants=pair, pair_key=key, last_message_at=self._before(days=30)
            )
            self.conversations.append(conversation)
            yield conversation

    def _messages(self, count: int) -> Iterator[ChatMessage]:
        for number in range(count):
            # Back in time from the conversation's latest message; the last few are unread.
            conversation = self.conversations[number % len(self.conversations)]
            age = number // len(self.conversations)
            one, other = self._chance.sample(conversation.participant_ids(), 2)
            yield ChatMessage(
                conversation=conversation.pk,
                sender=one,
                text=self._fake.sentence(8),
                sent_at=conversation.last_message_at - timedelta(minutes=7 * age),
                unread_by=[other] if age < 3 else [],
            )

    def _transactions(self, count: int) -> Iterator[Transaction]:
        for number in range(count):
            moment = self._before(days=60)
            yield Transaction(
                user=self._someone().pk,
                amount=Decimal(self._chance.randint(100, 50_000)) / 100,
                currency=self._chance.choice(("EUR", "EUR", "EUR", "USD", "GBP")),
                idempotency_key=f"order-{number}",
                status=self._chance.choice(("captured", "captured", "captured", "failed")),
                created_at=moment,
                status_changed_at=moment,
            )

    def _events(self, count: int) -> Iterator[AnalyticsEvent]:
        for _ in range(count):
            yield AnalyticsEvent(
                name=self._chance.choice(_EVENTS),
                user_id=self._someone().pk,
                session_id=f"{self._chance.getrandbits(64):016x}",
                properties={
                    "path": self._chance.choice(_ROUTES),
                    "mobile": self._chance.random() < 0.5,
                },
                occurred_at=self._before(days=14),
            )

    def _metrics(self, count: int) -> Iterator[Metric]:
        # One measurement every six seconds, so 2,000 go back a little over three hours.
        for number in range(count):
            yield Metric(
                series=MetricSeries(
                    name="request.ms", labels={"route": _ROUTES[number % len(_ROUTES)]}
                ),
                measured_at=self._now - timedelta(seconds=6 * (count - number)),
                value=round(self._chance.lognormvariate(3, 0.6), 2),
            )

    def _someone(self) -> User:
        return self._chance.choice(self.users)

    def _before(self, *, days: int) -> datetime:
        return self._now - timedelta(seconds=self._chance.uniform(0, days * 86_400))
