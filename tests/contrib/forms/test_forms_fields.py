"""Which field of a form stands for which of a model, and what it makes of what is typed."""

from __future__ import annotations

import enum
import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import mongoengine
import pytest
import wtforms
from bson import Decimal128, ObjectId
from flask import Flask
from mongoengine import fields
from sending import sent, sent_json, shown, upload

from datalayer import BusinessDocument
from datalayer.contrib.flask import model_form
from datalayer.contrib.wtforms import LeftOut, ModelConverter, converts
from datalayer.documents import (
    CurrencyField,
    EmbeddedDocument,
    MoneyField,
    NormalizedEmailField,
    RawDictField,
    SecretField,
    UTCDateTimeField,
)
from datalayer.errors import ConfigurationError


class Colour(enum.Enum):
    RED = "r"
    DARK_BLUE = "b"


_numbers = itertools.count()


def model(field: Any, **more: Any) -> Any:
    """A model with a collection of its own: tests share the database."""
    meta = {"collection": f"things_{next(_numbers)}"}
    return type("Thing", (BusinessDocument,), {"it": field, "meta": meta, **more})


def kept(app: Flask, field: Any, data: dict[str, Any]) -> Any:
    """What the database has of ``field`` after a form with ``data`` was saved."""
    Thing = model(field)
    form = sent(app, model_form(Thing), data)
    assert form.validate(), form.errors
    form.save()
    return Thing.objects.get().it


def problems(app: Flask, field: Any, data: dict[str, Any]) -> Any:
    form = sent(app, model_form(model(field)), data)
    assert not form.validate()
    return form.it.errors


BERLIN = {"wtf_options": {"timezone": "Europe/Berlin"}}
AT_TEN = datetime(2024, 1, 31, 10, 0, tzinfo=UTC)
A_UUID = UUID("12345678123456781234567812345678")


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (lambda: fields.StringField(max_length=9), "a b", "a b"),
        (fields.StringField, "a\r\nb", "a\nb"),
        (fields.StringField, "", None),
        (fields.EmailField, "ada@example.org", "ada@example.org"),
        (NormalizedEmailField, " Ada@Example.org", "ada@example.org"),
        (fields.URLField, "https://example.org/a", "https://example.org/a"),
        (CurrencyField, "EUR", "EUR"),
        (fields.IntField, "-3", -3),
        (fields.IntField, "", None),
        (fields.LongField, str(2**40), 2**40),
        (fields.FloatField, "1.25", 1.25),
        (lambda: fields.DecimalField(precision=3), "1.235", Decimal("1.235")),
        (fields.Decimal128Field, "1.20", Decimal128("1.20").to_decimal()),
        (MoneyField, "12.50", Decimal("12.50")),
        (fields.BooleanField, "y", True),
        (lambda: fields.BooleanField(null=True), "no", False),
        (lambda: fields.BooleanField(null=True), "", None),
        (UTCDateTimeField, "2024-01-31T10:00", AT_TEN),
        (lambda: UTCDateTimeField(**BERLIN), "2024-01-31T11:00:00", AT_TEN),
        (UTCDateTimeField, "2024-01-31T12:00+02:00", AT_TEN),
        (fields.DateTimeField, "2024-01-31 10:00:00", AT_TEN),
        (fields.ComplexDateTimeField, "2024-01-31T10:00", datetime(2024, 1, 31, 10)),
        (fields.DateField, "2024-01-31", date(2024, 1, 31)),
        (lambda: fields.EnumField(Colour), "b", Colour.DARK_BLUE),
        (fields.UUIDField, str(A_UUID), A_UUID),
        (fields.ObjectIdField, "5" * 24, ObjectId("5" * 24)),
        (lambda: fields.IntField(choices=((1, "blue"), (2, "red"))), "2", 2),
        (lambda: fields.StringField(choices=["a", "b"]), "b", "b"),
        (lambda: fields.StringField(choices=["a", "b"]), "", None),
        (fields.DictField, '{"a": [1]}', {"a": [1]}),
        (
            fields.DictField,
            '{"a": {"$oid": "' + "5" * 24 + '"}}',
            {"a": ObjectId("5" * 24)},
        ),
        (lambda: fields.MapField(fields.IntField()), '{"a": 1}', {"a": 1}),
        (RawDictField, '{"a": 1}', {"a": 1}),
        (fields.DynamicField, "[1, 2]", [1, 2]),
        (fields.ListField, "[1, 2]", [1, 2]),
        (fields.LineStringField, "[[0, 0], [1, 1]]", None),
        (fields.BinaryField, "text", b"text"),
    ],
)
def test_a_value_is_stored_as_the_models_field_means_it(
    app: Flask, field: Any, text: str, value: Any
) -> None:
    stored = kept(app, field(), {"it": text})
    if value is None and text:
        assert stored == {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    else:
        assert stored == value
        assert type(stored) is type(value) or isinstance(stored, type(value))


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (lambda: fields.StringField(max_length=2), "abc"),
        (lambda: fields.StringField(min_length=2), "a"),
        (lambda: fields.StringField(regex="^a"), "b"),
        (lambda: fields.StringField(required=True), " "),
        (lambda: fields.StringField(choices=["a"]), "b"),
        (lambda: fields.StringField(required=True, choices=["a"]), ""),
        (fields.EmailField, "nobody"),
        (fields.URLField, "nowhere"),
        (CurrencyField, "XYZ"),
        (lambda: fields.IntField(min_value=0), "-1"),
        (fields.IntField, "three"),
        (fields.IntField, str(2**70)),
        (fields.FloatField, "nan"),
        (fields.FloatField, "1e999"),
        (lambda: fields.DecimalField(max_value=5), "5.01"),
        (MoneyField, "1,50"),
        (MoneyField, "1e999999999"),
        (MoneyField, "NaN"),
        (UTCDateTimeField, "soon"),
        (lambda: UTCDateTimeField(**BERLIN), "2024-03-31T02:30"),  # the clock skips it
        (fields.DateField, "2024-02-30"),
        (lambda: fields.EnumField(Colour), "DARK_BLUE"),
        (fields.UUIDField, "1234"),
        (fields.ObjectIdField, "1234"),
        (fields.DictField, "[1]"),
        (fields.DictField, "{"),
        (fields.DictField, '{"a": NaN}'),
        (fields.DictField, '{"a": {"$ref": "user", "$id": 1}}'),
        (fields.DictField, '{"a": {"$code": "1"}}'),
        (fields.DictField, '{"a": {"_cls": "User"}}'),
        (fields.DictField, "[" * 100_000),
        (lambda: fields.MapField(fields.IntField()), '{"a": "b"}'),
        (fields.PolygonField, "[[1]]"),
        (lambda: fields.BinaryField(max_bytes=2), "abc"),
        (lambda: fields.StringField(validation=_no_a), "a"),
    ],
)
def test_what_the_models_field_refuses_is_said_beside_the_forms(
    app: Flask, field: Any, text: str
) -> None:
    assert problems(app, field(), {"it": text}) != []


