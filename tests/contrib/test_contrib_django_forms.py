"""Forms made of documents: which fields they have, and what they set."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from bson import ObjectId
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.template import Context, Engine
from django.test import override_settings
from django_form_documents import (
    Address,
    Author,
    Booking,
    Everything,
    Size,
    form_of,
    form_site,
    resent,
    sent,
)
from django_in_process import django_site


@pytest.fixture
def site(uris: dict[str, str]) -> Iterator[None]:
    with form_site(uris):
        yield


# Which fields


def test_a_form_of_all_fields_has_those_that_people_fill_in(site: None) -> None:
    fields = form_of(Everything)().fields
    left_out = {"id", "created_at", "updated_at", "password", "hidden", "count", "blob"}
    assert set(fields) == set(Everything._fields) - left_out


def test_each_field_has_its_kind(site: None) -> None:
    kinds = {name: type(field).__name__ for name, field in form_of(Everything)().fields.items()}
    assert kinds == {
        "slug": "CharField",
        "body": "CharField",
        "email": "EmailField",
        "link": "URLField",
        "number": "IntegerField",
        "large": "IntegerField",
        "ratio": "FloatField",
        "exact": "DecimalField",
        "price": "DecimalField",
        "currency": "CharField",
        "ticked": "BooleanField",
        "day": "DateField",
        "moment": "MomentField",
        "plain_moment": "MomentField",
        "uuid": "UUIDField",
        "other_id": "ObjectIdField",
        "size": "EnumField",
        "kind": "TypedChoiceField",
        "level": "TypedChoiceField",
        "author": "DocumentChoiceField",
        "lazy": "DocumentChoiceField",
        "others": "DocumentMultipleChoiceField",
        "tags": "LinesField",
        "numbers": "LinesField",
        "colours": "TypedMultipleChoiceField",
        "anything": "JSONObjectField",
        "settings": "JSONObjectField",
        "scores": "JSONObjectField",
        "place": "PointField",
        "spot": "PointField",
        "area": "JSONObjectField",
        "file": "FileField",
        "address": "EmbeddedFormField",
        "addresses": "EmbeddedFormSetField",
    }


def test_labels_and_help_come_from_the_field(site: None) -> None:
    fields = form_of(Everything, "slug", "plain_moment", "body")().fields
    assert [each.label for each in fields.values()] == ["Short name", "Plain moment", "Body"]
    assert fields["body"].help_text == "As long as you like."


def test_meta_is_what_it_is_for_model_forms(site: None) -> None:
    from django import forms

    from datalayer.contrib.django.forms import DocumentForm

    class AuthorForm(DocumentForm):
        again = forms.CharField(required=False)

        class Meta:
            document = Author
            fields = ("name",)
            widgets = {"name": forms.Textarea({"rows": 2})}
            labels = {"name": "Who"}
            help_texts = {"name": "In full."}
            error_messages = {"name": {"required": "Say who."}}
            localized_fields = ("name",)

    form = AuthorForm(sent(name="", again="x"))
    assert list(form.fields) == ["name", "again"]
    field = form.fields["name"]
    assert (field.label, field.help_text, field.localize) == ("Who", "In full.", True)
    assert isinstance(field.widget, forms.Textarea)
    assert form.errors == {"name": ["Say who."]}


def test_exclude_leaves_out(site: None) -> None:
    from datalayer.contrib.django.forms import documentform_factory

    assert list(documentform_factory(Booking, exclude=["owner", "room"])().fields) == [
        "day",
        "guest",
    ]


def test_a_callback_and_other_classes_make_the_fields(site: None) -> None:
    from django import forms

    made = form_of(Author, "name", formfield_callback=lambda field, **_: forms.IntegerField())
    assert isinstance(made().fields["name"], forms.IntegerField)
    made = form_of(Author, "name", field_classes={"name": forms.SlugField})
    assert isinstance(made().fields["name"], forms.SlugField)
    assert made().fields["name"].max_length == 40


def test_a_form_can_be_derived_from(site: None) -> None:
    base = form_of(Booking, "room", "day")

    class Further(base):  # type: ignore[misc, valid-type]
        class Meta(base.Meta):
            fields = (*base.Meta.fields, "guest")

    assert list(Further().fields) == ["room", "day", "guest"]


@pytest.mark.parametrize(
    ("meta", "error", "words"),
    [
        ({"document": Author}, ImproperlyConfigured, "says neither which fields it has"),
        ({"document": Author, "fields": "name"}, TypeError, r"write \('name',\)"),
        ({"document": Author, "fields": ["nmae"]}, FieldError, "names nmae, which Author does"),
        ({"document": dict, "fields": []}, ImproperlyConfigured, "is dict, and no document"),
        ({"model": Author, "fields": []}, ImproperlyConfigured, "name your document in Meta"),
        ({"document": Everything, "fields": ["blob"]}, FieldError, "Everything.blob, a Binary"),
    ],
)
def test_what_is_wrong_with_a_form_is_told_when_it_is_defined(
    site: None, meta: Any, error: Any, words: str
) -> None:
    from datalayer.contrib.django.forms import DocumentForm

    with pytest.raises(error, match=words):
        type(DocumentForm)("Wrong", (DocumentForm,), {"Meta": type("Meta", (), meta)})


def test_defining_and_showing_a_form_of_plain_fields_asks_no_database() -> None:
    with django_site(DATALAYER={"MONGODB_URI": "mongodb://127.0.0.1:9/away"}):
        assert 'name="name"' in form_of(Author)().as_div()
        form_of(Everything)


# What is set


def test_every_kind_comes_back_as_its_field_holds_it(site: None) -> None:
    ada, bob = Author(name="Ada").save(), Author(name="Bob").save()
    form = form_of(Everything)(
        sent(
            slug="one",
            body="a\nb",
            email="Ada@Example.org",
            link="https://example.org",
            number="7",
            large=str(2**40),
            ratio="0.5",
            exact="1.250",
            price="12.50",
            currency="EUR",
            day="2024-01-31",
            moment="2024-01-31 12:00",
            plain_moment="2024-01-31 12:00",
            uuid=str(UUID(int=7)),
            other_id="a" * 24,
            size="xl",
            kind="b",
            level="3",
            author=str(ada.pk),
            lazy=str(bob.pk),
            others=[str(bob.pk), str(ada.pk)],
            tags="red\r\n\r\n blue ",
            numbers="1\n2",
            colours=["blue", "red"],
            anything='[1, {"a": 2}]',
            settings='{"when": {"$date": "2024-01-31T12:00:00Z"}}',
            scores='{"a": 1}',
            place_longitude="13.4",
            place_latitude="52.5",
            spot_longitude="13.4",
            spot_latitude="52.5",
            area='{"type": "Polygon", "coordinates": [[[0, 0], [0, 1], [1, 1], [0, 0]]]}',
            address__city="London",
            addresses__TOTAL_FORMS="1",
            addresses__INITIAL_FORMS="0",
            addresses__0__city="Paris",
        )
    )
    assert form.is_valid(), form.errors
    form.save()
    found = Everything.objects.get()
    values = {name: getattr(found, name) for name in form.fields}
    noon = datetime(2024, 1, 31, 18, tzinfo=UTC)  # of Chicago, Django's default time zone
    assert values["area"]["coordinates"][0][1] == [0, 1]
    assert (values["address"].city, values["addresses"][0].city) == ("London", "Paris")
    assert values["lazy"].pk == bob.pk
    assert values["plain_moment"].replace(tzinfo=UTC) == noon
    assert values["settings"]["when"].replace(tzinfo=UTC) == datetime(2024, 1, 31, 12, tzinfo=UTC)
    for name in ("area", "address", "addresses", "lazy", "file", "plain_moment", "settings"):
        del values[name]
    assert values == {
        "slug": "one",
        "body": "a\r\nb".replace("\r", ""),
        "email": "ada@example.org",
        "link": "https://example.org",
        "number": 7,
        "large": 2**40,
        "ratio": 0.5,
        "exact": Decimal("1.250"),
        "price": Decimal("12.50"),
        "currency": "EUR",
        "ticked": False,
        "day": date(2024, 1, 31),
        "moment": noon,
        "uuid": UUID(int=7),
        "other_id": ObjectId("a" * 24),
        "size": Size.VERY_LARGE,
        "kind": "b",
        "level": 3,
        "author": ada,
        "others": [bob, ada],
        "tags": ["red", "blue"],
        "numbers": [1, 2],
        "colours": ["blue", "red"],
        "anything": [1, {"a": 2}],
        "scores": {"a": 1},
        "place": {"type": "Point", "coordinates": [13.4, 52.5]},
        "spot": [13.4, 52.5],
    }


def test_a_form_sent_as_it_was_shown_changes_nothing(site: None) -> None:
    ada = Author(name="Ada").save()
    made = Everything(
        slug="one",
        body="a\nb",
        number=7,
        exact="1.25",
        price="12.50",
        day=date(2024, 1, 31),
        moment=datetime(2024, 1, 31, 12, 30, 15, 678000, tzinfo=UTC),
        plain_moment=datetime(2024, 1, 31, 12, 30, 15),
        size=Size.SMALL,
        author=ada,
        lazy=ada,
        others=[ada],
        tags=["red"],
        colours=["red"],
        settings={"when": datetime(2024, 1, 31, tzinfo=UTC), "id": ObjectId()},
        place=[13.4, 52.5],
        address=Address(city="London", pin="1234"),
        addresses=[Address(city="Paris"), Address(city="Rome")],
        password="hunter2",
    ).save()
    before = Everything.objects.get().to_mongo()
    shown = form_of(Everything)(instance=Everything.objects.get())
    form = form_of(Everything)(resent(shown), instance=Everything.objects.get())
    assert form.is_valid(), form.errors
    assert form.changed_data == []
    form.save()
    after = Everything.objects.get(pk=made.pk).to_mongo()
    for stored in (before, after):
        stored.pop("updated_at")
    assert after == before


def test_only_fields_of_the_form_are_set(site: None) -> None:
    form = form_of(Booking, "room", "day", "guest")(
        sent(room="1", day="2", guest="Ada", owner="eve", id="a" * 24, _cls="User")
    )
    assert form.is_valid(), form.errors
    assert (form.instance.owner, form.instance.pk) == (None, None)


def test_a_field_left_out_by_meta_is_not_set_though_the_class_declares_it(site: None) -> None:
    from django import forms

    from datalayer.contrib.django.forms import DocumentForm

    class Sneaky(DocumentForm):
        owner = forms.CharField()

        class Meta:
            document = Booking
            fields = ("room",)

    form = Sneaky(sent(room="1", owner="eve"))
    form.is_valid()
    assert (form.instance.room, form.instance.owner) == ("1", None)


def test_what_was_not_sent_at_all_keeps_its_default(site: None) -> None:
    form = form_of(Everything, "level", "slug")(sent(slug="x"))
    assert form.is_valid(), form.errors
    assert form.instance.level == 2


def test_an_emptied_field_is_taken_out(site: None) -> None:
    made = Everything(slug="x", number=3, tags=["a"]).save()
    form = form_of(Everything, "slug", "number", "tags")(sent(slug="", number=""), instance=made)
    form.save()
    assert not {"slug", "number"} & set(Everything.objects.get().to_mongo())


def test_clean_methods_have_the_last_word(site: None) -> None:
    class Titled(form_of(Author, "name")):  # type: ignore[misc]
        def clean_name(self) -> str:
            return str(self.cleaned_data["name"]).title()

    form = Titled(sent(name="ada lovelace"))
    assert form.save().name == "Ada Lovelace"


def test_commit_false_leaves_the_rest_to_the_code(site: None) -> None:
    form = form_of(Booking, "room", "day", "guest")(sent(room="1", day="2", guest="Ada"))
    made = form.save(commit=False)
    assert Booking.objects.count() == 0
    made.owner = "eve"
    made.save()
    assert Booking.objects.get().owner == "eve"


def test_a_wrong_form_saves_nothing(site: None) -> None:
    with pytest.raises(ValueError, match="AuthorForm is not valid"):
        form_of(Author)(sent(name="")).save()
    assert Author.objects.count() == 0


def test_a_form_can_be_written_out_in_a_template(site: None) -> None:
    form = form_of(Author)(sent(name=""))
    template = Engine().from_string(
        "{% for field in form %}{{ field }}{{ field.errors }}{% endfor %}"
    )
    html = template.render(Context({"form": form}))
    assert 'name="name"' in html
    assert "This field is required." in html


def test_times_are_shown_in_django_s_time_zone(site: None) -> None:
    made = Everything(moment=datetime(2024, 1, 31, 12, tzinfo=UTC)).save()
    with override_settings(TIME_ZONE="Asia/Tokyo"):
        html = form_of(Everything, "moment")(instance=made).as_div()
    assert "2024-01-31 21:00:00" in html
