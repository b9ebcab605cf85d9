"""How updates of a queryset move versions on: without asking for one, so that copies which were
loaded before notice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mongoengine.errors import InvalidQueryError

from datalayer.documents.queries.pipeline_timestamps import decided
from datalayer.documents.timestamps import touched
from datalayer.documents.versions.field import NAME


def counted_update(model: Any, update: dict[str, Any]) -> dict[str, Any]:
    """``update`` (MongoEngine's keyword arguments), counting the version of ``model`` too.

    Raises:
        InvalidQueryError: where it changes the version itself; nothing is sent.
    """
    key = getattr(model, "_version_key", None)
    if key is None:
        return update
    stages = update.get("__raw__")
    if isinstance(stages, list):
        _refuse(model, key, decided(stages))
        count = {"$add": [{"$ifNull": [f"${key}", 0]}, 1]}
        return {**update, "__raw__": [*stages, {"$set": {key: count}}]}
    _refuse(model, key, touched(model, update))
    return {**update, f"inc__{NAME}": 1}


def _refuse(model: Any, key: str, changed: Iterable[str]) -> None:
    if key in set(changed):
        raise InvalidQueryError(
            f"the version of a {model.__name__} is counted by itself with each update, and can't "
            f"be changed by one; leave {key!r} out"
        )
