"""Forms inside a form, sets of forms, and uploads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from django_form_documents import (
    Address,
    Author,
    Everything,
    Place,
    Scan,
    Thread,
    form_of,
    form_site,
    resent,
    sent,
)
from mongoengine.errors import NotUniqueError


@pytest.fixture
def site(uris: dict[str, str]) -> Iterator[None]:
    with form_site(uris):
        yield


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


def test_a_required_file_is_required_once(site: None) -> None:
    form = form_of(Scan, "file")
    assert form(sent()).errors == {"file": ["This field is required."]}
    made = form(sent(), upload(b"hello"))
    assert made.is_valid(), made.errors
    made.save()
    assert form(sent(), instance=Scan.objects.get()).is_valid()
    assert Scan.objects.get().file.read() == b"hello"


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
