"""Compares declared indexes and collection options with those of the server: pure functions on
what ``listIndexes`` and ``listCollections`` answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# What the server adds to an index that didn't ask for it, by the kind of index. Sources:
# the reference pages of createIndexes, text indexes, 2d indexes and collation.
_IGNORED = {"v", "ns", "background", "textIndexVersion", "2dsphereIndexVersion", "clustered"}
_DEFAULTS: Mapping[str, Any] = {"unique": False, "sparse": False, "hidden": False}
_TTL = "expireAfterSeconds"
_TEXT_DEFAULTS = {"default_language": "english", "language_override": "language"}
_2D_DEFAULTS = {"bits": 26, "min": -180.0, "max": 180.0}
_COLLATION_DEFAULTS = {
    "caseLevel": False,
    "caseFirst": "off",
    "strength": 3,
    "numericOrdering": False,
    "alternate": "non-ignorable",
    "maxVariable": "punct",
    "normalization": False,
    "backwards": False,
}


@dataclass(frozen=True)
class Index:
    """An index in the form that makes two of them comparable.

    ``options`` holds only what differs from the server's defaults.
    """

    name: str
    keys: tuple[tuple[str, Any], ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Mapping[str, Any], collation: Mapping[str, Any] | None = None) -> Index:
        """From an entry of ``listIndexes`` or the document of an ``IndexModel``.

        ``collation`` is the collection's default, which its indexes take over.
        """
        options = {
            key: value
            for key, value in document.items()
            if key not in _IGNORED and key not in ("key", "name")
        }
        keys = tuple((key, _direction(value)) for key, value in document["key"].items())
        kinds = {kind for _, kind in keys}
        if "text" in kinds:
            keys, options = _text(keys, options)
        elif "2d" in kinds:
            options = _without_defaults(options, _2D_DEFAULTS)
        elif collation is not None:
            options.setdefault("collation", collation)
        options = _without_defaults(options, _DEFAULTS)
        if options.get("collation"):
            options["collation"] = _collation(options["collation"])
        options = {key: _plain(value) for key, value in options.items() if value not in ({}, None)}
        return cls(document["name"], keys, options)

    def same_as(self, other: Index) -> bool:
        """Whether both do the same, whatever they are called."""
        return self.keys == other.keys and self.options == other.options

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"name": self.name, "keys": [list(key) for key in self.keys], **self.options}


@dataclass(frozen=True)
class ChangedIndex:
    """An index that exists with other keys or options than the model declares."""

    expected: Index
    actual: Index

    @property
    def in_place(self) -> Mapping[str, Any]:
        """What ``collMod`` has to set, where that is all: the seconds of a TTL, whether queries
        see the index. Empty where it takes a rebuild."""
        expected, actual = dict(self.expected.options), dict(self.actual.options)
        change: dict[str, Any] = {}
        hidden = expected.pop("hidden", False)
        if hidden != actual.pop("hidden", False):
            change["hidden"] = hidden
        seconds, present = expected.pop(_TTL, None), actual.pop(_TTL, None)
        if seconds != present:
            change[_TTL] = seconds
        is_ttl = (seconds is None) == (present is None)
        alike = self.expected.keys == self.actual.keys and expected == actual and is_ttl
        return change if alike else {}


@dataclass(frozen=True)
class ChangedOption:
    """An option of a collection that differs from what the model declares."""

    name: str
    expected: Any
    actual: Any


@dataclass(frozen=True)
class CollectionDiff:
    """How one collection differs from what its models declare."""

    alias: str
    collection: str
    exists: bool
    missing: tuple[Index, ...] = ()
    changed: tuple[ChangedIndex, ...] = ()
    unknown: tuple[Index, ...] = ()
    options: tuple[ChangedOption, ...] = ()

    @property
    def in_sync(self) -> bool:
        """Whether there is no difference at all."""
        differences = (self.missing, self.changed, self.unknown, self.options)
        return self.exists and not any(differences)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "alias": self.alias,
            "collection": self.collection,
            "exists": self.exists,
            "missing": [index.as_dict() for index in self.missing],
            "changed": [
                {"expected": change.expected.as_dict(), "actual": change.actual.as_dict()}
                for change in self.changed
            ],
            "unknown": [index.as_dict() for index in self.unknown],
            "options": [
                {"name": option.name, "expected": option.expected, "actual": option.actual}
                for option in self.options
            ],
        }


def compare(
    expected: Iterable[Index], actual: Iterable[Index]
) -> tuple[tuple[Index, ...], tuple[ChangedIndex, ...], tuple[Index, ...]]:
    """The ``(missing, changed, unknown)`` indexes.

    An index that does the same under another name is not a difference: the server would refuse
    to build it twice. ``_id_`` is the server's own.
    """
    left = [index for index in actual if index.name != "_id_"]
    wanted = []
    for index in expected:
        if index.keys == (("_id", 1),):
            continue
        twin = next((other for other in left if index.same_as(other)), None)
        if twin is None:
            wanted.append(index)
        else:
            left.remove(twin)
    missing, changed = [], []
    for index in wanted:
        rival = _rival(index, left)
        if rival is None:
            missing.append(index)
        else:
            left.remove(rival)
            changed.append(ChangedIndex(index, rival))
    return tuple(missing), tuple(changed), tuple(left)


def changed_options(
    expected: Mapping[str, Any], actual: Mapping[str, Any]
) -> tuple[ChangedOption, ...]:
    """The options of a collection that its models declare and that differ on the server.

    What the models don't mention is left to whoever set it, except the expiry of a time-series
    collection.
    """
    wanted, present = _flat(expected), _flat(actual)
    if "timeseries" in expected:
        wanted.setdefault("expireAfterSeconds", None)
    return tuple(
        ChangedOption(name, value, present.get(name))
        for name, value in wanted.items()
        if present.get(name) != value
    )


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in options.items():
        if name == "timeseries":
            flat["timeseries.granularity"] = "seconds"
            flat.update((f"timeseries.{key}", part) for key, part in value.items())
        elif name == "collation":
            flat[name] = _collation(value)
        else:
            flat[name] = _plain(value)
    return flat


def _rival(index: Index, others: Sequence[Index]) -> Index | None:
    """The index that stands in the way: of the same name, or else on the same keys."""
    for other in others:
        if other.name == index.name:
            return other
    return next((other for other in others if other.keys == index.keys), None)


def _direction(value: Any) -> Any:
    return value if isinstance(value, str) else int(value)


def _text(
    keys: tuple[tuple[str, Any], ...], options: dict[str, Any]
) -> tuple[tuple[tuple[str, Any], ...], dict[str, Any]]:
    """The server keeps the fields of a text index as weights, under one stand-in key."""
    fields = [key for key, kind in keys if kind == "text" and key != "_fts"]
    weights = {**dict.fromkeys(fields, 1), **options.get("weights", {})}
    stand_in: list[tuple[str, Any]] = []
    for key, kind in keys:
        if kind != "text" and key != "_ftsx":
            stand_in.append((key, kind))
        elif ("_fts", "text") not in stand_in:
            stand_in.append(("_fts", "text"))
    options = _without_defaults(options, _TEXT_DEFAULTS)
    return tuple(stand_in), {**options, "weights": weights}


def _collation(value: Mapping[str, Any]) -> dict[str, Any]:
    given = value.document if hasattr(value, "document") else value
    if given.get("locale") == "simple":
        return {}
    return {**_COLLATION_DEFAULTS, **{k: v for k, v in given.items() if k != "version"}}


def _without_defaults(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in options.items()
        if key not in defaults or value != defaults[key]
    }


def _plain(value: Any) -> Any:
    """Numbers and mappings as the shell, the driver and the server may each write them."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return value
