"""Which models are versioned, and which definitions are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mongoengine as me
import pytest
from bson import ObjectId
from fresh_databases import model_registry
from mongoengine.errors import FieldDoesNotExist

from datalayer import BusinessDocument, DynamicBusinessDocument
from datalayer.documents import Document, EmbeddedDocument, accelerate, define_model
from datalayer.errors import ConfigurationError


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with model_registry():
        yield


def test_the_field_is_a_field_like_others() -> None:
    class Page(BusinessDocument):
        title = me.StringField()
        meta = {"versioned": True}

    assert isinstance(Page.version, me.IntField)
    assert (Page._fields["version"].db_field, Page._fields_ordered[-1]) == ("version", "version")
    assert Page(title="a", version=3).to_mongo()["version"] == 3
    assert Page(title="a").version is None


def test_a_model_that_does_not_ask_for_it_has_none() -> None:
    class Page(BusinessDocument):
        title = me.StringField()

    assert "version" not in Page._fields


def test_an_abstract_base_hands_it_on() -> None:
    class Base(BusinessDocument):
        meta = {"abstract": True, "versioned": True}

    class Page(Base):
        title = me.StringField()

    class Note(Base):
        title = me.StringField()
        meta = {"versioned": False}

    assert ("version" in Page._fields, "version" in Note._fields) == (True, False)
    assert "version" not in Base._fields


def test_subclasses_of_a_versioned_model_are_versioned() -> None:
    class Animal(BusinessDocument):
        meta = {"allow_inheritance": True, "versioned": True}

    class Dog(Animal):
        name = me.StringField()

    assert Dog._fields["version"] is Animal._fields["version"]
    assert Dog(name="a", version=2).to_mongo()["version"] == 2


def test_dynamic_and_run_time_models_may_be_versioned() -> None:
    class Loose(DynamicBusinessDocument):
        meta = {"versioned": True}

    made = define_model(BusinessDocument, "Made", {"n": me.IntField()}, meta={"versioned": True})
    assert "version" in Loose._fields
    assert "version" in made._fields


def test_an_own_whole_number_is_taken_under_its_stored_name() -> None:
    class Page(BusinessDocument):
        version = me.IntField(db_field="v")
        meta = {"versioned": True}

    assert Page(version=1).to_mongo()["v"] == 1


def test_embedded_documents_are_left_alone() -> None:
    class Part(EmbeddedDocument):
        version = me.StringField()

    assert Part.from_input({"version": "1.2"}, allow=["version"]).version == "1.2"


def test_plain_documents_know_nothing_of_it() -> None:
    accelerate()
    try:

        class Page(me.Document):
            version = me.StringField()
            meta = {"versioned": True}

        assert Page(version="1.2").to_mongo() == {"version": "1.2"}
        assert not hasattr(Page, "change")
    finally:
        accelerate(False)


def own_text() -> None:
    class Page(BusinessDocument):
        version = me.StringField()
        meta = {"versioned": True}


def own_default() -> None:
    class Page(BusinessDocument):
        version = me.IntField(default=0)
        meta = {"versioned": True}


def own_required() -> None:
    class Page(BusinessDocument):
        version = me.IntField(required=True)
        meta = {"versioned": True}


def own_key() -> None:
    class Page(Document):
        version = me.IntField(primary_key=True)
        meta = {"versioned": True}


def own_method() -> None:
    class Page(BusinessDocument):
        meta = {"versioned": True}

        def version(self) -> str:
            return "1.2"


def other_stored_so() -> None:
    class Page(BusinessDocument):
        release = me.StringField(db_field="version")
        meta = {"versioned": True}


def no_switch() -> None:
    class Page(BusinessDocument):
        meta = {"versioned": "yes"}


def subclass_alone() -> None:
    class Animal(BusinessDocument):
        meta = {"allow_inheritance": True}

    class Dog(Animal):
        meta = {"versioned": True}


def subclass_not() -> None:
    class Animal(BusinessDocument):
        meta = {"allow_inheritance": True, "versioned": True}

    class Dog(Animal):
        meta = {"versioned": False}


@pytest.mark.parametrize(
    ("define", "reason"),
    [
        (own_text, "a StringField, and a version is a whole number"),
        (own_default, r"IntField\(\) is right"),
        (own_required, r"IntField\(\) is right"),
        (own_key, r"IntField\(\) is right"),
        (own_method, "Page.version is no field"),
        (other_stored_so, "'release' is stored under that name"),
        (no_switch, "True or False"),
        (subclass_alone, "Dog shares the collection of Animal"),
        (subclass_not, "Dog shares the collection of Animal"),
    ],
)
def test_what_can_not_be_versioned_is_refused_when_the_class_is_made(
    define: Callable[[], None], reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        define()


def test_input_never_sets_a_version() -> None:
    class Page(BusinessDocument):
        title = me.StringField()
        meta = {"versioned": True}

    offered = {"title": "a", "version": 7}
    assert Page.from_input(offered, allow=["title"]).version is None
    for take in (Page.from_input, Page().update_from_input):
        with pytest.raises(FieldDoesNotExist, match="no field to allow"):
            take(offered, allow=["title", "version"])


def test_a_dynamic_document_may_hold_a_field_called_change() -> None:
    class Price(DynamicBusinessDocument):
        pass

    found = Price._from_son({"_id": ObjectId(), "change": 0.5})
    assert found.change == 0.5
    assert found.to_mongo()["change"] == 0.5


def test_a_field_may_be_called_change() -> None:
    class Price(BusinessDocument):
        change = me.FloatField()
        meta = {"versioned": True}

    assert Price(change=0.5).change == 0.5


def test_change_needs_a_version() -> None:
    class Page(BusinessDocument):
        title = me.StringField()

    def touch(page: Any) -> None:
        page.title = "b"

    with pytest.raises(ConfigurationError, match=r"Page.change\(\) needs meta"):
        Page.change(1, touch)
