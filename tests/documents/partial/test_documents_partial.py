"""Documents loaded in part, by ``only()``, ``exclude()`` and ``fields()``: what wasn't loaded is
neither demanded nor overwritten nor lost."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import mongoengine as me
import pytest
from bson import ObjectId
from mongoengine.errors import OperationError

from datalayer import BusinessDocument, db
from datalayer.connections.registry import registry
from datalayer.documents import Document, EmbeddedDocument
from datalayer.errors import StaleDocumentError
from datalayer.settings import Settings


class Inner(EmbeddedDocument):
    a = me.IntField()
    b = me.ListField(me.IntField())


class Line(EmbeddedDocument):
    name = me.StringField(required=True, db_field="nm")
    price = me.IntField(default=7)
    tags = me.ListField(me.StringField(), db_field="tg")
    inner = me.EmbeddedDocumentField(Inner)


class _Common(BusinessDocument):
    code = me.StringField(required=True, db_field="c")
    weight = me.IntField(required=True, default=0)
    note = me.StringField(null=True)
    tags = me.ListField(me.StringField(), db_field="t")
    counts = me.MapField(me.IntField(), db_field="cs")
    free = me.DictField()
    any = me.DynamicField()
    line = me.EmbeddedDocumentField(Line, db_field="l")
    lines = me.EmbeddedDocumentListField(Line, db_field="ls")
    by_name = me.MapField(me.EmbeddedDocumentField(Line), db_field="bn")
    friend = me.ReferenceField("self")
    rows = me.ListField(me.DictField())

    meta = {"abstract": True}


class Fast(_Common):
    """Read by the engine."""


class Dynamic(_Common, me.DynamicDocument):
    """Left to MongoEngine."""


class Numbered(_Common):
    """Saved in MongoEngine's own way."""

    number = me.SequenceField(collection_name="test_numbers")


class WithInit(_Common):
    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)


class Base(_Common):
    meta = {"allow_inheritance": True}


class Derived(Base):
    more = me.ListField(me.IntField())


class Sharded(Document):
    region = me.StringField(required=True, db_field="r")
    size = me.IntField()
    tags = me.ListField(me.StringField())

    meta = {"shard_key": ("region",)}


KINDS = (Fast, Dynamic, Numbered, Derived)
MODELS = (*KINDS, Base, WithInit, Sharded, Inner, Line)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def model(request: pytest.FixtureRequest) -> Any:
    stored(request.param)
    return request.param


def line(name: str) -> Line:
    return Line(name=name, price=1, tags=["x", "y"], inner=Inner(a=1, b=[1, 2]))


def stored(model: Any = Fast, **more: Any) -> Any:
    values: dict[str, Any] = {
        "code": "a",
        "weight": 3,
        "note": "n",
        "tags": ["x", "y", "z"],
        "counts": {"k": 1, "l": 2},
        "free": {"k": {"deep": [1]}, "l": 2},
        "any": {"k": [1, 2], "l": 2},
        "line": line("one"),
        "lines": [line("p"), line("q")],
        "by_name": {"k": line("k"), "l": line("l")},
        "rows": [{"a": 1, "b": 1}, {"a": 2, "b": 2}],
    }
    return model(**{**values, **more}).save()


def raw(model: Any = Fast) -> Any:
    name = model._get_collection_name()
    return registry.connection("default").database[name].find_one(sort=[("_id", 1)])


def without_stamp(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "updated_at"}


def commands() -> int:
    """How many commands this thread has sent so far."""
    return registry.connection("default").monitors.commands.traffic().sent


def put(document: Any, path: str, value: Any) -> dict[str, Any]:
    """A copy of ``document`` with another value at ``path``."""
    changed = copy.deepcopy(document)
    *outer, last = path.split(".")
    here = changed
    for key in outer:
        here = here[int(key)] if isinstance(here, list) else here[key]
    here[int(last) if isinstance(here, list) else last] = value
    return changed


# Saving what was changed


