"""Whatever classes and data there are: a document with the engine is what MongoEngine makes.

Hypothesis builds a class from random fields, twice: on MongoEngine's base classes and with the
engine. Both get the same data and the same changes. DATALAYER_TEST_EXAMPLES sets how many.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import bson
import mongoengine as me
import pytest
from bson import Decimal128, Int64, ObjectId, json_util
from bson.binary import Binary, UuidRepresentation
from bson.codec_options import CodecOptions
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from twins import ENGINE, STOCK, Base, Colour, failed, outcome, registered, shown

from datalayer.documents.engine import core
from datalayer.documents.engine.mixins import reading_program

EXAMPLES = profile(
    max_examples=int(os.environ.get("DATALAYER_TEST_EXAMPLES", "150")),
    deadline=None,
    derandomize="DATALAYER_TEST_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)

ID = ObjectId("6561f7a5c2f4f0a1b2c3d4e5")
WHEN = datetime(2024, 5, 6, 7, 8, 9, 10000)
TEXTS = st.text("abc é.$", max_size=6)
NUMBERS = st.sampled_from([0, 1, -1, 7, 2**31, Int64(5), 2**63 - 1, True])
SINGLE: st.SearchStrategy[Any] = st.one_of(
    TEXTS,
    NUMBERS,
    st.sampled_from([0.0, 1.5, -2.25, float("inf")]),
    st.booleans(),
    st.sampled_from([WHEN, WHEN.replace(tzinfo=UTC), ID, Decimal128("1.25"), Binary(b"ab", 0)]),
    st.sampled_from([UUID(int=5), "red", "http://example.org/", "a@example.org", b"bytes"]),
)
RAW: st.SearchStrategy[Any] = st.recursive(
    SINGLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "n", "_cls"]), inner, max_size=3),
    ),
    max_leaves=5,
)


@dataclass(frozen=True)
class Kind:
    """A kind of field: how it is made (given the classes of parts), and fitting raw values."""

    name: str
    make: Callable[..., Any]
    raw: st.SearchStrategy[Any]

    def __repr__(self) -> str:
        return self.name


def _kinds() -> list[Kind]:
    parts = st.fixed_dictionaries({}, optional={"n": NUMBERS, "t": TEXTS, "l": st.lists(TEXTS)})
    named = st.builds(lambda raw: {**raw, "_cls": "Part"}, parts)
    return [
        Kind("string", lambda p, **o: me.StringField(**o), TEXTS),
        Kind("short", lambda p, **o: me.StringField(max_length=3, **o), TEXTS),
        Kind("pattern", lambda p, **o: me.StringField(regex="^a", **o), TEXTS),
        Kind("int", lambda p, **o: me.IntField(**o), NUMBERS),
        Kind("small", lambda p, **o: me.IntField(min_value=0, max_value=5, **o), NUMBERS),
        Kind("long", lambda p, **o: me.LongField(**o), NUMBERS),
        Kind("float", lambda p, **o: me.FloatField(**o), st.sampled_from([0.5, 1, -2.0])),
        Kind("bool", lambda p, **o: me.BooleanField(**o), st.booleans()),
        Kind("datetime", lambda p, **o: me.DateTimeField(**o), st.just(WHEN)),
        Kind("date", lambda p, **o: me.DateField(**o), st.just(WHEN)),
        Kind(
            "exact",
            lambda p, **o: me.ComplexDateTimeField(**o),
            st.just("2024,05,06,07,08,09,000010"),
        ),
        Kind("decimal", lambda p, **o: me.DecimalField(**o), st.sampled_from([1.25, 3, "4.5"])),
        Kind("decimal128", lambda p, **o: me.Decimal128Field(**o), st.just(Decimal128("1.5"))),
        Kind("uuid", lambda p, **o: me.UUIDField(binary=False, **o), st.just(str(UUID(int=9)))),
        Kind("id", lambda p, **o: me.ObjectIdField(**o), st.just(ID)),
        Kind("url", lambda p, **o: me.URLField(**o), st.just("http://example.org/x")),
        Kind("email", lambda p, **o: me.EmailField(**o), st.just("a@example.org")),
        Kind("binary", lambda p, **o: me.BinaryField(**o), st.just(b"bytes")),
        Kind("enum", lambda p, **o: me.EnumField(Colour, **o), st.just("red")),
        Kind("dynamic", lambda p, **o: me.DynamicField(**o), SINGLE),
        Kind("point", lambda p, **o: me.PointField(**o), st.just([1.5, 2.5])),
        Kind(
            "dict", lambda p, **o: me.DictField(**o), st.dictionaries(st.sampled_from("ab"), RAW)
        ),
        Kind(
            "map",
            lambda p, **o: me.MapField(me.IntField(), **o),
            st.dictionaries(st.sampled_from("ab"), NUMBERS),
        ),
        Kind("list", lambda p, **o: me.ListField(**o), st.lists(RAW, max_size=3)),
        Kind("strings", lambda p, **o: me.ListField(me.StringField(), **o), st.lists(TEXTS)),
        Kind("sorted", lambda p, **o: me.SortedListField(me.IntField(), **o), st.lists(NUMBERS)),
        Kind(
            "matrix",
            lambda p, **o: me.ListField(me.ListField(me.IntField()), **o),
            st.lists(st.lists(NUMBERS), max_size=2),
        ),
        Kind("part", me.EmbeddedDocumentField, parts),
        Kind(
            "parts",
            me.EmbeddedDocumentListField,
            st.lists(parts, max_size=2),
        ),
        Kind(
            "listed",
            lambda p, **o: me.ListField(me.EmbeddedDocumentField(p), **o),
            st.lists(parts, max_size=2),
        ),
        Kind(
            "mapped",
            lambda p, **o: me.MapField(me.EmbeddedDocumentField(p), **o),
            st.dictionaries(st.sampled_from("ab"), parts, max_size=2),
        ),
        Kind("generic", lambda p, **o: me.GenericEmbeddedDocumentField(**o), named),
    ]


KINDS = _kinds()
OPTIONS = st.sampled_from(
    [
        {},
        {},
        {},
        {"required": True},
        {"null": True},
        {"db_field": "k"},
        {"choices": ["red", 1, "a"]},
    ]
)
DEFAULTS = st.sampled_from(["none", "none", "value", "function"])


@dataclass(frozen=True)
class Definition:
    """A class, as names, kinds and options of its fields."""

    fields: tuple[tuple[str, Kind, dict[str, Any], str], ...]
    meta: dict[str, Any]

    def twin(self, base: Base) -> tuple[Any, Any]:
        """The class on one kind of base classes, and the class of its parts."""
        part = base.part(
            "Part",
            {
                "n": me.IntField(default=3),
                "t": me.StringField(max_length=4),
                "l": me.ListField(me.StringField()),
            },
        )
        fields = {
            name: kind.make(part, **_with_default(kind, options, default))
            for name, kind, options, default in self.fields
        }
        return base.model("Twin", fields, **self.meta), part


def _with_default(kind: Kind, options: dict[str, Any], default: str) -> dict[str, Any]:
    options = dict(options)
    if "db_field" in options:
        options["db_field"] += kind.name
    if kind.name == "enum":
        options.pop("choices", None)
    if kind.name in ("string", "int", "float", "bool") and default != "none":
        value = {"string": "d", "int": 4, "float": 2.5, "bool": True}[kind.name]
        options["default"] = value if default == "value" else lambda: value
    return options


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5, unique=True))
    fields = tuple(
        (f"f{index}", kind, draw(OPTIONS), draw(DEFAULTS)) for index, kind in enumerate(kinds)
    )
    meta = draw(st.sampled_from([{}, {}, {"strict": False}, {"allow_inheritance": True}]))
    return Definition(fields, meta)


@st.composite
def documents(draw: st.DrawFn, definition: Definition) -> dict[str, Any]:
    """What the database could hold for a class: mostly fitting."""
    raw: dict[str, Any] = {"_id": ID}
    if definition.meta.get("allow_inheritance"):
        raw["_cls"] = "Twin"
    # One misfit at most: of several, MongoEngine finds another one first.
    odd = draw(st.sampled_from([None, None, None, "unknown", *(f[0] for f in definition.fields)]))
    for name, kind, options, _ in definition.fields:
        key = options["db_field"] + kind.name if "db_field" in options else name
        how = draw(st.sampled_from(["fits", "fits", "fits", "none", "missing"]))
        if name == odd:
            raw[key] = draw(RAW)
        elif how != "missing":
            raw[key] = draw(kind.raw) if how == "fits" else None
    if odd == "unknown":
        raw["unknown"] = draw(RAW)
    return raw


CASES = definitions().flatmap(lambda d: st.tuples(st.just(d), documents(d), documents(d)))
Case = tuple[Definition, dict[str, Any], dict[str, Any]]


def compared(definition: Definition, act: Callable[[Any], Any]) -> None:
    """Do the same with both twins, and find the same."""
    found = []
    for base in (STOCK, ENGINE):
        model, part = definition.twin(base)
        with registered(model, part):
            found.append(act(model))
    assert found[1] == found[0]


OPTIONS_OF_BSON: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
Read = Callable[..., Any]


def from_dictionary(model: Any, raw: dict[str, Any], *, dereference: bool = True) -> Any:
    """A document of what the driver has decoded."""
    return model._from_son(copy.deepcopy(raw), _auto_dereference=dereference)


def from_bytes(model: Any, raw: dict[str, Any], *, dereference: bool = True) -> Any:
    """A document of its BSON bytes; MongoEngine's, of what they decode to."""
    data = bson.encode(raw, codec_options=OPTIONS_OF_BSON)
    decode = partial(bson.decode, codec_options=OPTIONS_OF_BSON)
    program = reading_program(model)
    if program is not None and not dereference:
        program = program.without_dereferencing
    if program is None or program.load is None:
        return from_dictionary(model, decode(data), dereference=dereference)
    return program.load(data, core.Codec(decode, None))


