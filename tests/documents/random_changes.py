"""Random changes of documents, made to a document and to plain dictionaries alike.

A *shadow* says in plain dictionaries and lists what a document holds: of a document, or an
embedded one, a ``Fields`` with the attributes' names; a field without a value is absent.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mongoengine as me

from datalayer import BusinessDocument
from datalayer.documents import EmbeddedDocument

NUMBERS = (0, 1, 2, 7, -3, 2**40)
TEXTS = ("", "a", "b", "é", "long enough")
KEYS = ("a", "b", "c", "k")


class Fields(dict[str, Any]):
    """The values of a document or an embedded one, by attribute."""


class Choices:
    """Where a change draws its decisions from; it can make the same ones again."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw
        self._made: list[int] = []
        self._next = 0

    def rewind(self) -> None:
        self._next = 0

    def below(self, count: int) -> int:
        if self._next == len(self._made):
            self._made.append(self._draw(count))
        self._next += 1
        return self._made[self._next - 1] % count

    def of(self, options: Any) -> Any:
        found = list(options)
        return found[self.below(len(found))]

    def some(self, options: Any, least: int = 0) -> list[Any]:
        left = list(options)
        count = least + self.below(max(len(left) - least, 0) + 1)
        return [left.pop(self.below(len(left))) for _ in range(count)]


# What a field holds


@dataclass(frozen=True)
class Kind:
    """A kind of value; ``fresh`` makes one, and its shadow."""

    def fresh(self, choices: Choices) -> tuple[Any, Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class Single(Kind):
    options: tuple[Any, ...]

    def fresh(self, choices: Choices) -> tuple[Any, Any]:
        value = choices.of(self.options)
        return value, value


@dataclass(frozen=True)
class ListOf(Kind):
    item: Kind
    is_sorted: bool = False

    def fresh(self, choices: Choices) -> tuple[Any, Any]:
        pairs = [self.item.fresh(choices) for _ in range(choices.below(4))]
        return [real for real, _ in pairs], [shadow for _, shadow in pairs]


@dataclass(frozen=True)
class MapOf(Kind):
    item: Kind

    def fresh(self, choices: Choices) -> tuple[Any, Any]:
        pairs = {key: self.item.fresh(choices) for key in choices.some(KEYS)[:3]}
        return {k: real for k, (real, _) in pairs.items()}, {k: s for k, (_, s) in pairs.items()}


@dataclass(frozen=True)
class Anything(Kind):
    depth: int = 2

    def fresh(self, choices: Choices) -> tuple[Any, Any]:
        single = Single((*NUMBERS, *TEXTS, None))
        inner = Anything(self.depth - 1)
        options = [single] if self.depth == 0 else [single, ListOf(inner), MapOf(inner)]
        return choices.of(options).fresh(choices)


@dataclass(frozen=True)
class Part(Kind):
    """A document, or an embedded one. ``keys`` holds the names of those stored under others."""

    model: Any
    fields: dict[str, Kind]
    keys: dict[str, str]
    required: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()

    __hash__ = object.__hash__

    def fresh(self, choices: Choices) -> tuple[Any, Any]:
        names = {*self.required, *choices.some(self.names)[:3]}
        pairs = {name: self.kind_of(name).fresh(choices) for name in sorted(names)}
        shadow = Fields({name: shadow for name, (_, shadow) in pairs.items()})
        return self.model(**{name: real for name, (real, _) in pairs.items()}), shadow

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.fields, *self.dynamic)

    def kind_of(self, name: str) -> Kind:
        return self.fields.get(name) or Anything()

    def key_of(self, name: str) -> str:
        return self.keys.get(name, name)


NUMBER, TEXT = Single(NUMBERS), Single(TEXTS)


class Inner(EmbeddedDocument):
    size = me.IntField()
    tags = me.ListField(me.IntField(), db_field="tg")
    free = me.DictField()


class Piece(EmbeddedDocument):
    size = me.IntField(db_field="s")
    label = me.StringField()
    tags = me.ListField(me.IntField())
    free = me.DictField(db_field="fr")
    inner = me.EmbeddedDocumentField(Inner, db_field="in")
    anything = me.DynamicField()

    meta = {"strict": False}


class _Shared(BusinessDocument):
    title = me.StringField(required=True, db_field="t")
    count = me.IntField(required=True)
    numbers = me.ListField(me.IntField(), db_field="n")
    ordered = me.SortedListField(me.IntField())
    grid = me.ListField(me.ListField(me.IntField()))
    names = me.MapField(me.StringField(), db_field="nm")
    groups = me.MapField(me.ListField(me.IntField()))
    free = me.DictField(db_field="fr")
    untyped = me.ListField()
    anything = me.DynamicField(db_field="any")
    piece = me.EmbeddedDocumentField(Piece, db_field="p")
    pieces = me.EmbeddedDocumentListField(Piece, db_field="ps")
    listed = me.ListField(me.EmbeddedDocumentField(Piece))
    named = me.MapField(me.EmbeddedDocumentField(Piece), db_field="nd")

    meta = {"abstract": True}


