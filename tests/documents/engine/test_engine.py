"""What the engine changes for those who use documents, and what it leaves alone."""

from __future__ import annotations

import gc
import json
import logging
import pickle
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import mongoengine as me
import pytest
from bson import SON, Binary, Decimal128, ObjectId, encode
from fresh_databases import connected, model_registry, settings_for
from mongoengine import signals
from mongoengine.connection import get_db
from pymongo.errors import OperationFailure
from twins import ENGINE, STOCK, Base

from datalayer.documents import accelerate, invalidate
from datalayer.documents.engine import mongoengine_internals, reason_against, written
from datalayer.documents.engine.values.lazy_data import LazyData
from datalayer.embedded import EmbeddedMongo

KEY = ObjectId("6561f7a5c2f4f0a1b2c3d4e5")


class Part(ENGINE.embedded):
    number = me.IntField()
    texts = me.ListField(me.StringField())


class Whole(ENGINE.document):
    name = me.StringField(choices=["a", "b"])
    part = me.EmbeddedDocumentField(Part)
    parts = me.EmbeddedDocumentListField(Part)
    prices = me.ListField(me.DecimalField())
    notes = me.DictField()
    made = me.ListField(me.StringField(), default=lambda: ["made"])


class EagerWhole(ENGINE.document):
    part = me.EmbeddedDocumentField(Part)
    parts = me.ListField(me.EmbeddedDocumentField(Part))

    meta = {"eager": True}


def raw(**values: Any) -> dict[str, Any]:
    return {"_id": KEY, **values}


def waiting(document: Any) -> set[str]:
    return {name for name in document._data.pending if document._data.waits(name)}


# Laziness


def test_what_nobody_reads_is_never_converted() -> None:
    whole = Whole._from_son(raw(name="a", part={"number": 1}, notes={"k": 1}, prices=["1.5"]))
    assert waiting(whole) == {"part", "notes", "prices"}
    assert whole.part.number == 1
    assert waiting(whole) == {"notes", "prices"}


def test_a_value_that_cannot_be_converted_is_not_taken_for_one_that_is_absent() -> None:
    class Generic(ENGINE.document):  # MongoEngine raises KeyError when it loads such a document
        part = me.GenericEmbeddedDocumentField()

    for read in (lambda one: one.part, lambda one: one._data.get("part"), Generic.to_mongo):
        with pytest.raises(KeyError, match="_cls"):
            read(Generic._from_son(raw(part={"no class": 1})))
    assert Generic._from_son(raw()).part is None


def test_an_unknown_key_in_an_embedded_document_is_refused_when_it_is_loaded() -> None:
    with pytest.raises(me.FieldDoesNotExist):
        Whole._from_son(raw(part={"number": 1, "unknown": 2}))


def test_an_unknown_key_in_a_list_is_refused_on_first_access() -> None:
    whole = Whole._from_son(raw(parts=[{"unknown": 2}]))
    with pytest.raises(me.FieldDoesNotExist):
        _ = whole.parts


def test_a_wrong_type_in_a_list_is_refused_on_first_access_as_mongoengine_does_at_load() -> None:
    whole = Whole._from_son(raw(parts=["no document"]))
    with pytest.raises(me.InvalidDocumentError, match="Field 'parts'"):
        _ = whole.parts


@pytest.mark.parametrize("parts", [[{"unknown": 2}], ["no document"]])
def test_an_eager_class_refuses_both_when_it_is_loaded(parts: list[Any]) -> None:
    with pytest.raises((me.FieldDoesNotExist, me.InvalidDocumentError)):
        EagerWhole._from_son(raw(parts=parts))


def test_an_eager_class_leaves_nothing_waiting() -> None:
    whole = EagerWhole._from_son(raw(part={"number": 1, "texts": ["a"]}))
    assert type(whole._data) is dict
    assert waiting(whole.part) == set()


def test_a_default_is_made_when_the_document_is_loaded() -> None:
    whole = Whole._from_son(raw())
    assert dict.__contains__(whole._data, "made")
    assert whole.made == ["made"]


def test_threads_that_read_a_value_first_get_the_same_one() -> None:
    for _ in range(50):
        whole = Whole._from_son(raw(part={"number": 1}))
        start = threading.Barrier(8)
        found: list[Any] = []

        def read(whole: Any = whole, start: Any = start, found: Any = found) -> None:
            start.wait(60)
            found.append(whole.part)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(found) == 8
        assert len({id(part) for part in found}) == 1
        assert found[0] is whole.part


def test_a_part_knows_its_document() -> None:
    whole = Whole._from_son(raw(part={"number": 1}, parts=[{"number": 2}]))
    assert whole.part._instance.id == KEY
    assert whole.parts[0]._instance.id == KEY


def test_a_change_inside_a_copied_document_is_noted() -> None:
    whole = pickle.loads(pickle.dumps(Whole._from_son(raw(parts=[{"number": 2}]))))
    whole.parts[0].number = 3
    whole.made.append("more")
    assert sorted(whole._get_changed_fields()) == ["made", "parts.0.number"]


