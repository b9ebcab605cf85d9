"""Documents with lists, mappings and embedded documents in each other, and ways to change them in
place: each is one that a save has to notice and a rollback has to undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mongoengine import (
    DictField,
    DynamicDocument,
    DynamicField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    GenericEmbeddedDocumentField,
    IntField,
    ListField,
    MapField,
    PointField,
    SortedListField,
    StringField,
)

from datalayer.documents import Document, EmbeddedDocument

__all__ = ["CHANGES", "MODELS", "Free", "Leaf", "Part", "Tree", "grown", "shown", "stored"]


class Leaf(EmbeddedDocument):
    number = IntField(db_field="n")
    scores = ListField(IntField(), db_field="s")
    notes = DictField(db_field="o")
    meta = {"strict": False}


class Part(EmbeddedDocument):
    number = IntField(db_field="n")
    scores = ListField(IntField(), db_field="s")
    leaf = EmbeddedDocumentField(Leaf, db_field="l")
    leaves = EmbeddedDocumentListField(Leaf, db_field="ls")
    by_name = MapField(EmbeddedDocumentField(Leaf), db_field="b")
    meta = {"strict": False}


class Tree(Document):
    tags = ListField(StringField(), db_field="t")
    grid = ListField(ListField(IntField()))
    rows = ListField(DictField(), db_field="r")
    loose = ListField()
    notes = DictField(db_field="o")
    maps = MapField(DictField())
    lists = MapField(ListField(IntField()))
    part = EmbeddedDocumentField(Part, db_field="p")
    parts = EmbeddedDocumentListField(Part, db_field="ps")
    any_part = GenericEmbeddedDocumentField()
    any_parts = ListField(GenericEmbeddedDocumentField())
    named = MapField(ListField(EmbeddedDocumentField(Part)))
    free = DynamicField(db_field="f")
    ranks = SortedListField(IntField())
    ranked = SortedListField(EmbeddedDocumentField(Part), ordering="n")
    ranked_rows = SortedListField(DictField(), ordering="k")
    place = PointField()
    meta = {"strict": False}


class Free(Document, DynamicDocument):
    tags = ListField(StringField())


MODELS = (Leaf, Part, Tree, Free)


def leaf(number: int = 1) -> Leaf:
    return Leaf(number=number, scores=[number], notes={"x": {"y": 1}})


def part(number: int = 1) -> Part:
    return Part(
        number=number,
        scores=[1, 2],
        leaf=leaf(),
        leaves=[leaf(1), leaf(2)],
        by_name={"k": leaf()},
    )


def grown() -> Tree:
    """A new document with something in every field."""
    return Tree(
        tags=["b", "a"],
        grid=[[1], [2, 3]],
        rows=[{"k": 1, "in": {"l": [1]}}, {"k": 2}],
        loose=[[1], {"k": [1]}],
        notes={"a": {"b": [1, {"c": 1}]}, "l": [[1], [2]], "one": 1},
        maps={"k": {"x": 1}},
        lists={"k": [1]},
        part=part(),
        parts=[part(1), part(2)],
        any_part=part(),
        any_parts=[part()],
        named={"k": [part()]},
        free={"a": [{"b": 1}], "x": {"y": [1]}},
        ranks=[1, 3, 2],
        ranked=[part(2), part(0)],
        ranked_rows=[{"k": 2}, {"k": 1}],
        place={"type": "Point", "coordinates": [1.0, 2.0]},
    )


def stored(model: Any) -> dict[str, Any]:
    """The only document as the database has it."""
    found: dict[str, Any] = model._get_collection().find_one()
    return found


def shown(document: Any) -> dict[str, Any]:
    """The same as the document shows it, unless it is sorted otherwise."""
    return dict(document.to_mongo())


def _each(items: Any, change: Callable[[Any], Any]) -> None:
    for item in items:
        change(item)


def _put(holder: Any, key: Any, value: Any) -> None:
    holder[key] = value


def _remove(holder: Any, key: Any) -> None:
    del holder[key]


def _assign(document: Any, name: str, value: Any) -> None:
    setattr(document, name, value)


def _add(document: Any, name: str, other: Any) -> None:
    setattr(document, name, getattr(document, name).__iadd__(other))


def _merge(holder: Any, other: Any) -> None:
    holder |= other


def _then(*steps: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Changes with a save between."""

    def change(tree: Any) -> None:
        for step in steps[:-1]:
            step(tree)
            tree.save()
        steps[-1](tree)

    return change