LOADED_BY: dict[str, Callable[[Any], Any]] = {
    "only": lambda model: model.objects.only("code"),
    "exclude": lambda model: model.objects.exclude(
        "weight", "note", "tags", "counts", "free", "any", "line", "lines", "by_name", "rows"
    ),
    "fields": lambda model: model.objects.fields(code=1),
    "no_cache": lambda model: model.objects.no_cache().only("code"),
    "no_dereference": lambda model: model.objects.only("code").no_dereference(),
}
READ_BY: dict[str, Callable[[Any], Any]] = {
    "first": lambda found: found.first(),
    "get": lambda found: found.get(),
    "an index": lambda found: found[0],
    "a slice": lambda found: next(iter(found[0:1])),
    "iterating": lambda found: next(iter(found)),
    "a list": lambda found: next(iter(list(found))),
    "next": lambda found: next(found.all()),
    "in_bulk": lambda found: next(iter(found.in_bulk([raw(found._document)["_id"]]).values())),
    "modify": lambda found: found.modify(set__code="a", new=True),
    "select_related": lambda found: next(iter(found.select_related())),
}
# What is done, and where the stored document has which value then.
CHANGES: dict[str, tuple[Callable[[Any], Any], str, Any]] = {
    "a loaded value": (lambda d: setattr(d, "code", "b"), "c", "b"),
    "a value assigned": (lambda d: setattr(d, "weight", 5), "weight", 5),
    "a value counted up": (lambda d: setattr(d, "weight", d.weight + 1), "weight", 4),
    "a list assigned": (lambda d: setattr(d, "tags", ["q"]), "t", ["q"]),
    "a list in place": (lambda d: d.tags.append("q"), "t", ["x", "y", "z", "q"]),
    "a list by an index": (lambda d: d.tags.__setitem__(1, "q"), "t.1", "q"),
    "a mapping in place": (lambda d: d.counts.update(m=3), "cs", {"k": 1, "l": 2, "m": 3}),
    "a mapping by a key": (lambda d: d.counts.__setitem__("k", 9), "cs.k", 9),
    "a default set": (lambda d: d.counts.setdefault("k", 9), "cs.k", 1),
    "deep in a mapping": (lambda d: d.free["k"]["deep"].append(2), "free.k.deep", [1, 2]),
    "in anything": (lambda d: d.any["k"].append(3), "any.k", [1, 2, 3]),
    "in an embedded document": (lambda d: setattr(d.line, "price", 9), "l.price", 9),
    "a list in one": (lambda d: d.line.tags.append("q"), "l.tg", ["x", "y", "q"]),
    "one in a list": (lambda d: setattr(d.lines[1], "price", 9), "ls.1.price", 9),
    "one in a mapping": (lambda d: setattr(d.by_name["k"], "price", 9), "bn.k.price", 9),
}


@pytest.mark.parametrize("change", CHANGES)
def test_saving_a_change_keeps_what_was_not_loaded(model: Any, change: str) -> None:
    do, path, value = CHANGES[change]
    before = raw(model)
    found = model.objects.only("code").first()
    do(found)
    found.save()
    assert without_stamp(raw(model)) == without_stamp(put(before, path, value))


@pytest.mark.parametrize("loaded", LOADED_BY)
@pytest.mark.parametrize("read", READ_BY)
def test_however_it_is_read(loaded: str, read: str) -> None:
    stored()
    before = raw()
    found = READ_BY[read](LOADED_BY[loaded](Fast))
    assert "weight" not in found.to_mongo()
    found.tags.append("q")
    found.code = "b"
    found.save()
    expected = put(put(before, "t", ["x", "y", "z", "q"]), "c", "b")
    assert without_stamp(raw()) == without_stamp(expected)


def test_what_was_excluded_is_neither_demanded_nor_overwritten(model: Any) -> None:
    before = raw(model)
    found = model.objects.exclude("code", "weight", "tags").first()
    found.note = "m"
    found.save()
    assert without_stamp(raw(model)) == without_stamp(put(before, "note", "m"))