def _no_a(value: str) -> None:
    if "a" in value:
        raise mongoengine.ValidationError("no a, please")


def test_the_models_own_words_are_shown(app: Flask) -> None:
    field = fields.StringField(validation=_no_a)
    assert problems(app, field, {"it": "a"}) == ["no a, please"]


def test_one_problem_is_told_once(app: Flask) -> None:
    assert len(problems(app, fields.StringField(max_length=2), {"it": "abc"})) == 1


def test_a_missing_value_is_said_to_be_missing(app: Flask) -> None:
    said = problems(app, fields.IntField(required=True), {"it": ""})
    assert said == ["This field is required."]


def test_a_box_that_is_not_ticked_means_false_even_where_a_value_is_required(app: Flask) -> None:
    assert kept(app, fields.BooleanField(required=True), {}) is False


def test_a_form_may_offer_fewer_values_than_the_model_takes(app: Flask) -> None:
    Form = model_form(model(CurrencyField()), field_args={"it": {"choices": ["EUR", "USD"]}})
    assert sent(app, Form, {"it": "EUR"}).validate()
    assert not sent(app, Form, {"it": "GBP"}).validate()
    assert '<option value="EUR">EUR</option>' in shown(app, Form).it()


def test_labels_and_help_come_from_the_model(app: Flask) -> None:
    field = fields.StringField(verbose_name="Headline", help_text="In a few words")
    form = shown(app, model_form(model(field)))
    assert (form.it.label.text, form.it.description) == ("Headline", "In a few words")


def test_a_new_form_shows_the_models_defaults(app: Flask) -> None:
    form = shown(app, model_form(model(fields.StringField(default=lambda: "news"))))
    assert "news</textarea>" in form.it()