class Strict(_Shared):
    """Read and written by the engine."""


class Tolerant(_Shared):
    """May hold keys that the class doesn't know."""

    meta = {"strict": False}


class Loose(_Shared, me.DynamicDocument):
    """Left to MongoEngine by the engine; has fields that the class doesn't know."""


INNER = Part(
    Inner, {"size": NUMBER, "tags": ListOf(NUMBER), "free": MapOf(Anything())}, {"tags": "tg"}
)
PIECE = Part(
    Piece,
    {
        "size": NUMBER,
        "label": TEXT,
        "tags": ListOf(NUMBER),
        "free": MapOf(Anything()),
        "inner": INNER,
        "anything": Anything(),
    },
    {"size": "s", "free": "fr", "inner": "in"},
)
_FIELDS: dict[str, Kind] = {
    "title": TEXT,
    "count": NUMBER,
    "numbers": ListOf(NUMBER),
    "ordered": ListOf(NUMBER, is_sorted=True),
    "grid": ListOf(ListOf(NUMBER)),
    "names": MapOf(TEXT),
    "groups": MapOf(ListOf(NUMBER)),
    "free": MapOf(Anything()),
    "untyped": ListOf(Anything()),
    "anything": Anything(),
    "piece": PIECE,
    "pieces": ListOf(PIECE),
    "listed": ListOf(PIECE),
    "named": MapOf(PIECE),
}
_KEYS = {
    "title": "t",
    "numbers": "n",
    "names": "nm",
    "free": "fr",
    "anything": "any",
    "piece": "p",
    "pieces": "ps",
    "named": "nd",
}
_REQUIRED = ("title", "count")
DOCUMENTS = (
    Part(Strict, _FIELDS, _KEYS, _REQUIRED),
    Part(Tolerant, _FIELDS, _KEYS, _REQUIRED),
    Part(Loose, _FIELDS, _KEYS, _REQUIRED, dynamic=("extra", "more")),
)
UNKNOWN = "unknown"


# What is compared


def as_stored(shadow: Any, kind: Kind) -> Any:
    """What the collection should hold of a value, in the form of ``comparable``."""
    if isinstance(shadow, Fields) and isinstance(kind, Part):
        raw = {kind.key_of(name): _inside(value, kind, name) for name, value in shadow.items()}
        return comparable(raw, kind)
    if isinstance(shadow, list):
        return comparable([as_stored(each, item_of(kind)) for each in shadow], kind)
    if isinstance(shadow, dict):
        return {key: as_stored(each, item_of(kind)) for key, each in shadow.items()}
    return shadow


def item_of(kind: Kind) -> Kind:
    """The kind of what a list or a mapping holds."""
    return kind.item if isinstance(kind, (ListOf, MapOf)) else Anything(1)


def _inside(value: Any, kind: Part, name: str) -> Any:
    return as_stored(value, kind.kind_of(name))


def comparable(raw: Any, kind: Kind) -> Any:
    """What was read raw, without the differences that the class doesn't make: a field without a
    value and one that is empty, and the order of a sorted list."""
    if isinstance(raw, dict) and isinstance(kind, Part):
        names = {kind.key_of(name): name for name in kind.names}
        found = {}
        for key, value in raw.items():
            inner = kind.kind_of(names[key]) if key in names else Anything()
            is_empty = value in ([], {}) and isinstance(inner, (ListOf, MapOf))
            if value is not None and not is_empty:
                found[key] = comparable(value, inner)
        return found
    if isinstance(raw, list):
        items = [comparable(each, item_of(kind)) for each in raw]
        return sorted(items) if isinstance(kind, ListOf) and kind.is_sorted else items
    if isinstance(raw, dict):
        return {key: comparable(each, item_of(kind)) for key, each in raw.items()}
    return raw


# What is changed