both_ways = pytest.mark.parametrize("read", [from_dictionary, from_bytes])


def loaded(read: Read, model: Any, raw: dict[str, Any], *, dereference: bool = True) -> Any:
    """A document that was loaded and read: errors of what waits have come to light."""
    document = read(model, raw, dereference=dereference)
    for name in document._fields_ordered:
        getattr(document, name)
    return document


def plain(value: Any) -> Any:
    """The same with plain dictionaries, which the engine gives the driver instead of SON."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def everything(document: Any) -> list[Any]:
    """What can be asked of a document."""
    written = outcome(document.to_mongo)
    return [
        outcome(lambda: document),
        written,
        # MongoEngine writes the whole document for it; the engine, what changed.
        None if failed(written) else outcome(lambda: plain(document._delta())),
        outcome(lambda: document.to_mongo(use_db_field=False)),
        outcome(document.validate),
        outcome(document._get_changed_fields),
        outcome(lambda: document.to_json(json_options=json_util.RELAXED_JSON_OPTIONS)),
        outcome(lambda: len(document)),
        outcome(lambda: str(document)),
        outcome(lambda: sorted(document._data)),
        outcome(lambda: document == document),
    ]


@both_ways
@given(CASES)
@EXAMPLES
def test_a_loaded_document_is_the_same(read: Read, case: Case) -> None:
    definition, raw, _ = case
    compared(definition, lambda model: outcome(lambda: everything(loaded(read, model, raw))))


@given(CASES)
@EXAMPLES
def test_a_constructed_document_is_the_same(case: Case) -> None:
    definition, raw, _ = case
    keys = {
        (options["db_field"] + kind.name if "db_field" in options else name): name
        for name, kind, options, _ in definition.fields
    }
    values = {keys[key]: value for key, value in raw.items() if key in keys}
    compared(definition, lambda model: outcome(lambda: everything(model(**copy.deepcopy(values)))))


@both_ways
@given(CASES)
@EXAMPLES
def test_changes_are_noted_and_written_the_same(read: Read, case: Case) -> None:
    definition, raw, other = case

    def act(model: Any) -> Any:
        def change() -> Any:
            document = loaded(read, model, raw)
            donor = loaded(read, model, other)
            found = []
            for name in document._fields_ordered:
                value = getattr(document, name)
                if name in ("id", "_cls"):
                    continue
                found.append(outcome(lambda value=value: _changed_inside(value)))
                found.append(outcome(document._get_changed_fields))
                if len(name) % 2 == 0:
                    setattr(document, name, getattr(donor, name))
            found += everything(document)
            found.append(outcome(document._clear_changed_fields))
            found += everything(document)
            return found

        return outcome(change)

    compared(definition, act)


def _changed_inside(value: Any) -> None:
    if isinstance(value, me.EmbeddedDocument):
        value.n = 11
        value.l.append("z")
    elif isinstance(value, list):
        if value and isinstance(value[0], me.EmbeddedDocument):
            value[0].t = "zz"
        else:
            value.append(value[0] if value else "z")
    elif isinstance(value, dict):
        value["new"] = 1


@both_ways
@given(CASES)
@EXAMPLES
def test_a_document_that_was_never_read_is_the_same(read: Read, case: Case) -> None:
    definition, raw, _ = case

    def act(model: Any) -> Any:
        first = outcome(lambda: loaded(read, model, raw))
        if failed(first):
            return first  # what is wrong inside comes to light later with the engine
        document = read(model, raw)
        changed = outcome(document._get_changed_fields)
        copied = outcome(lambda: copy.deepcopy(document))
        written = outcome(document.to_mongo)
        delta = None if failed(written) else outcome(lambda: plain(document._delta()))
        return changed, copied, written, delta

    compared(definition, act)


@both_ways
@given(CASES)
@EXAMPLES
def test_a_document_without_dereferencing_is_the_same(read: Read, case: Case) -> None:
    definition, raw, _ = case

    def act(model: Any) -> Any:
        return outcome(lambda: everything(loaded(read, model, raw, dereference=False)))

    compared(definition, act)


def test_dates_and_decimals_are_the_same() -> None:
    fields = tuple((kind.name, kind, {}, "none") for kind in KINDS if kind.name != "generic")
    definition = Definition(fields, {})
    values = {"date": date(2024, 1, 2), "decimal": Decimal("1.005"), "datetime": "2024-01-02"}
    compared(definition, lambda model: outcome(lambda: everything(model(**values))))
    assert shown(1) == ("int", "1")
