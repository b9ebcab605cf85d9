"""What a form of a document says is wrong, and what it never shows or takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django_form_documents import (
    Address,
    Author,
    Booking,
    Everything,
    Page,
    Place,
    form_of,
    form_site,
    sent,
)
from mongoengine.errors import NotUniqueError, ValidationError

from datalayer.errors import StaleDocumentError


@pytest.fixture
def site(uris: dict[str, str]) -> Iterator[None]:
    with form_site(uris):
        yield


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
        ("settings", '{"a": {"$oid": "x"}}', "Write it as JSON."),
        ("settings", '{"a": {"$date": 1e30}}', "Write it as JSON."),
        ("settings", '{"a": {"$binary": {}}}', "Write it as JSON."),
        ("settings", '{"a": {"$binary": 1, "$type": "00"}}', "Write it as JSON."),
        ("settings", '{"a": {"$numberDecimal": "x"}}', "Write it as JSON."),
        ("settings", '{"a":' * 20_000, "Write it as JSON."),
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


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("exact", "1e999999"),
        ("price", "1e999999"),
        ("price", "NaN"),
        ("large", str(2**70)),
        ("ratio", "inf"),
        ("plain_moment", "9999-12-31 23:59:59"),
        ("moment", "9999-12-31 23:59:59"),
        ("slug", "\ud800"),
        ("body", "a\x00b"),
    ],
)
def test_what_the_database_could_not_store_is_told_at_its_field(
    site: None, field: str, text: str
) -> None:
    form = form_of(Everything, field)(sent(**{field: text}))
    try:
        assert not form.is_valid() or form.save()
    except ValidationError:  # found out just before it is sent
        assert form.errors
    assert Everything.objects.count() == 0
    assert field in form.errors


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