def test_browsers_are_told_the_limits(app: Flask) -> None:
    form = shown(app, model_form(model(fields.StringField(required=True, max_length=7))))
    assert form.it() == '<input id="it" maxlength="7" name="it" required type="text" value="">'


def test_what_is_sent_back_as_it_was_shown_stays_as_it_is(app: Flask) -> None:
    exact = datetime(2024, 1, 31, 10, 0, 7, 123000, tzinfo=UTC)
    Thing = model(UTCDateTimeField(), ratio=fields.DecimalField(precision=5))
    thing = Thing(it=exact, ratio=Decimal("0.00001")).save()
    Form = model_form(Thing)
    page = shown(app, Form, obj=thing)
    form = sent(app, Form, {each.name: each._value() for each in page}, obj=thing)
    assert form.validate(), form.errors
    form.populate_obj(thing)
    assert (thing.it, thing._get_changed_fields()) == (exact, [])


def test_a_point_in_time_is_shown_in_its_zone(app: Flask) -> None:
    Thing = model(UTCDateTimeField())
    Form = model_form(Thing, field_args={"it": {"timezone": "Europe/Berlin"}})
    assert 'value="2024-01-31T11:00:00"' in shown(app, Form, obj=Thing(it=AT_TEN)).it()


def test_of_an_hour_that_comes_twice_the_first_is_meant(app: Flask) -> None:
    stored = kept(app, UTCDateTimeField(**BERLIN), {"it": "2024-10-27T02:30"})
    assert stored == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)
    assert stored.utcoffset() == timedelta(0)


# Secrets


def test_a_secret_is_never_shown(app: Flask) -> None:
    Thing = model(SecretField())
    form = shown(app, model_form(Thing), obj=Thing(it="hunter2"))
    assert "hunter2" not in form.it() + str(form.data)


def test_an_empty_secret_leaves_the_stored_one_as_it_is(app: Flask) -> None:
    Thing = model(SecretField(required=True))
    thing = Thing(it="hunter2").save()
    form = sent(app, model_form(Thing), {"it": ""}, obj=thing)
    assert form.validate(), form.errors
    assert form.save().reload().it == "hunter2"


def test_a_secret_that_is_typed_replaces_the_stored_one(app: Flask) -> None:
    Thing = model(SecretField())
    form = sent(app, model_form(Thing), {"it": "new"}, obj=Thing(it="old").save())
    assert form.validate()
    assert form.save().reload().it == "new"


def test_a_new_document_needs_its_required_secret(app: Flask) -> None:
    assert problems(app, SecretField(required=True), {"it": ""}) == ["This field is required."]


def test_a_string_marked_secret_is_one(app: Flask) -> None:
    Thing = model(fields.StringField(secret=True))
    assert "hunter2" not in shown(app, model_form(Thing), obj=Thing(it="hunter2")).it()


# Lists and parts


class Line(EmbeddedDocument):
    what = fields.StringField(required=True, max_length=10)
    count = fields.IntField(default=1, min_value=1)


class Address(EmbeddedDocument):
    street = fields.StringField(max_length=50)
    city = fields.StringField(required=True, max_length=50)


def test_a_list_has_a_row_for_each_member_and_leaves_out_empty_ones(app: Flask) -> None:
    rows = {"it-0": "a", "it-1": "", "it-2": "b"}
    assert kept(app, fields.ListField(fields.StringField(max_length=5)), rows) == ["a", "b"]


def test_a_sorted_list_is_sorted(app: Flask) -> None:
    assert kept(app, fields.SortedListField(fields.IntField()), {"it-0": "3", "it-1": "1"}) == [
        1,
        3,
    ]


def test_a_list_of_choices_is_one_field(app: Flask) -> None:
    field = fields.ListField(fields.EnumField(Colour))
    assert kept(app, field, {"it": ["r", "b"]}) == [Colour.RED, Colour.DARK_BLUE]


@pytest.mark.parametrize("row", ["\u00b2", "9" * 5000, "-1", "x", ""])
def test_a_row_that_has_no_number_is_none(app: Flask, row: str) -> None:
    rows = {f"it-{row}": "a", "it-0": "b", "it2-0": "c"}
    assert kept(app, fields.ListField(fields.StringField()), rows) == ["b"]


def test_a_list_of_lists_has_rows_in_rows(app: Flask) -> None:
    rows = {"it-0-0": "1", "it-0-1": "", "it-0-2": "2", "it-1-0": "3"}
    field = fields.ListField(fields.ListField(fields.IntField()))
    assert kept(app, field, rows) == [[1, 2], [3]]


