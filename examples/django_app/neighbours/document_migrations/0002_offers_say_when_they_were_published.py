"""The list of offers begins with the newest. That was the one made last; now it is the one
published last, which offers didn't say."""

from __future__ import annotations

from datalayer.migrations import Migration

OFFERS = "advertisements"


def apply(m: Migration) -> None:
    m.restore_field(OFFERS, "published_at")  # what an undo has taken away, if there was one
    m.update(
        OFFERS,
        {"status": {"$ne": "draft"}, "published_at": None},
        [{"$set": {"published_at": "$created_at"}}],
    )


def undo(m: Migration) -> None:
    m.remove_field(OFFERS, "published_at")