def test_a_value_that_was_not_loaded_can_be_taken_away() -> None:
    stored()
    found = Fast.objects.only("code").first()
    found.note = None
    found.tags = []
    del found.line
    found.save()
    after = raw()
    assert not after.get("note")
    assert not after.get("t")
    assert not after.get("l")
    assert after["weight"] == 3


def test_a_required_value_that_was_loaded_is_demanded_as_ever() -> None:
    stored()
    found = Fast.objects.only("code").first()
    found.code = None
    with pytest.raises(me.ValidationError) as caught:
        found.save()
    assert list(caught.value.errors) == ["code"]


def test_a_wrong_value_that_is_assigned_is_told() -> None:
    stored()
    found = Fast.objects.only("code").first()
    found.weight = "many"
    with pytest.raises(me.ValidationError) as caught:
        found.save()
    assert list(caught.value.errors) == ["weight"]


def test_a_sequence_is_not_drawn_for_a_document_that_has_its_number() -> None:
    number = stored(Numbered).number
    found = Numbered.objects.only("code").first()
    found.code = "b"
    found.save()
    assert "number" not in found.to_mongo()
    assert found.number == number == raw(Numbered)["number"]


# Reading what was not loaded


def test_a_value_is_fetched_when_it_is_read(model: Any) -> None:
    found = model.objects.only("code").first()
    assert (found.weight, found.tags, found.line.name) == (3, ["x", "y", "z"], "one")
    assert found._get_changed_fields() == []


def test_it_is_fetched_once() -> None:
    stored()
    found = Fast.objects.only("code").first()
    before = commands()
    assert found.tags is found.tags
    assert found.weight == found.weight == 3
    assert commands() - before == 2


def test_what_was_loaded_needs_no_command() -> None:
    stored()
    found = Fast.objects.only("code", "tags").first()
    before = commands()
    assert (found.code, found.tags) == ("a", ["x", "y", "z"])
    found.validate()
    found.to_mongo()
    found.to_json()
    found.save()
    assert commands() == before


def test_a_field_without_a_value_has_its_default() -> None:
    Fast(code="a").save()
    registry.connection("default").database["fast"].update_one({}, {"$unset": {"weight": 1}})
    found = Fast.objects.only("code").first()
    assert (found.weight, found.tags, found.line) == (0, [], None)
    found.tags.append("q")
    found.save()
    assert raw()["t"] == ["q"]


def test_a_reference_is_followed() -> None:
    friend = stored(code="friend")
    stored(code="b", friend=friend)
    found = Fast.objects(code="b").only("code").first()
    assert found.friend.code == "friend"


def test_shown_is_what_was_loaded(model: Any) -> None:
    found = model.objects.only("code", "line").first()
    shown = found.to_mongo()
    assert {*shown} - {"_cls"} == {"_id", "c", "l"}
    assert '"c": "a"' in found.to_json()
    assert "weight" not in found.to_json()


def test_a_value_of_a_document_that_is_gone_can_not_be_read() -> None:
    stored()
    found = Fast.objects.only("code").first()
    registry.connection("default").database["fast"].delete_many({})
    with pytest.raises(StaleDocumentError) as caught:
        found.tags.append("q")
    assert caught.value.id == found.pk


def test_after_reloading_it_has_all() -> None:
    stored()
    found = Fast.objects.only("code").first()
    found.reload()
    before = commands()
    assert (found.weight, found.tags) == (3, ["x", "y", "z"])
    assert commands() == before
    found.save(force_insert=False)
    found.id = None
    found.save()
    assert Fast.objects.count() == 2


def test_reloading_a_field_loads_that_one() -> None:
    stored()
    found = Fast.objects.only("code", "counts.k").first()
    found.reload("counts")
    assert "weight" not in found.to_mongo()
    found.counts.pop("k")
    found.save()
    assert raw()["cs"] == {"l": 2}
    assert raw()["weight"] == 3


