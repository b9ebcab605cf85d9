"""What was loaded of a document by ``only()``, ``exclude()`` and ``fields()``: a tree of keys."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any


class Projection:
    """What was loaded of one document, embedded document or mapping.

    ``inner`` says of single keys what was loaded, and ``others`` whether all others were. Of a
    list it is what was loaded of each item; with ``is_slice`` some items are missing.
    """

    __slots__ = ("inner", "is_slice", "others", "parts")

    def __init__(
        self, inner: Mapping[str, bool | Projection], *, others: bool, is_slice: bool = False
    ) -> None:
        self.inner = inner
        self.others = others
        self.is_slice = is_slice
        self.parts = {key: part for key, part in inner.items() if isinstance(part, Projection)}

    def __reduce__(self) -> Any:
        return partial(Projection, others=self.others, is_slice=self.is_slice), (self.inner,)

    def of(self, key: str) -> bool | Projection:
        """What was loaded of the value under ``key``."""
        return self.inner.get(key, self.others)

    def with_all_of(self, key: str) -> Projection:
        """What was loaded once all of one key was, too."""
        return Projection({**self.inner, key: True}, others=self.others, is_slice=self.is_slice)

    def absent_in(self, model: Any) -> frozenset[str]:
        """The names of the fields of ``model`` of which nothing was loaded."""
        return frozenset(
            name
            for name, field in model._fields.items()
            if name != "_cls" and self.of(field.db_field) is False
        )


def projection_of(fields: Mapping[str, Any]) -> Projection:
    """The tree of a projection that was sent to the server, with the database's keys."""
    chosen = [value for key, value in fields.items() if key != "_id"] or [fields.get("_id")]
    # Of the operators, $slice alone leaves the other fields in.
    includes = any(
        "$elemMatch" in value if isinstance(value, Mapping) else bool(value) for value in chosen
    )
    tree: dict[str, Any] = {"_id": True}
    for path, value in fields.items():
        parts = path.split(".")
        here = tree
        for part in parts[:-1]:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                break
        else:
            here[parts[-1]] = value if isinstance(value, Mapping) else bool(value)
    return _node(tree, includes)


def _node(tree: Mapping[str, Any], includes: bool) -> Projection:
    inner: dict[str, bool | Projection] = {}
    for key, value in tree.items():
        if not isinstance(value, Mapping):
            inner[key] = value
        elif any(name.startswith("$") for name in value):
            inner[key] = Projection({}, others=True, is_slice=True)
        else:
            inner[key] = _node(value, includes)
    is_slice = inner.pop("$", None) is not None  # only the item that matched
    return Projection(inner, others=not includes or is_slice, is_slice=is_slice)
