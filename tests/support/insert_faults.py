"""Storing many documents goes wrong: it is held up, or its answer gets lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect


class Gate:
    """Holds storing many documents up until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        original = Collection.insert_many

        def wait(collection: Any, *args: Any, **kwargs: Any) -> Any:
            self.entered.set()
            assert self.opened.wait(120)
            return original(collection, *args, **kwargs)

        monkeypatch.setattr(Collection, "insert_many", wait)


def lose_one_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored next is stored, and then the connection breaks."""
    original = Collection.insert_many

    def lose_the_reply(self: Any, *args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(Collection, "insert_many", original)
        original(self, *args, **kwargs)
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(Collection, "insert_many", lose_the_reply)