def test_modifying_loads_all() -> None:
    stored()
    found = Fast.objects.only("code").first()
    assert found.modify(set__code="b")
    before = commands()
    assert (found.code, found.weight) == ("b", 3)
    assert commands() == before


def test_scalars_are_values() -> None:
    stored()
    assert list(Fast.objects.scalar("code", "weight")) == [("a", 3)]
    assert Fast.objects.only("code").as_pymongo().first().keys() == {"_id", "c"}


# Parts of values


PARTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], str, Any]] = {
    "only: a loaded value": (
        lambda q: q.only("line.price"), lambda d: setattr(d.line, "price", 9), "l.price", 9,
    ),
    "only: another value": (
        lambda q: q.only("line.price"), lambda d: setattr(d.line, "name", "w"), "l.nm", "w",
    ),
    "only: another list in place": (
        lambda q: q.only("line.price"),
        lambda d: d.line.tags.append("q"),
        "l.tg",
        ["x", "y", "q"],
    ),
    "only: deeper": (
        lambda q: q.only("line.inner.a"), lambda d: d.line.inner.b.append(3), "l.inner.b",
        [1, 2, 3],
    ),
    "only: a whole one deeper": (
        lambda q: q.only("line.price"), lambda d: setattr(d.line.inner, "a", 2), "l.inner.a", 2,
    ),
    "exclude: another value": (
        lambda q: q.exclude("line.tags"), lambda d: setattr(d.line, "price", 9), "l.price", 9,
    ),
    "exclude: the value in place": (
        lambda q: q.exclude("line.tags"),
        lambda d: d.line.tags.append("q"),
        "l.tg",
        ["x", "y", "q"],
    ),
    "only: of each in a list": (
        lambda q: q.only("lines.price"), lambda d: setattr(d.lines[1], "price", 9),
        "ls.1.price", 9,
    ),
    "only: another value in a list": (
        lambda q: q.only("lines.price"), lambda d: setattr(d.lines[1], "name", "w"),
        "ls.1.nm", "w",
    ),
    "exclude: of each in a list": (
        lambda q: q.exclude("lines.tags"),
        lambda d: setattr(d.lines[0], "price", 9),
        "ls.0.price",
        9,
    ),
    "only: a key": (
        lambda q: q.only("counts.k"), lambda d: d.counts.__setitem__("k", 9), "cs.k", 9,
    ),
    "only: another key": (
        lambda q: q.only("counts.k"), lambda d: d.counts.__setitem__("m", 9), "cs.m", 9,
    ),
    "only: of one in a mapping": (
        lambda q: q.only("by_name.k.price"),
        lambda d: d.by_name["k"].tags.append("q"),
        "bn.k.tg",
        ["x", "y", "q"],
    ),
    "only: a whole new one": (
        lambda q: q.only("line.price"),
        lambda d: setattr(d, "line", Line(name="new")),
        "l",
        {"nm": "new", "price": 7, "tg": []},
    ),
    "only: whole new ones": (
        lambda q: q.only("lines.price"),
        lambda d: setattr(d, "lines", [Line(name="new")]),
        "ls",
        [{"nm": "new", "price": 7, "tg": []}],
    ),
    "slice: another field": (
        lambda q: q.fields(slice__tags=2), lambda d: setattr(d, "code", "b"), "c", "b",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", [Fast, WithInit], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("part", PARTS)
def test_a_change_in_a_part_keeps_the_rest_of_it(kind: Any, part: str) -> None:
    loaded, change, path, value = PARTS[part]
    stored(kind)
    before = raw(kind)
    found = loaded(kind.objects).first()
    change(found)
    found.save()
    assert without_stamp(raw(kind)) == without_stamp(put(before, path, value))


REFUSED: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "slice: added to": (lambda q: q.fields(slice__tags=2), lambda d: d.tags.append("q")),
    "slice: by an index": (
        lambda q: q.fields(slice__tags=-1), lambda d: d.tags.__setitem__(0, "q"),
    ),
    "slice: assigned": (
        lambda q: q.fields(slice__tags=2), lambda d: setattr(d, "tags", [*d.tags, "q"]),
    ),
    "slice: in one of them": (
        lambda q: q.fields(slice__lines=[1, 1]), lambda d: setattr(d.lines[0], "price", 9),
    ),
    "slice within": (
        lambda q: q.fields(slice__line__tags=1), lambda d: d.line.tags.append("q"),
    ),
    "elemMatch": (
        lambda q: q.fields(elemMatch__lines={"nm": "q"}),
        lambda d: setattr(d.lines[0], "price", 9),
    ),
    "a list of parts": (lambda q: q.only("lines.price"), lambda d: d.lines.append(line("r"))),
    "a list of parts, shorter": (lambda q: q.only("lines.price"), lambda d: d.lines.pop(0)),
    "a list of mappings": (
        lambda q: q.only("rows.a"), lambda d: d.rows[0].__setitem__("a", 9),
    ),
    "a mapping of which keys were loaded": (
        lambda q: q.only("counts.k"), lambda d: d.counts.clear(),
    ),
    "a mapping without a key": (
        lambda q: q.exclude("free.k"), lambda d: setattr(d, "free", {"l": 5}),
    ),
    "a part put elsewhere": (
        lambda q: q.only("line.price", "lines"), lambda d: d.lines.append(d.line),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", [Fast, Dynamic], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("refused", REFUSED)
def test_what_would_lose_a_part_is_refused_before_anything_is_sent(
    kind: Any, refused: str
) -> None:
    loaded, change = REFUSED[refused]
    stored(kind)
    before = raw(kind)
    found = loaded(kind.objects).first()
    change(found)
    sent = commands()
    with pytest.raises(StaleDocumentError, match=r"reload\(\)") as caught:
        found.save()
    assert (caught.value.id, commands()) == (found.pk, sent)
    assert raw(kind) == before


def test_a_part_of_an_item_of_a_list_can_not_be_fetched() -> None:
    stored()
    found = Fast.objects.only("lines.price").first()
    with pytest.raises(OperationError, match=r"Line\.name wasn't loaded"):
        str(found.lines[0].name)


def test_a_part_in_another_document_is_refused() -> None:
    stored()
    part = Fast.objects.only("line.price").first().line
    other = stored(Fast, code="b")
    other.line = part
    with pytest.raises(StaleDocumentError):
        other.save()
    with pytest.raises(StaleDocumentError):
        Fast(code="c", lines=[part]).save()
    with pytest.raises(StaleDocumentError):
        Fast.objects.insert([Fast(code="d", by_name={"x": part})])
    assert Fast.objects.count() == 2


def test_a_part_that_was_completed_is_whole() -> None:
    stored()
    found = Fast.objects.only("line.price").first()
    part = found.line
    assert (part.name, part.tags, part.inner.a) == ("one", ["x", "y"], 1)
    other = stored(Fast, code="b")
    other.line = part
    other.save()
    assert Fast.objects.get(code="b").line.name == "one"


def test_a_part_outlives_its_document() -> None:
    stored()
    part = Fast.objects.only("line.price").first().line
    assert part.tags == ["x", "y"]


# Storing it anew


ANEW: dict[str, Callable[[Any], Any]] = {
    "without its key": lambda found: (setattr(found, "id", None), found.save()),
    "by force": lambda found: found.save(force_insert=True),
    "in another database": lambda found: found.switch_db("database1").save(),
    "in another collection": lambda found: found.switch_collection("other").save(),
    "inserted": lambda found: (setattr(found, "id", None), type(found).objects.insert(found)),
}


@pytest.mark.parametrize("how", ANEW)
def test_a_document_loaded_in_part_is_not_stored_anew(model: Any, how: str) -> None:
    found = model.objects.only("code").first()
    with pytest.raises(StaleDocumentError, match=r"reload\(\)"):
        ANEW[how](found)
    assert model.objects.count() == 1
    assert "other" not in registry.connection("default").database.list_collection_names()


def test_a_document_without_its_key_is_not_saved() -> None:
    stored()
    found = Fast.objects.only("code").exclude("id").first()
    found.code = "b"
    with pytest.raises(StaleDocumentError):
        found.save()
    with pytest.raises(OperationError):
        str(found.weight)
    assert Fast.objects.count() == 1


def test_reloaded_it_is_stored_anew() -> None:
    stored()
    found = Fast.objects.only("code").first()
    found.reload().switch_db("database1").save()
    assert registry.connection("database1").database["fast"].find_one()["weight"] == 3


# Copies, transactions, shards


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda found: pickle.loads(pickle.dumps(found))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_knows_what_it_lacks(model: Any, copied: Callable[[Any], Any]) -> None:
    before = raw(model)
    found = copied(model.objects.only("code", "line.price").first())
    assert "weight" not in found.to_mongo()
    found.code = "b"
    found.line.price = 9
    found.tags.append("q")
    found.save()
    expected = put(put(put(before, "t", ["x", "y", "z", "q"]), "c", "b"), "l.price", 9)
    assert without_stamp(raw(model)) == without_stamp(expected)


def test_a_rollback_forgets_what_was_fetched_in_the_transaction() -> None:
    stored()
    found = Fast.objects.only("code").first()

    @db.transactional
    def fail() -> None:
        Fast.objects.update(push__tags="made up")
        found.tags.append("q")
        found.reload()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert "t" not in found.to_mongo()
    assert found.tags == ["x", "y", "z"]
    found.id = None
    with pytest.raises(StaleDocumentError):
        found.save()


def test_a_shard_key_that_was_not_loaded_is_fetched() -> None:
    Sharded(region="eu", size=1, tags=["x"]).save()
    found = Sharded.objects.only("size").first()
    found.size = 2
    found.save()
    assert raw(Sharded) == {"_id": found.pk, "r": "eu", "size": 2, "tags": ["x"]}


def test_a_key_that_was_changed_is_not_fetched_from() -> None:
    stored()
    found = Fast.objects.only("code").first()
    found.id = ObjectId()
    assert found.weight == 3


class Theirs(me.EmbeddedDocument):
    a = me.IntField(required=True)
    b = me.ListField(me.IntField())


class HoldsTheirs(Document):
    part = me.EmbeddedDocumentField(Theirs)
    code = me.StringField()


def test_a_part_of_mongoengines_own_class_is_not_overwritten_unseen() -> None:
    HoldsTheirs(part=Theirs(a=1, b=[1, 2]), code="a").save()
    before = raw(HoldsTheirs)
    found = HoldsTheirs.objects.only("part.a").first()
    found.part.a = 2
    found.save()
    found.part.b.append(3)
    with pytest.raises(StaleDocumentError):
        found.save()
    assert raw(HoldsTheirs) == put(before, "part.a", 2)


def test_on_mongomock_it_is_fetched_too(shared: Settings) -> None:
    db.disconnect_all()
    try:
        db.connect_all(Settings(databases={"default": "mongomock://partial"}))
        Sharded(region="eu", size=1, tags=["x"]).save()
        found = Sharded.objects.only("size").first()
        found.tags.append("y")
        found.save()
        assert raw(Sharded)["tags"] == ["x", "y"]
    finally:
        db.disconnect_all()
        db.connect_all(shared)


def test_a_value_of_far_too_many_levels_is_refused_in_a_process_that_has_loaded_parts() -> None:
    key = stored(line=line("l")).id
    value: dict[str, Any] = {}
    for _ in range(480):  # what MongoEngine has room for on the stack, in one frame for each
        value = {"a": value}
    assert Fast.objects.only("line__name").get(id=key).line.name == "l"
    document = Fast(code="b", free=value)
    with pytest.raises(me.ValidationError):
        document.save()