@pytest.mark.parametrize(
    "view",
    [
        dict,
        lambda data: {**data},
        lambda data: data.copy(),
        lambda data: data | {},
        lambda data: {} | data,
        lambda data: {name: data[name] for name in data},
        lambda data: {name: data.get(name) for name in data.keys()},  # noqa: SIM118
        lambda data: dict(data.items()),
        lambda data: dict(zip(data, data.values(), strict=True)),
        lambda data: pickle.loads(pickle.dumps(data)),
    ],
)
def test_every_way_of_looking_into_the_data_shows_what_waits(view: Any) -> None:
    data = Whole._from_son(raw(name="a", notes={"k": 1}))._data
    assert type(data) is LazyData
    shown = view(data)
    assert shown["notes"] == {"k": 1}
    assert shown["name"] == "a"


def test_the_data_of_a_document_is_a_dictionary_in_all_else() -> None:
    data = Whole._from_son(raw(name="a", notes={"k": 1}))._data
    assert "notes" in data
    assert "unknown" not in data
    assert data.get("unknown", 5) == 5
    assert data.setdefault("notes", 1) == {"k": 1}
    assert len(data) == len(Whole._fields)
    assert data == dict(data)
    assert data.pop("notes") == {"k": 1}
    assert "notes" not in data
    with pytest.raises(KeyError):
        data["notes"]
    data.clear()
    assert not data


def test_the_json_of_waiting_data_is_whole() -> None:
    data = Whole._from_son(raw(notes={"k": 1}))._data
    assert json.loads(json.dumps(data, default=str))["notes"] == {"k": 1}


def test_setting_a_waiting_value_drops_the_loaded_one() -> None:
    whole = Whole._from_son(raw(notes={"k": 1}))
    whole.notes = {"new": 2}
    assert whole.notes == {"new": 2}
    assert whole._get_changed_fields() == ["notes"]


def test_a_document_without_dereferencing_shares_the_fields_of_others() -> None:
    first, second = (Whole._from_son(raw(), _auto_dereference=False) for _ in range(2))
    assert first._fields is second._fields
    assert first._fields["notes"]._auto_dereference is False
    assert Whole._fields["name"]._auto_dereference is True


# What stays as it was


def test_the_attributes_of_a_class_are_its_fields() -> None:
    Whole._from_son(raw())
    assert Whole.part is Whole._fields["part"]
    assert Whole.name is Whole._fields["name"]


class Named(ENGINE.document):
    document = me.StringField()
    values = me.ListField(me.StringField())
    args = me.IntField()


def test_fields_may_have_any_name() -> None:
    named = Named(document="a", values=["b"], args=1)
    assert (named.document, named.values, named.args) == ("a", ["b"], 1)


def test_choices_are_shown() -> None:
    assert Whole._from_son(raw(name="a")).get_name_display() == "a"
    assert Whole(name="b").get_name_display() == "b"


def test_mongoengines_mapping_comes_out() -> None:
    written = Whole(part=Part(number=1)).to_mongo()
    assert type(written) is SON
    assert type(written["part"]) is SON


def test_large_binary_values_reach_the_driver_without_a_copy() -> None:
    class Stored(ENGINE.document):
        content = me.BinaryField()

    content = bytes(1000)
    stored = Stored(content=content)
    assert written(stored)["content"] is content
    assert type(stored.to_mongo()["content"]) is Binary
    assert encode(written(stored)) == encode(stored.to_mongo())


def test_a_document_takes_no_more_memory_than_mongoengines() -> None:
    def size_of_one(base: Any) -> float:
        part = base.part("MemoryPart", {f"f{n}": me.StringField() for n in range(10)})
        fields = {"part": me.EmbeddedDocumentField(part), "list": me.ListField(me.IntField())}
        texts = {f"f{n}": me.StringField() for n in range(10)}
        model = base.model("MemoryWhole", {**fields, **texts})
        raws = [
            raw(part=dict.fromkeys(part._fields, "text"), list=[1, 2], **dict.fromkeys(texts, "t"))
            for _ in range(300)
        ]
        model._from_son(raws[0])
        gc.collect()
        tracemalloc.start()
        documents = []
        while raws:  # what becomes of the driver's dictionary counts as well
            documents.append(model._from_son(raws.pop()))
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size / len(documents)

    assert size_of_one(ENGINE) <= size_of_one(STOCK)


# Classes that take MongoEngine's own path


class Heard(ENGINE.document):
    name = me.StringField()


class Unheard(ENGINE.document):
    name = me.StringField()


def test_only_classes_with_receivers_are_told_of() -> None:
    heard: list[tuple[Any, Any]] = []

    def on_init(sender: Any, document: Any, **told: Any) -> None:
        heard.append((sender, told.get("values")))

    signals.pre_init.connect(on_init, sender=Heard)
    signals.post_init.connect(on_init, sender=Heard)
    try:
        Heard(name="a")
        Heard._from_son(raw(name="b"))
        Unheard(name="a")
        Unheard._from_son(raw(name="b"))
    finally:
        signals.pre_init.disconnect(on_init, sender=Heard)
        signals.post_init.disconnect(on_init, sender=Heard)
    assert [sender for sender, _ in heard] == [Heard] * 4
    Heard(name="c")
    assert len(heard) == 4