def change(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    """Change something in a value, at any depth."""
    inner = _containers(shadow, kind)
    if inner and choices.below(4):
        name, inner_kind = choices.of(inner)
        held = getattr(real, name) if isinstance(shadow, Fields) else real[name]
        change(held, shadow[name], inner_kind, choices)
    elif isinstance(shadow, Fields) and isinstance(kind, Part):
        change_field(real, shadow, kind, choices.of(kind.names), choices)
    elif isinstance(shadow, list):
        choices.of(LIST_CHANGES)(real, shadow, kind, choices)
    else:
        choices.of(MAP_CHANGES)(real, shadow, kind, choices)


def _containers(shadow: Any, kind: Kind) -> list[tuple[Any, Kind]]:
    if isinstance(shadow, Fields) and isinstance(kind, Part):
        inner = [(name, kind.kind_of(name)) for name in shadow if name != UNKNOWN]
    else:
        names = range(len(shadow)) if isinstance(shadow, list) else shadow
        inner = [(name, item_of(kind)) for name in names]
    return [(name, held) for name, held in inner if isinstance(shadow[name], (list, dict))]


def change_field(real: Any, shadow: Fields, kind: Part, name: str, choices: Choices) -> None:
    """Assign to an attribute, delete it, or change in place what an empty one gives."""
    inner = kind.kind_of(name)
    how = 0 if name in kind.required else choices.below(5)
    if how < 3:
        value, shadow[name] = inner.fresh(choices)
        setattr(real, name, value)
    elif how == 3 and isinstance(inner, (ListOf, MapOf)):
        if name not in shadow:
            shadow[name] = [] if isinstance(inner, ListOf) else {}
        change(getattr(real, name), shadow[name], inner, choices)
    else:
        if choices.below(2) and (name in kind.fields or name in shadow):
            delattr(real, name)
        else:
            setattr(real, name, None)
        shadow.pop(name, None)


def _append(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    value, plain = item_of(kind).fresh(choices)
    real.append(value)
    shadow.append(plain)


def _insert(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    index = choices.below(len(shadow) + 1)
    value, plain = item_of(kind).fresh(choices)
    real.insert(index, value)
    shadow.insert(index, plain)


def _extend(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    values, plain = ListOf(item_of(kind)).fresh(choices)
    real.extend(values)
    shadow.extend(plain)


def _add_in_place(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    values, plain = ListOf(item_of(kind)).fresh(choices)
    real += values
    shadow += plain


def _multiply(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    times = choices.below(3) if all(not isinstance(each, (list, dict)) for each in shadow) else 0
    real *= times
    shadow *= times


def _reverse(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    real.reverse()
    shadow.reverse()


def _sort(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    order = (lambda each: str(getattr(each, "size", each))), (lambda each: str(_size(each)))
    if any(isinstance(each, (list, dict)) and not isinstance(each, Fields) for each in shadow):
        return _reverse(real, shadow, kind, choices)
    real.sort(key=order[0])
    shadow.sort(key=order[1])
    return None


def _size(each: Any) -> Any:
    return each.get("size") if isinstance(each, Fields) else each


def _clear(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    real.clear()
    shadow.clear()


def _at_an_index(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    if not shadow:
        return _append(real, shadow, kind, choices)
    index = choices.below(2 * len(shadow)) - len(shadow)
    how = choices.below(5)
    if how == 0:
        real.pop(index)
        shadow.pop(index)
    elif how == 1:
        del real[index]
        del shadow[index]
    elif how == 2 and isinstance(kind, ListOf) and isinstance(kind.item, Single):
        real.remove(real[index])
        shadow.remove(shadow[index])
    elif how == 3:
        other = choices.below(len(shadow))
        real[index], real[other] = real[other], real[index]
        shadow[index], shadow[other] = shadow[other], shadow[index]
    else:
        real[index], shadow[index] = item_of(kind).fresh(choices)
    return None


def _in_a_slice(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    start = choices.below(len(shadow) + 1)
    part = slice(start, start + choices.below(3))
    if choices.below(2):
        del real[part]
        del shadow[part]
    else:
        real[part], shadow[part] = ListOf(item_of(kind)).fresh(choices)


LIST_CHANGES: tuple[Callable[..., Any], ...] = (
    _append,
    _insert,
    _extend,
    _add_in_place,
    _multiply,
    _reverse,
    _sort,
    _clear,
    _at_an_index,
    _at_an_index,
    _in_a_slice,
    _in_a_slice,
)


def _set_item(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    key = choices.of(KEYS)
    real[key], shadow[key] = item_of(kind).fresh(choices)


def _set_default(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    key = choices.of(KEYS)
    value, plain = item_of(kind).fresh(choices)
    real.setdefault(key, value)
    shadow.setdefault(key, plain)


def _update(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    values, plain = MapOf(item_of(kind)).fresh(choices)
    if choices.below(2):
        real.update(values)
    else:
        real.update(**values)
    shadow.update(plain)


def _or_in_place(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    values, plain = MapOf(item_of(kind)).fresh(choices)
    real |= values
    shadow |= plain


def _take_out(real: Any, shadow: Any, kind: Kind, choices: Choices) -> None:
    if not shadow:
        return _set_item(real, shadow, kind, choices)
    key = choices.of(sorted(shadow))
    how = choices.below(4)
    if how == 0:
        del real[key]
    elif how == 1:
        real.pop(key)
    elif how == 2:
        real.pop(key, None)
    else:
        key, _ = real.popitem()
    del shadow[key]
    return None


MAP_CHANGES: tuple[Callable[..., Any], ...] = (
    _set_item,
    _set_item,
    _set_default,
    _update,
    _or_in_place,
    _take_out,
    _take_out,
    _clear,
)


def copied(shadow: Any) -> Any:
    return copy.deepcopy(shadow)