def test_a_lists_own_limit_holds(app: Flask) -> None:
    field = fields.ListField(fields.IntField(), max_length=1)
    assert "too long" in problems(app, field, {"it-0": "1", "it-1": "2"})[0].lower()


def test_an_embedded_document_is_a_form_inside(app: Flask) -> None:
    made = kept(app, fields.EmbeddedDocumentField(Address), {"it-street": "A1", "it-city": "Ulm"})
    assert (made.street, made.city) == ("A1", "Ulm")


def test_an_optional_part_that_is_not_filled_in_is_not_made(app: Flask) -> None:
    assert (
        kept(app, fields.EmbeddedDocumentField(Address), {"it-street": "", "it-city": ""}) is None
    )


def test_an_optional_part_that_is_filled_in_is_checked(app: Flask) -> None:
    said = problems(app, fields.EmbeddedDocumentField(Address), {"it-street": "A1", "it-city": ""})
    assert said == {"city": ["This field is required."]}


def test_a_required_part_has_to_be_filled_in(app: Flask) -> None:
    said = problems(app, fields.EmbeddedDocumentField(Address, required=True), {"it-city": ""})
    assert said == {"city": ["This field is required."]}


def test_browsers_let_an_optional_part_be_empty(app: Flask) -> None:
    form = shown(app, model_form(model(fields.EmbeddedDocumentField(Address))))
    assert "required" not in form.it()


def test_a_part_keeps_what_the_form_does_not_show(app: Flask) -> None:
    Thing = model(fields.EmbeddedDocumentField(Line))
    thing = Thing(it=Line(what="a", count=7)).save()
    form = sent(app, model_form(Thing), {"it-what": "b"}, obj=thing)
    assert form.validate()
    form.save()
    assert (thing.reload().it.what, thing.it.count) == ("b", 7)


def test_a_list_of_parts_is_changed_added_to_and_shortened(app: Flask) -> None:
    Thing = model(fields.EmbeddedDocumentListField(Line))
    thing = Thing(it=[Line(what="a", count=1), Line(what="b", count=2)]).save()
    rows = {
        "it-0-what": "", "it-0-count": "",
        "it-1-what": "B", "it-1-count": "2",
        "it-2-what": "c", "it-2-count": "3",
        "it-3-what": "", "it-3-count": "1",
    }  # fmt: skip
    form = sent(app, model_form(Thing), rows, obj=thing)
    assert form.validate(), form.errors
    form.save()
    assert [(each.what, each.count) for each in thing.reload().it] == [("B", 2), ("c", 3)]


def test_an_existing_row_with_default_values_is_kept(app: Flask) -> None:
    Thing = model(fields.EmbeddedDocumentListField(Counted))
    thing = Thing(it=[Counted(count=1)]).save()
    form = sent(app, model_form(Thing), {"it-0-count": "1"}, obj=thing)
    assert form.validate()
    form.save()
    assert [each.count for each in thing.reload().it] == [1]


class Counted(EmbeddedDocument):
    count = fields.IntField(default=1)


@pytest.mark.parametrize("kind", [fields.GeoPointField, fields.PointField])
def test_a_place_is_two_numbers(app: Flask, kind: Any) -> None:
    stored = kept(app, kind(), {"it-longitude": "13.4", "it-latitude": "52.5"})
    pair = stored["coordinates"] if isinstance(stored, dict) else stored
    assert list(pair) == [13.4, 52.5]


@pytest.mark.parametrize(
    ("longitude", "latitude"), [("13.4", ""), ("", "52.5"), ("east", "1"), ("1", "nan")]
)
def test_half_a_place_is_none(app: Flask, longitude: str, latitude: str) -> None:
    data = {"it-longitude": longitude, "it-latitude": latitude}
    assert problems(app, fields.GeoPointField(), data) != []


# Which fields there are


def test_what_the_database_or_saving_keeps_is_left_out() -> None:
    form = model_form(model(fields.SequenceField()))
    assert set(form.left_out) == {"id", "created_at", "updated_at", "it"}
    assert form.left_out["it"] == "the database counts it"


def test_what_no_form_can_hold_is_left_out_and_told() -> None:
    assert "any class" in model_form(model(fields.GenericReferenceField())).left_out["it"]