class Initialised(ENGINE.document):
    name = me.StringField()

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        self.seen = True


class Dynamic(me.DynamicDocument):
    pass


class Own(me.StringField):
    def to_python(self, value: Any) -> Any:
        return f"<{value}>"


class WithOwn(ENGINE.document):
    own = Own()


def test_a_class_with_its_own_init_has_it_called() -> None:
    assert Initialised._from_son(raw(name="a")).seen
    assert reason_against(Initialised) == "it has its own __init__"


def test_a_dynamic_class_is_left_to_mongoengine() -> None:
    assert str(reason_against(Dynamic)).startswith("it is dynamic")


def test_a_field_that_converts_in_its_own_way_does() -> None:
    assert WithOwn._from_son(raw(own="a")).own == "<a>"
    assert reason_against(WithOwn) is None


def test_a_changed_class_is_compiled_anew_when_it_is_told() -> None:
    class Changing(ENGINE.document):
        name = me.StringField()

    Changing().validate()
    Changing.name.required = True
    invalidate()
    with pytest.raises(me.ValidationError):
        Changing().validate()


def test_an_unknown_version_of_mongoengine_takes_its_own_path_with_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(me, "VERSION", (0, 99, 0))
    monkeypatch.setattr(mongoengine_internals, "_supported", None)

    class Future(ENGINE.document):
        name = me.StringField()

    class Later(ENGINE.document):
        part = me.EmbeddedDocumentField(Part)

    with caplog.at_level(logging.WARNING, "datalayer"):
        assert Future._from_son(raw(name="a")).name == "a"
        assert type(Later._from_son(raw(part=None))._data) is dict
    assert [record.getMessage() for record in caplog.records] == [
        "documents take MongoEngine's own, slower path: MongoEngine 0.99.0 is not known"
    ]


# An application's existing classes


class Existing(me.Document):
    name = me.StringField()
    notes = me.DictField()


@pytest.fixture
def accelerated() -> Iterator[None]:
    accelerate()
    try:
        yield
    finally:
        accelerate(False)


def test_accelerating_gives_existing_classes_the_engine(accelerated: None) -> None:
    assert type(Existing._from_son(raw(notes={"k": 1}))._data) is LazyData


def test_taking_it_back_leaves_mongoengine_as_it_was() -> None:
    before = {model: dict(vars(model)) for model in (me.Document, me.EmbeddedDocument, Existing)}
    accelerate()
    loaded = Existing._from_son(raw(name="a", notes={"k": 1}))
    accelerate()  # twice is once
    accelerate(False)
    for model, attributes in before.items():
        assert {name: vars(model).get(name) for name in attributes} == attributes
        assert vars(model).keys() == attributes.keys()
    assert type(Existing._from_son(raw(notes={"k": 1}))._data) is dict
    assert loaded.notes == {"k": 1}
    assert loaded.to_mongo()["name"] == "a"


def test_decimals_are_exact() -> None:
    assert Whole._from_son(raw(prices=["1.50"])).prices[0] == Decimal128("1.50").to_decimal()


@pytest.mark.parametrize("fields", [{}, {"blob": me.BinaryField}], ids=["plain", "assigned"])
def test_a_document_stored_without_the_name_of_its_class_has_it(fields: dict[str, Any]) -> None:
    made = {name: make() for name, make in fields.items()}
    model = ENGINE.model("Unnamed", {"name": me.StringField(), **made}, allow_inheritance=True)
    assert model._from_son({"name": "a"})._cls == "Unnamed"


def test_a_part_of_a_class_that_nobody_knows_is_refused_when_its_document_is_loaded() -> None:
    part = ENGINE.part("KnownPart", {"number": me.IntField()}, allow_inheritance=True)
    model = ENGINE.model("KnowingWhole", {"part": me.EmbeddedDocumentField(part)})
    assert model._from_son({"part": {"_cls": "KnownPart", "number": 1}}).part.number == 1
    with pytest.raises(me.errors.NotRegistered):
        model._from_son({"part": {"_cls": "NobodysPart", "number": 1}})


class OfAnAbsentServer(me.StringField):
    def to_mongo(self, value: Any) -> Any:
        raise OperationFailure("the server with the keys is absent")


@pytest.mark.parametrize("base", [STOCK, ENGINE], ids=["stock", "engine"])
def test_a_document_that_cannot_be_written_out_leaves_no_collection_behind(
    base: Base, mongod: EmbeddedMongo
) -> None:
    with model_registry(), connected(settings_for(mongod, "default")):
        model = base.model("Unwritable", {"name": OfAnAbsentServer()}, indexes=["name"])
        with pytest.raises(OperationFailure, match="the server with the keys is absent"):
            model(name="a").save()
        assert get_db().list_collection_names() == []
