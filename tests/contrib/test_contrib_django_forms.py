"""Forms made of documents: their fields, what they set, and what they say is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from bson import ObjectId
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from django.template import Context, Engine
from django.test import override_settings
from django_in_process import django_site
from fresh_databases import model_registry
from mongoengine import fields as me
from mongoengine.errors import NotUniqueError, ValidationError

from datalayer.contrib.django import connect
from datalayer.documents import (
    BusinessDocument,
    CurrencyField,
    EmbeddedDocument,
    MoneyField,
    NormalizedEmailField,
    SecretField,
    UTCDateTimeField,
)
from datalayer.errors import StaleDocumentError

with model_registry():

    class Author(BusinessDocument):
        name = me.StringField(required=True, max_length=40)

        meta = {"collection": "form_authors"}

        def __str__(self) -> str:
            return str(self.name)

    class Address(EmbeddedDocument):
        street = me.StringField(max_length=40)
        city = me.StringField(required=True, max_length=20)
        pin = SecretField(max_length=4)

    class Size(Enum):
        SMALL = "s"
        VERY_LARGE = "xl"

    class Everything(BusinessDocument):
        slug = me.StringField(max_length=20, unique=True, sparse=True, verbose_name="short name")
        body = me.StringField(help_text="As long as you like.")
        email = NormalizedEmailField()
        link = me.URLField()
        number = me.IntField(min_value=1, max_value=9)
        large = me.LongField()
        ratio = me.FloatField()
        exact = me.DecimalField(precision=3)
        price = MoneyField(min_value=0)
        currency = CurrencyField(max_length=3)
        ticked = me.BooleanField(default=True)
        day = me.DateField()
        moment = UTCDateTimeField()
        plain_moment = me.DateTimeField()
        uuid = me.UUIDField()
        other_id = me.ObjectIdField()
        size = me.EnumField(Size)
        kind = me.StringField(choices=(("a", "An A"), ("b", "A B")))
        level = me.IntField(choices=(1, 2, 3), default=2)
        author = me.ReferenceField(Author)
        lazy = me.LazyReferenceField(Author)
        others = me.ListField(me.ReferenceField(Author))
        tags = me.ListField(me.StringField(max_length=5))
        numbers = me.ListField(me.IntField())
        colours = me.ListField(me.StringField(choices=("red", "blue")))
        anything = me.ListField()
        settings = me.DictField()
        scores = me.MapField(me.IntField())
        place = me.PointField()
        spot = me.GeoPointField()
        area = me.PolygonField()
        file = me.FileField()
        address = me.EmbeddedDocumentField(Address)
        addresses = me.EmbeddedDocumentListField(Address)
        password = SecretField(max_length=20)
        hidden = me.StringField(editable=False)
        count = me.SequenceField()
        blob = me.BinaryField()

        meta = {"collection": "form_everything"}

    class Booking(BusinessDocument):
        room = me.StringField(required=True, unique_with="day")
        day = me.IntField(required=True)
        guest = me.StringField(required=True, max_length=10)
        owner = me.StringField(required=True)

        meta = {"collection": "form_bookings"}

        def clean(self) -> None:
            if self.guest == self.room:
                raise ValidationError("a guest is no room")
            if self.guest == "nobody":
                raise ValidationError("somebody has to come", field_name="guest")

    class Place(BusinessDocument):
        name = me.StringField(primary_key=True, max_length=20)
        address = me.EmbeddedDocumentField(Address, required=True)
        password = SecretField(required=True)

        meta = {"collection": "form_places"}

    class Comment(EmbeddedDocument):
        text = me.StringField(required=True)
        made_at = UTCDateTimeField(default=lambda: datetime.now(UTC))
        answers = me.EmbeddedDocumentListField("self")

    class Thread(BusinessDocument):
        comments = me.EmbeddedDocumentListField(Comment)

        meta = {"collection": "form_threads"}

    class Page(BusinessDocument):
        text = me.StringField(max_length=20)

        meta = {"collection": "form_pages", "versioned": True}


MODELS = (Page, Author, Address, Everything, Booking, Place, Comment, Thread)


@pytest.fixture
def site(uris: dict[str, str]) -> Iterator[None]:
    with django_site(DATALAYER=uris, ROOT_URLCONF=__name__), model_registry(*MODELS):
        connect()
        yield


def form_of(document: Any, *names: str, **meta: Any) -> Any:
    from datalayer.contrib.django.forms import documentform_factory

    return documentform_factory(document, fields=names or "__all__", **meta)


def sent(**values: Any) -> QueryDict:
    made = QueryDict(mutable=True)
    for name, value in values.items():
        made.setlist(name.replace("__", "-"), value if isinstance(value, list) else [value])
    return made


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


def resent(form: Any) -> QueryDict:
    """What a browser sends of a form as it is shown."""
    made = QueryDict(mutable=True)
    html = str(form.as_div())
    for tag in re.findall(r"<input [^>]*>", html):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        is_sent = 'type="checkbox"' not in tag or " checked" in tag
        if name and is_sent and 'type="file"' not in tag:
            implied = "on" if 'type="checkbox"' in tag else ""
            made.appendlist(name[1], unescaped(value[1]) if value else implied)
    for name, text in re.findall(r'<textarea name="([^"]+)"[^>]*>\n?(.*?)</textarea>', html, re.S):
        made.appendlist(name, unescaped(text))
    for name, inside in re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', html, re.S):
        for value in re.findall(r'<option value="([^"]*)" selected', inside):
            made.appendlist(name, value)
    return made


def unescaped(text: str) -> str:
    import html

    return html.unescape(text)


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


# What is wrong


def test_the_form_tells_first_and_the_document_after_it(site: None) -> None:
    form = form_of(Everything, "number", "currency", "slug")(
        sent(number="12", currency="XXX", slug="y" * 30)
    )
    assert set(form.errors) == {"number", "currency", "slug"}
    assert "ISO 4217" in form.errors["currency"][0]
    assert [len(problems) for problems in form.errors.values()] == [1, 1, 1]


def test_a_document_s_own_rule_is_told_above_the_form(site: None) -> None:
    form = form_of(Booking, "room", "day", "guest")(sent(room="1", day="2", guest="1"))
    assert form.non_field_errors() == ["a guest is no room"]


def test_a_document_s_own_rule_may_name_its_field(site: None) -> None:
    form = form_of(Booking, "room", "day", "guest")(sent(room="1", day="2", guest="nobody"))
    assert form.errors == {"guest": ["somebody has to come"]}


def test_a_field_that_the_form_lacks_is_told_when_it_is_saved(site: None) -> None:
    form = form_of(Booking, "room", "day", "guest")(sent(room="1", day="2", guest="Ada"))
    assert form.is_valid()
    with pytest.raises(ValidationError):
        form.save()
    assert form.non_field_errors() == ["owner: Field is required"]


def test_a_value_that_is_taken_is_told_at_its_field(site: None) -> None:
    made = Everything(slug="one").save()
    form = form_of(Everything, "slug")
    assert form(sent(slug="one")).errors == {"slug": ["There is another one with this value."]}
    assert form(sent(slug="one"), instance=made).is_valid()
    assert form(sent(slug="")).is_valid()


def test_values_that_are_unique_together_are_told_above_the_form(site: None) -> None:
    Booking(room="1", day=2, guest="Ada", owner="x").save()
    form = form_of(Booking, "room", "day", "guest")
    assert form(sent(room="1", day="2", guest="Bob")).non_field_errors() == [
        "There is another one with these values."
    ]
    assert form(sent(room="1", day="3", guest="Bob")).is_valid()


def test_a_value_taken_since_the_check_is_told_too(site: None) -> None:
    form = form_of(Everything, "slug")(sent(slug="one"))
    assert form.is_valid()
    Everything(slug="one").save()
    with pytest.raises(NotUniqueError):
        form.save()
    assert form.errors == {"slug": ["There is another one with this value."]}


def test_a_line_that_is_wrong_is_named(site: None) -> None:
    form = form_of(Everything, "numbers", "tags")(sent(numbers="1\nx\n3", tags="far too long"))
    assert form.errors["numbers"] == ["Line 2: Enter a whole number."]
    assert form.errors["tags"][0].startswith("Line 1: ")


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("settings", "{", "Write it as JSON."),
        ("settings", "[]", "as {…}"),
        ("anything", "{}", "as […]"),
        ("settings", '{"_cls": "Author"}', "_cls"),
        ("settings", '{"a": {"_cls": "Author"}}', "_cls"),
        ("settings", '{"$where": "1"}', "dollar"),
        ("scores", '{"a": "x"}', "a: "),
        ("area", '{"type": "Polygon", "coordinates": [1]}', ""),
    ],
)
def test_json_that_does_not_fit_is_refused(site: None, field: str, text: str, words: str) -> None:
    form = form_of(Everything, field)(sent(**{field: text}))
    assert words in " ".join(form.errors[field])


def test_half_a_place_is_none(site: None) -> None:
    form = form_of(Everything, "place")(sent(place_longitude="13.4", place_latitude=""))
    assert form.errors == {"place": ["Longitude and latitude go together."]}


# References


def test_choices_are_read_when_they_are_shown(site: None) -> None:
    form = form_of(Everything, "author")
    Author(name="Ada").save()
    assert ">Ada</option>" in form().as_div()


@pytest.mark.parametrize("value", ["x", "a" * 24, '{"$ne": null}', "0"])
def test_what_is_not_among_the_choices_is_refused(site: None, value: str) -> None:
    form = form_of(Everything, "author", "others")(sent(author=value, others=[value]))
    assert [problems[0].split(".")[0] for problems in form.errors.values()] == [
        "Select a valid choice",
        "Select a valid choice",
    ]


def test_choices_can_be_fewer_for_one_form(site: None) -> None:
    ada, bob = Author(name="Ada").save(), Author(name="Bob").save()
    form = form_of(Everything, "author")(sent(author=str(bob.pk)))
    form.fields["author"].queryset = Author.objects(name="Ada")
    assert "author" in form.errors
    assert "Bob" not in form.as_div()
    other = form_of(Everything, "author")(sent(author=str(ada.pk)))
    assert other.is_valid()


def test_a_reference_to_nothing_is_shown_as_none(site: None) -> None:
    gone = Author(name="Gone").save()
    made = Everything(author=gone).save()
    gone.delete()
    form = form_of(Everything, "author")(instance=Everything.objects.get(pk=made.pk))
    assert 'value="" selected' in form.as_div()


# Embedded documents


def test_an_embedded_document_is_a_form_inside(site: None) -> None:
    html = form_of(Everything, "address")().as_div()
    assert 'name="address-city"' in html
    assert "pin" not in html


def test_an_embedded_document_that_nobody_fills_in_is_none(site: None) -> None:
    form = form_of(Everything, "address")(sent(address__city="", address__street=""))
    assert form.is_valid(), form.errors
    assert form.instance.address is None


def test_what_is_wrong_inside_is_told_inside(site: None) -> None:
    form = form_of(Everything, "address")(sent(address__city="", address__street="Main"))
    assert form.errors == {"address": ["Correct what is wrong in here."]}
    assert form.fields["address"].nested.errors == {"city": ["This field is required."]}
    assert "This field is required." in form.as_div()


def test_a_required_one_has_to_be_filled_in(site: None) -> None:
    form = form_of(Place, "name", "address")(sent(name="x"))
    assert form.fields["address"].nested.errors == {"city": ["This field is required."]}


def test_what_the_form_inside_lacks_stays(site: None) -> None:
    made = Everything(address=Address(city="London", pin="1234")).save()
    form = form_of(Everything, "address")(
        sent(address__city="Paris", address__street=""), instance=made
    )
    form.save()
    found = Everything.objects.get()
    assert (found.address.city, found.address.pin) == ("Paris", "1234")


def addresses(*cities: str, initial: int = 0, **more: Any) -> QueryDict:
    given = {f"addresses__{place}__city": city for place, city in enumerate(cities)}
    counts = {"addresses__TOTAL_FORMS": str(len(cities)), "addresses__INITIAL_FORMS": str(initial)}
    return sent(**given, **counts, **more)


def test_a_list_of_embedded_documents_is_a_set_of_forms(site: None) -> None:
    made = Everything(addresses=[Address(city="London", pin="1"), Address(city="Paris")]).save()
    form = form_of(Everything, "addresses")
    assert form(instance=made).as_div().count("-city") >= 3
    given = addresses("Rome", "Paris", "Oslo", "", initial=2, addresses__1__DELETE="on")
    changed = form(given, instance=made)
    assert changed.is_valid(), changed.errors
    changed.save()
    found = [(each.city, each.pin) for each in Everything.objects.get().addresses]
    assert found == [("Rome", "1"), ("Oslo", None)]


def test_what_is_wrong_in_a_list_is_told_at_its_place(site: None) -> None:
    form = form_of(Everything, "addresses")(addresses("x" * 30, "Paris"))
    assert set(form.errors) == {"addresses"}
    assert [list(each.errors) for each in form.fields["addresses"].nested.forms] == [["city"], []]


def test_without_the_set_s_counts_it_is_an_error_and_no_crash(site: None) -> None:
    form = form_of(Everything, "addresses")(sent(addresses__0__city="Paris"))
    assert set(form.errors) == {"addresses"}


def test_a_default_that_is_new_each_time_makes_no_comment_of_an_empty_form(site: None) -> None:
    form = form_of(Thread)
    shown = form()
    given = resent(shown)
    again = form(given)
    assert again.is_valid(), again.errors
    assert again.instance.comments == []


def test_documents_that_hold_their_like_end_somewhere(site: None) -> None:
    nested = form_of(Thread)().fields["comments"].nested.forms[0]
    assert "answers" not in nested.fields


# Secrets and keys


def test_a_secret_is_never_shown_and_stays_when_nothing_is_typed(site: None) -> None:
    made = Place(name="x", address=Address(city="Rome"), password="hunter2").save()
    form = form_of(Place, "password")
    assert "hunter2" not in form(instance=made).as_div()
    assert "hunter2" not in form(sent(password="hunter3"), instance=made).as_div()
    made.reload()
    assert form(sent(password=""), instance=made).save().password == "hunter2"
    assert form(sent(password="new"), instance=made).save().password == "new"
    assert "password" in form(sent(password="")).errors


def test_a_key_is_given_once(site: None) -> None:
    form = form_of(Place, "name", "address", "password")
    given = sent(name="rome", address__city="Rome", password="x")
    made = form(given).save()
    given["name"] = "paris"
    form(given, instance=made).save()
    assert [each.name for each in Place.objects] == ["rome"]
    given["name"] = "rome"
    assert form(given).errors == {"name": ["There is another one with this value."]}


# Versions


def test_a_form_with_the_version_finds_out_that_another_was_quicker(site: None) -> None:
    made = Page(text="a").save()
    form = form_of(Page, "text", "version")
    shown = form(instance=Page.objects.get())
    assert '<input type="hidden" name="version" value="1"' in shown.as_div()
    first = {"text": "b", "version": "1"}
    form(sent(**first), instance=Page.objects.get()).save()
    late = form(sent(text="c", version="1"), instance=Page.objects.get())
    assert late.is_valid(), late.errors
    with pytest.raises(StaleDocumentError):
        late.save()
    assert late.non_field_errors() == ["It was changed or deleted meanwhile: look at it again."]
    assert Page.objects.get(pk=made.pk).text == "b"
    assert "version" not in form_of(Page)().fields
    assert form(sent(text="new", version="")).save().text == "new"


def test_a_document_that_was_deleted_meanwhile_is_told(site: None) -> None:
    made = Author(name="Ada").save()
    form = form_of(Author, "name")(sent(name="Bob"), instance=Author.objects.get())
    assert form.is_valid()
    made.delete()
    with pytest.raises(StaleDocumentError):
        form.save()
    assert form.non_field_errors()
    assert Author.objects.count() == 0


# Files


def upload(text: bytes, name: str = "a.txt") -> dict[str, Any]:
    return {"file": SimpleUploadedFile(name, text, "text/plain")}


def test_a_file_is_stored_with_the_document(site: None) -> None:
    form = form_of(Everything, "slug", "file")(sent(slug="x"), upload(b"hello"))
    assert form.is_multipart()
    form.save()
    found = Everything.objects.get().file
    assert (found.read(), found.filename) == (b"hello", "a.txt")


def files_left() -> int:
    from datalayer.connections.registry import registry

    found: int = registry.connection().database["fs.files"].count_documents({})
    return found


def test_a_wrong_form_and_a_refused_document_leave_no_file(site: None) -> None:
    Everything(slug="taken").save()
    form = form_of(Everything, "slug", "file", "number")
    assert not form(sent(slug="x", number="99"), upload(b"hello")).is_valid()
    refused = form(sent(slug="new"), upload(b"hello"))
    assert refused.is_valid()
    Everything(slug="new").save()
    with pytest.raises(NotUniqueError):
        refused.save()
    assert files_left() == 0


def test_another_file_takes_the_place_of_the_old_one(site: None) -> None:
    form = form_of(Everything, "slug", "file")
    form(sent(slug="x"), upload(b"old")).save()
    form(sent(slug="x"), upload(b"new"), instance=Everything.objects.get()).save()
    assert Everything.objects.get().file.read() == b"new"
    assert files_left() == 1


def test_the_old_file_stays_where_the_document_is_refused(site: None) -> None:
    form = form_of(Everything, "slug", "file")
    form(sent(slug="x"), upload(b"old")).save()
    refused = form(sent(slug="y"), upload(b"new"), instance=Everything.objects.get())
    assert refused.is_valid()
    Everything(slug="y").save()
    with pytest.raises(NotUniqueError):
        refused.save()
    assert Everything.objects.get(slug="x").file.read() == b"old"
    assert refused.instance.file.read() == b"old"
    assert files_left() == 1


def test_no_new_file_keeps_the_old_one(site: None) -> None:
    form = form_of(Everything, "slug", "file")
    form(sent(slug="x"), upload(b"old")).save()
    form(sent(slug="y"), instance=Everything.objects.get()).save()
    assert Everything.objects.get(slug="y").file.read() == b"old"


# Several at once


def formset_of(document: Any, *names: str, **options: Any) -> Any:
    from datalayer.contrib.django.forms import documentformset_factory

    return documentformset_factory(document, meta={"fields": names}, **options)


def test_a_set_of_forms_changes_adds_and_deletes(site: None) -> None:
    for name in ("Ada", "Bob", "Eve"):
        Author(name=name).save()
    formset = formset_of(Author, "name", can_delete=True, extra=1)
    queryset = Author.objects.order_by("name")
    given = resent(formset(queryset=queryset))
    given["form-0-name"] = "Adele"
    given["form-1-DELETE"] = "on"
    given["form-3-name"] = "Zoe"
    changed = formset(given, queryset=queryset)
    assert changed.is_valid(), changed.errors
    assert [each.name for each in changed.save()] == ["Adele", "Zoe"]
    assert [each.name for each in queryset.clone()] == ["Adele", "Eve", "Zoe"]


def test_a_document_that_went_meanwhile_is_told_and_no_other_is_changed(site: None) -> None:
    for name in ("Ada", "Bob"):
        Author(name=name).save()
    formset = formset_of(Author, "name", extra=0)
    queryset = Author.objects.order_by("name")
    given = resent(formset(queryset=queryset))
    Author.objects(name="Ada").delete()
    given["form-0-name"] = "Adele"
    changed = formset(given, queryset=queryset.clone())
    assert changed.non_form_errors() == ["One of them is not there any more."]
    assert [each.name for each in Author.objects] == ["Bob"]


def test_a_key_from_outside_the_queryset_is_no_document(site: None) -> None:
    ada, eve = Author(name="Ada").save(), Author(name="Eve").save()
    formset = formset_of(Author, "name", extra=0)
    given = resent(formset(queryset=Author.objects(name="Ada")))
    given["form-0-document_key"] = str(eve.pk)
    given["form-0-name"] = "Mallory"
    assert not formset(given, queryset=Author.objects(name="Ada")).is_valid()
    assert Author.objects.get(pk=ada.pk).name == "Ada"


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
