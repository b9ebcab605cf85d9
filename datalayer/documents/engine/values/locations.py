"""Where in a document a list or a mapping stands, and how exactly the database can be told."""

from __future__ import annotations

from typing import Any

from mongoengine.base import BaseField
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import DynamicField, EmbeddedDocumentField, GenericEmbeddedDocumentField

Path = tuple[Any, ...]
"""The name of a field, and the keys and indexes from there."""

_OF_PARTS = (EmbeddedDocumentField, GenericEmbeddedDocumentField)


def values_of(document: Any) -> dict[str, Any]:
    """What ``document`` holds, without converting what waits."""
    data = document._data
    return data if isinstance(data, dict) else dict(data.items())  # it may be a StrictDict


def at(value: Any, key: Any) -> Any:
    """What stands under ``key``; ``None`` where there is nothing."""
    if isinstance(value, list):
        is_there = isinstance(key, int) and key < len(value)
        return list.__getitem__(value, key) if is_there else None
    return dict.get(value, key) if isinstance(value, dict) else None


def path_of(sought: Any, value: Any, path: Path) -> Path | None:
    """The path to ``sought`` in ``value``, which stands at ``path``; ``None`` if not there."""
    if value is sought:
        return path
    if not isinstance(value, (list, dict)):
        return None
    items = dict.items(value) if isinstance(value, dict) else enumerate(list.__iter__(value))
    for key, item in items:
        found = path_of(sought, item, (*path, key))
        if found is not None:
            return found
    return None


def path_to_mark(owner: Any, path: Path, key: Any) -> str:
    """As far down as the database can be told where the change is."""
    if key is not None:
        path = (*path, key)
    depth = reshaped_at(owner._fields.get(path[0]), path[1:])
    if depth is not None:
        path = path[: depth + 1]
    for depth, each in enumerate(path):
        if depth and not _is_safe(each):
            path = path[:depth]
            break
    return ".".join(map(str, path))


def _is_safe(key: Any) -> bool:
    return isinstance(key, int) or (
        isinstance(key, str) and bool(key) and "." not in key and key[0] != "$"
    )


def reshaped_at(field: Any, path: Path) -> int | None:
    """After how many keys of ``path`` into a value of ``field`` comes what is written in another
    shape or order than it has here, so that only the whole of it can be written."""
    for depth in range(len(path) + 1):
        if _reshapes(field):
            return depth
        field = getattr(field, "field", None)
        if field is None:
            break
    return None


def _reshapes(field: Any) -> bool:
    """Such as a list that is sorted when it is written, or a point."""
    kind: Any = type(field)
    if isinstance(field, ComplexBaseField):
        return kind.to_mongo is not ComplexBaseField.to_mongo
    if isinstance(field, DynamicField):
        return kind.to_mongo is not DynamicField.to_mongo
    return isinstance(field, BaseField) and not isinstance(field, _OF_PARTS)