@pytest.mark.parametrize(
    "field",
    [
        lambda: fields.MapField(fields.EmbeddedDocumentField(Line)),
        lambda: fields.ListField(fields.ListField(fields.EmbeddedDocumentField(Line))),
        lambda: fields.ListField(SecretField()),
        lambda: fields.ListField(fields.GenericReferenceField()),
        lambda: fields.IntField(secret=True),
    ],
)
def test_what_would_lose_something_is_left_out(field: Any) -> None:
    assert "it" in model_form(model(field())).left_out


def test_a_name_with_an_underscore_is_left_out_and_told() -> None:
    Thing = type("Thing", (BusinessDocument,), {"_it": fields.StringField()})
    assert "underscore" in model_form(Thing).left_out["_it"]


def test_a_name_that_forms_have_is_left_out_and_told() -> None:
    Thing = type("Thing", (BusinessDocument,), {"errors": fields.StringField()})
    assert "errors" in model_form(Thing).left_out


def test_a_document_that_contains_itself_ends(app: Flask) -> None:
    form = shown(app, model_form(model(fields.EmbeddedDocumentField(Reply))))
    assert form.it.form.left_out == {"answers": "Reply contains itself"}


class Reply(EmbeddedDocument):
    text = fields.StringField()
    answers = fields.EmbeddedDocumentListField("self")


def test_only_chooses_and_orders(app: Flask) -> None:
    Thing = model(fields.StringField(), other=fields.StringField(), third=fields.StringField())
    form = shown(app, model_form(Thing, only=["third", "it"]))
    assert [each.name for each in form] == ["third", "it"]


def test_exclude_leaves_out(app: Flask) -> None:
    Thing = model(fields.StringField(), other=fields.StringField())
    assert [each.name for each in shown(app, model_form(Thing, exclude=["it"]))] == ["other"]


@pytest.mark.parametrize("argument", ["only", "exclude"])
def test_an_unknown_name_is_refused(argument: str) -> None:
    with pytest.raises(ConfigurationError, match="Thing has no field 'ti' to make a form of"):
        model_form(model(fields.StringField()), **{argument: ["ti"]})


def test_a_name_in_only_that_no_form_can_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"a form can't have Thing\.it: the database"):
        model_form(model(fields.SequenceField()), only=["it"])


def test_a_time_stamp_can_be_asked_for(app: Flask) -> None:
    Thing = model(fields.StringField())
    assert [each.name for each in shown(app, model_form(Thing, only=["created_at"]))] == [
        "created_at"
    ]


def test_a_converter_may_know_more_fields(app: Flask) -> None:
    class ColourField(fields.BaseField):
        pass

    class Converter(ModelConverter):
        @converts("ColourField")
        def conv_Colour(self, model: Any, field: Any, kwargs: dict[str, Any]) -> Any:
            return wtforms.fields.ColorField(**kwargs)

    Thing = model(ColourField())
    assert "it" in model_form(Thing).left_out
    assert shown(app, model_form(Thing, converter=Converter())).it.type == "ColorField"


def test_a_converter_may_convert_otherwise(app: Flask) -> None:
    class Converter(ModelConverter):
        def conv_String(self, model: Any, field: Any, kwargs: dict[str, Any]) -> Any:
            raise LeftOut("no texts here")

    Thing = model(fields.StringField())
    assert model_form(Thing, converter=Converter()).left_out["it"] == "no texts here"


def test_a_json_bodys_mapping_is_no_text(app: Flask) -> None:
    form = sent_json(app, model_form(model(fields.StringField())), {"it": {"$ne": None}})
    assert not form.validate()
    assert form.it.errors == ["Not a valid text."]


def test_an_upload_can_be_the_bytes_of_a_field(app: Flask) -> None:
    assert kept(app, fields.BinaryField(), {"it": upload(b"\x00\xff", "it.bin")}) == b"\x00\xff"


def test_forms_need_no_flask(models: None) -> None:
    from werkzeug.datastructures import MultiDict

    from datalayer.contrib.wtforms import model_form

    Thing = model(fields.StringField(max_length=5))
    form = model_form(Thing)(MultiDict({"it": "news"}))
    assert form.validate()
    assert form.save().reload().it == "news"


def test_models_that_stay_mongoengines_have_forms_too(app: Flask) -> None:
    Thing = type("Thing", (mongoengine.Document,), {"it": fields.StringField(unique=True)})
    form = sent(app, model_form(Thing), {"it": "news"})
    assert form.validate(), form.errors
    form.save()
    assert not sent(app, model_form(Thing), {"it": "news"}).validate()
