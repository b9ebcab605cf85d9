"""Holds threads up until a test lets them go on."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pymongo.collection import Collection


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
