"""All prices were in euros and didn't say so. Now each says its currency."""

from __future__ import annotations

from datalayer.migrations import Migration

OFFERS = "advertisements"


def apply(m: Migration) -> None:
    m.restore_field(OFFERS, "currency")  # what an undo has taken away, if there was one
    m.update(OFFERS, {"price": {"$ne": None}, "currency": None}, {"$set": {"currency": "EUR"}})


def undo(m: Migration) -> None:
    m.remove_field(OFFERS, "currency")