def _held(take: Callable[[Any], Any], between: Callable[[Any, Any], Any], last: Any) -> Any:
    """A change through what was taken out before something else happened, and a save."""

    def change(tree: Any) -> None:
        held = take(tree)
        between(tree, held)
        tree.save()
        last(held)

    return change


def _moved(tree: Any, row: Any) -> None:
    tree.rows.remove(row)
    tree.rows.insert(1, row)


def _swap(rows: Any) -> None:
    rows[0], rows[1] = rows[1], rows[0]


CHANGES: dict[str, Callable[[Any], Any]] = {
    "list[i] =": lambda t: _put(t.tags, 0, "new"),
    "list[-1] =": lambda t: _put(t.tags, -1, "new"),
    "list[a:b] =": lambda t: _put(t.tags, slice(0, 1), ["x", "y"]),
    "del list[i]": lambda t: _remove(t.tags, 0),
    "del list[:]": lambda t: _remove(t.tags, slice(None)),
    "list.append": lambda t: t.tags.append("new"),
    "list.extend": lambda t: t.tags.extend(c for c in "xyz"),
    "list.insert": lambda t: t.tags.insert(0, "new"),
    "list.pop": lambda t: t.tags.pop(),
    "list.remove": lambda t: t.tags.remove("a"),
    "list.clear": lambda t: t.tags.clear(),
    "list.sort": lambda t: t.tags.sort(),
    "list.reverse": lambda t: t.tags.reverse(),
    "list +=": lambda t: _add(t, "tags", ["new"]),
    "list *=": lambda t: t.tags.__imul__(2),
    "list assigned and changed": _then(
        lambda t: _assign(t, "tags", ["x"]), lambda t: t.tags.append("y")
    ),
    "list in a list": lambda t: t.grid[1].append(9),
    "each list in a list": lambda t: _each(t.grid, lambda line: line.append(7)),
    "list in a list that has moved": _held(
        lambda t: t.grid[1], lambda t, line: t.grid.insert(0, [0]), lambda line: line.append(5)
    ),
    "mapping in a list": lambda t: _put(t.rows[1], "z", 1),
    "each mapping in a list": lambda t: _each(t.rows, lambda row: _put(row, "z", 1)),
    "list in a mapping in a list": lambda t: t.rows[0]["in"]["l"].append(2),
    "key of a mapping in a list popped": lambda t: t.rows[0].pop("k"),
    "mapping moved": _held(lambda t: t.rows[0], _moved, lambda row: _put(row, "w", 1)),
    "mappings swapped": _then(lambda t: _swap(t.rows), lambda t: _put(t.rows[0], "w", 1)),
    "mapping put in twice": _then(
        lambda t: t.rows.append(t.rows[0]), lambda t: _put(t.rows[0], "w", 1)
    ),
    "mapping put into another field": _then(
        lambda t: _put(t.notes, "copy", t.rows[0]), lambda t: _put(t.notes["copy"], "w", 1)
    ),
    "list replaced by a sorted one": _then(
        lambda t: _assign(t, "rows", sorted(t.rows, key=lambda row: -row["k"])),
        lambda t: _put(t.rows[0], "w", 1),
    ),
    "list of anything": lambda t: t.loose[0].append(2),
    "mapping in a list of anything": lambda t: t.loose[1]["k"].append(2),
    "mapping[k] =": lambda t: _put(t.notes, "new", 1),
    "mapping[k] = None": lambda t: _put(t.notes, "new", None),
    "mapping[k] = {}": lambda t: _put(t.notes, "new", {}),
    "mapping[k] = True for 1": lambda t: _put(t.notes, "one", True),
    "del mapping[k]": lambda t: _remove(t.notes, "a"),
    "mapping.update": lambda t: t.notes.update({"x": 1}, y=2),
    "mapping.update of many": lambda t: t.notes.update({f"k{i}": i for i in range(200)}),
    "mapping.setdefault": lambda t: t.notes.setdefault("new", []).append(1),
    "mapping.setdefault of what is there": lambda t: t.notes.setdefault("l", 5).append(3),
    "mapping.pop": lambda t: t.notes.pop("a"),
    "mapping.popitem": lambda t: t.notes.popitem(),
    "mapping.clear": lambda t: t.notes.clear(),
    "mapping |=": lambda t: _merge(t.notes, {"q": 1}),
    "mapping.get": lambda t: t.notes.get("l")[0].append(4),
    "each of mapping.values": lambda t: _each([*t.notes.values()][1:2], lambda v: v.append(1)),
    "each of mapping.items": lambda t: _each(
        list(t.notes.items())[:1], lambda i: i[1].update(p=1)
    ),
    "None deep in a mapping": lambda t: _put(t.notes["a"]["b"][1], "c", None),
    "text deep in a mapping": lambda t: _put(t.notes["a"], "b", ""),
    "mapping in a map": lambda t: _merge(t.maps["k"], {"y": 2}),
    "list in a map": lambda t: t.lists["k"].append(2),
    "new list in a map": lambda t: t.lists.setdefault("new", []).append(1),
    "part's field": lambda t: _assign(t.part, "number", 5),
    "part's field to None": lambda t: _assign(t.part, "number", None),
    "part's list": lambda t: t.part.scores.append(3),
    "list in a part's part": lambda t: t.part.leaf.scores.append(3),
    "mapping in a part's part": lambda t: _put(t.part.leaf.notes["x"], "y", [2]),
    "list in a list of a part": lambda t: t.part.leaves[1].scores.append(5),
    "one of a part's parts deleted": lambda t: _remove(t.part.leaves, 0),
    "part in a part's map": lambda t: t.part.by_name["k"].scores.append(4),
    "each part in a part's map": lambda t: _each(
        t.part.by_name.values(), lambda each: each.scores.append(6)
    ),
    "changed part replaced by its equal": lambda t: (
        _assign(t.part, "number", 7),
        _assign(t, "part", Part(number=7)),
    ),
    "field of a part in a list": lambda t: _assign(t.parts[1], "number", 8),
    "list of a part in a list": lambda t: t.parts[0].scores.append(8),
    "each part in a list": lambda t: _each(t.parts, lambda each: each.scores.append(1)),
    "parts.create": lambda t: t.parts.create(number=5),
    "parts.filter.update": lambda t: t.parts.filter(number=1).update(number=3),
    "parts.filter.delete": lambda t: t.parts.filter(number=1).delete(),
    "parts.exclude.update": lambda t: t.parts.exclude(number=1).update(number=3),
    "parts sorted": lambda t: t.parts.sort(key=lambda each: -each.number),
    "part in a list replaced": lambda t: _put(t.parts, 0, Part(number=5)),
    "part of any class": lambda t: t.any_part.leaf.scores.append(4),
    "part of any class in a list": lambda t: t.any_parts[0].scores.append(3),
    "part in a list in a map": lambda t: t.named["k"][0].scores.append(2),
    "new part in a list in a map": lambda t: t.named["k"].append(Part(number=2)),
    "mapping in a dynamic field": lambda t: _put(t.free["a"][0], "b", 2),
    "list in a dynamic field": lambda t: t.free["x"]["y"].extend([2, 3]),
    "key of a dynamic field": lambda t: _put(t.free, "n", 5),
    "dynamic field True for 1": _then(
        lambda t: _assign(t, "free", 1), lambda t: _assign(t, "free", True)
    ),
    "list in an assigned dynamic field": _then(
        lambda t: _assign(t, "free", [[1]]), lambda t: t.free[0].append(2)
    ),
    "part in a dynamic field": _then(
        lambda t: _assign(t, "free", {"p": part()}), lambda t: _assign(t.free["p"], "number", 2)
    ),
    "item of a sorted list": lambda t: _put(t.ranks, 0, 99),
    "item of a list that is sorted otherwise in the database": _then(
        lambda t: t.ranks.append(0), lambda t: _put(t.ranks, -1, 50)
    ),
    "part in a sorted list": lambda t: t.ranked[0].scores.append(3),
    "part in a list that is sorted otherwise in the database": _then(
        lambda t: t.ranked.append(Part(number=-5)), lambda t: t.ranked[-1].scores.append(3)
    ),
    "mapping in a sorted list": lambda t: _put(t.ranked_rows[0], "k", 100),
    "place": lambda t: _put(t.place["coordinates"], 0, 9.0),
}
