"""Remembers what a document is like, to put it back after a transaction was rolled back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mongoengine.base import BaseDocument

__all__ = ["snapshot"]

Restore = Callable[[], Any]
_STATE = ("_created",)


def snapshot(document: Any) -> Restore:
    """A function that makes ``document`` what it is now: values, changed fields, ``_created``.

    Lists, dictionaries and embedded documents keep their identity and get their contents back.
    Referenced documents are left alone.
    """
    values = {name: _remembered(value) for name, value in document._data.items()}
    changed = list(getattr(document, "_changed_fields", ()))
    state = {name: getattr(document, name) for name in _STATE if hasattr(document, name)}

    def restore() -> Any:
        # Past __setattr__, which would take the values for changes.
        document._data.clear()
        document._data.update((name, put_back()) for name, put_back in values.items())
        document._changed_fields = list(changed)
        for name, value in state.items():
            object.__setattr__(document, name, value)
        return document

    return restore


def _remembered(value: Any) -> Restore:
    if isinstance(value, list):
        return _remembered_list(value)
    if isinstance(value, dict):
        return _remembered_dict(value)
    if isinstance(value, BaseDocument) and not hasattr(value, "objects"):
        return snapshot(value)
    return lambda: value


def _remembered_list(value: list[Any]) -> Restore:
    items = [_remembered(item) for item in value]

    def restore() -> list[Any]:
        # The plain list's methods: MongoEngine's own would note a change.
        list.clear(value)
        list.extend(value, [put_back() for put_back in items])
        return value

    return restore


def _remembered_dict(value: dict[str, Any]) -> Restore:
    items = {key: _remembered(item) for key, item in value.items()}

    def restore() -> dict[str, Any]:
        dict.clear(value)
        dict.update(value, {key: put_back() for key, put_back in items.items()})
        return value

    return restore
