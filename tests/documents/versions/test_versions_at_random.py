"""Several copies of a few documents, written in every way and in any order: each write succeeds
exactly where the copy has what is stored, and then nothing else has been lost.

``DATALAYER_VERSIONS_STEPS=20000`` takes as many steps, ``DATALAYER_VERSIONS_SEED`` other ones.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable
from typing import Any

import mongoengine as me
import pytest
from mongoengine.errors import DoesNotExist

from datalayer import BusinessDocument, db
from datalayer.connections.registry import registry
from datalayer.errors import StaleDocumentError
from datalayer.settings import Settings

STEPS = int(os.environ.get("DATALAYER_VERSIONS_STEPS", "250"))
SEED = int(os.environ.get("DATALAYER_VERSIONS_SEED", "7"))
KEYS = range(3)


class Counter(BusinessDocument):
    key = me.IntField(primary_key=True)
    count = me.IntField(default=0)
    note = me.StringField()
    meta = {"versioned": True}


MODELS = (Counter,)


class Copies:
    """Copies of documents, what they hold, and what the database must have."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.stored: dict[int, tuple[int | None, int]] = {}  # version and count, by key
        self.copies: list[Any] = []
        self.held: list[int | None] = []
        self.told = 0

    def matches_the_database(self) -> bool:
        found = registry.connection("default").database["counter"].find()
        stored = {each["_id"]: (each.get("version"), each["count"]) for each in found}
        assert stored == self.stored
        assert [each.version for each in self.copies] == self.held
        return True

    def any_copy(self) -> int:
        return self.random.randrange(len(self.copies))

    def expect(self, number: int, run: Callable[[], Any]) -> bool:
        """Whether the write of a copy has to succeed; it is done, or refused."""
        key = self.copies[number].key
        is_current = key in self.stored and self.stored[key][0] == self.held[number]
        if is_current:
            run()
        else:
            self.told += 1
            with pytest.raises(StaleDocumentError):
                run()
        return is_current

    def written(self, number: int, count: int) -> None:
        version = (self.held[number] or 0) + 1
        self.stored[self.copies[number].key] = (version, count)
        self.held[number] = version

    # What may happen

    def load(self) -> None:
        key = self.random.choice(KEYS)
        if key not in self.stored:
            self.copies.append(Counter(key=key, count=0).save())
            self.stored[key] = (1, 0)
        else:
            objects = self.random.choice([Counter.objects, Counter.objects.only("note")])
            self.copies.append(objects.get(key=key))
        self.held.append(self.stored[key][0])
        if len(self.copies) > 6:
            del self.copies[0], self.held[0]

    def save(self) -> None:
        number = self.any_copy()
        found = self.copies[number]
        count = found.count = self.random.randrange(1000, 10**9)  # none that it may have
        if self.expect(number, found.save):
            self.written(number, count)
        else:
            self.reload(number)

    def update(self) -> None:
        number = self.any_copy()
        found = self.copies[number]
        if self.expect(number, lambda: found.update(inc__count=1)):
            self.written(number, self.stored[found.key][1] + 1)

    def modify(self) -> None:
        number = self.any_copy()
        found = self.copies[number]
        if self.expect(number, lambda: found.modify(inc__count=1)):
            self.written(number, self.stored[found.key][1] + 1)

    def delete(self) -> None:
        number = self.any_copy()
        found = self.copies[number]
        if self.expect(number, found.delete):
            del self.stored[found.key]

    def reload(self, number: int | None = None) -> None:
        number = self.any_copy() if number is None else number
        found = self.copies[number]
        if found.key in self.stored:
            found.reload()
            self.held[number] = self.stored[found.key][0]
        else:
            with pytest.raises(DoesNotExist):
                found.reload()
            del self.copies[number], self.held[number]
            self.load()

    def update_all(self) -> None:
        Counter.objects(key__gte=1).update(inc__count=1)
        for key, (version, count) in self.stored.items():
            if key >= 1:
                self.stored[key] = ((version or 0) + 1, count + 1)

    def grow_old(self) -> None:
        """One loses its version, as a document that was stored before there were any."""
        for key, (_, count) in list(self.stored.items())[:1]:
            counters = registry.connection("default").database["counter"]
            counters.update_one({"_id": key}, {"$unset": {"version": 1}})
            self.stored[key] = (None, count)

    def change(self) -> None:
        key = self.random.choice(KEYS)
        if key in self.stored:
            version, count = self.stored[key]
            assert Counter.change(key, add_five).count == count + 5
            self.stored[key] = ((version or 0) + 1, count + 5)

    def roll_back(self) -> None:
        copies, before = list(self.copies), (copy.copy(self.stored), copy.copy(self.held))

        def work() -> None:
            with db.transaction():
                for _ in range(self.random.randrange(1, 4)):
                    self.random.choice([self.save_only, self.update, self.modify, self.delete])()
                raise KeyError

        with pytest.raises(KeyError):
            work()
        self.copies = copies
        self.stored, self.held = before

    def save_only(self) -> None:
        number = self.any_copy()
        found = self.copies[number]
        count = found.count = self.random.randrange(1000, 10**9)
        if self.expect(number, found.save):
            self.written(number, count)


def add_five(found: Any) -> None:
    found.count += 5


def test_writes_succeed_exactly_over_what_was_loaded(shared: Settings) -> None:
    registry.connection("default").database["counter"].delete_many({})
    copies = Copies(SEED)
    copies.load()
    ways = [copies.load, copies.save, copies.update, copies.modify, copies.delete, copies.reload]
    ways += [copies.save, copies.update, copies.modify, copies.load]
    ways += [copies.update_all, copies.change, copies.roll_back, copies.grow_old]
    for step in range(STEPS):
        way = copies.random.choice(ways)
        way()
        assert copies.matches_the_database(), (SEED, step, way.__name__)
    assert copies.told > STEPS // 20
