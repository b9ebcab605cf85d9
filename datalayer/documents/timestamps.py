"""When ``created_at`` and ``updated_at`` are set. Pure functions."""

from __future__ import annotations

from typing import Any

from mongoengine.base.common import UPDATE_OPERATORS

from datalayer.documents.times import utc_now

__all__ = ["keeps", "stamped_update"]


def keeps(model: Any, name: str) -> bool:
    """Whether ``model`` has the time stamp ``name``; ``meta = {"timestamps": False}`` has none."""
    return name in model._fields and bool(model._meta.get("timestamps"))


def stamped_update(model: Any, update: dict[str, Any], *, upsert: bool) -> dict[str, Any]:
    """``update`` (MongoEngine's keyword arguments) with the time stamps it doesn't set itself."""
    if not keeps(model, "updated_at") or not (update or upsert):
        return update
    named = {_field_of(key) for key in update}
    now = utc_now()
    raw = update.get("__raw__")
    if isinstance(raw, list):
        stage = {"$set": {model._fields["updated_at"].db_field: now}}
        return {**update, "__raw__": [stage, *raw]}
    stamps: dict[str, Any] = {}
    if "updated_at" not in named:
        stamps["set__updated_at"] = now
    if upsert and "created_at" not in named and keeps(model, "created_at"):
        stamps["set_on_insert__created_at"] = now
    if isinstance(raw, dict):
        # MongoEngine merges into the operators of a raw update in place: give it a copy, and
        # let what the caller sets there win.
        update = {
            **update,
            "__raw__": {
                operator: dict(change) if isinstance(change, dict) else change
                for operator, change in raw.items()
            },
        }
    return {**stamps, **update}


def _field_of(key: str) -> str:
    """The field that a keyword such as ``set__price`` changes."""
    operator, _, rest = key.partition("__")
    return rest.partition("__")[0] if rest and operator in UPDATE_OPERATORS else operator
