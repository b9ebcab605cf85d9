"""References that lead to nothing are found, wherever they are and wherever they lead."""

from __future__ import annotations

from typing import Any

import mongoengine
import pytest
from bson import DBRef, ObjectId
from mongoengine.fields import (
    CachedReferenceField,
    DictField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    GenericEmbeddedDocumentField,
    GenericLazyReferenceField,
    GenericReferenceField,
    LazyReferenceField,
    ListField,
    MapField,
    ReferenceField,
    StringField,
)
from observing import commands_sent

from datalayer import db, schema
from datalayer.connections.registry import database
from datalayer.documents import AnalyticsDocument, BusinessDocument, EmbeddedDocument
from datalayer.errors import ConfigurationError
from datalayer.settings import Settings

pytestmark = pytest.mark.usefixtures("settings")

NOWHERE = ObjectId("0" * 24)


def models(base: type = BusinessDocument) -> tuple[Any, Any]:
    """A model of ``default`` whose documents hold all kinds of references to one of ``base``."""

    class Author(base):  # type: ignore[misc,valid-type]
        name = StringField()
        meta = {"collection": "authors"}

    class Line(EmbeddedDocument):
        author = ReferenceField(Author)
        seen = ListField(LazyReferenceField(Author))
        part = EmbeddedDocumentField("Line")
        meta = {"allow_inheritance": True}

    class SpecialLine(Line):
        editor = ReferenceField(Author)

    class Book(BusinessDocument):
        plain = ReferenceField(Author)
        dbref = ReferenceField(Author, dbref=True)
        lazy = LazyReferenceField(Author)
        cached = CachedReferenceField(Author, fields=["name"])
        generic = GenericReferenceField()
        generic_lazy = GenericLazyReferenceField()
        many = ListField(ReferenceField(Author))
        nested = ListField(ListField(ReferenceField(Author)))
        by_name = MapField(ReferenceField(Author))
        loose = DictField(field=GenericReferenceField())
        line = EmbeddedDocumentField(Line)
        lines = EmbeddedDocumentListField(Line)
        any_line = GenericEmbeddedDocumentField(choices=(Line, SpecialLine))
        meta = {"collection": "books"}

    return Author, Book


def generic(key: Any, name: str = "Author") -> dict[str, Any]:
    return {"_cls": name, "_ref": DBRef("authors", key)}


def stored(key: Any, **more: Any) -> dict[str, Any]:
    """A book as it lies in the database, with references of all kinds to ``key``."""
    line = {"_cls": "Line", "author": key, "seen": [key]}
    return {
        "plain": key,
        "dbref": DBRef("authors", key),
        "lazy": key,
        "cached": {"_id": key, "name": "somebody"},
        "generic": generic(key),
        "generic_lazy": generic(key),
        "many": [key, key],
        "nested": [[key], []],
        "by_name": {"first": key},
        "loose": {"first": generic(key)},
        "line": line,
        "lines": [line, {"_cls": "Line.SpecialLine", "editor": key}],
        "any_line": line,
        **more,
    }


PATHS = {
    "plain", "dbref", "lazy", "cached", "generic", "generic_lazy", "many[]", "nested[][]",
    "by_name.*", "loose.*", "line.author", "line.seen[]", "lines[].author", "lines[].seen[]",
    "lines[].editor", "any_line.author", "any_line.seen[]",
}  # fmt: skip


@pytest.mark.parametrize("base", [BusinessDocument, AnalyticsDocument])
def test_each_kind_of_reference_to_nothing_is_found(base: type) -> None:
    author, book = models(base)
    known = author(name="known").save().pk
    database().books.insert_many([stored(known), stored(NOWHERE), stored(NOWHERE)])
    found = schema.references([book])
    assert {each.path: each.documents for each in found} == dict.fromkeys(PATHS, 2)
    assert {each.rule for each in found} == {"dangling_reference"}


@pytest.mark.parametrize("base", [BusinessDocument, AnalyticsDocument])
def test_references_to_what_is_there_are_no_finding(base: type) -> None:
    author, book = models(base)
    known = author(name="known").save().pk
    database().books.insert_many([stored(known), {}, {"plain": None, "many": [], "line": {}}])
    assert schema.references([book]) == []


@pytest.mark.parametrize("base", [BusinessDocument, AnalyticsDocument])
def test_a_document_with_several_counts_once(base: type) -> None:
    _, book = models(base)
    database().books.insert_one({"_id": 1, "many": [NOWHERE, ObjectId(), NOWHERE]})
    (found,) = schema.references([book])
    assert (found.documents, found.ids) == (1, (1,))


def test_more_than_a_batch_is_looked_up_in_another_database() -> None:
    _, book = models(AnalyticsDocument)
    keys = [ObjectId() for _ in range(2500)]
    database("database1").authors.insert_many([{"_id": key} for key in keys[:2400]])
    database().books.insert_many([{"plain": key} for key in keys])
    (found,) = schema.references([book])
    assert (found.documents, len(found.ids)) == (100, 5)
    assert found.detail == "documents of authors on database1"


def test_the_server_sends_no_more_ids_at_once_than_a_batch(settings: Settings) -> None:
    class Letter(BusinessDocument):
        answered = ReferenceField("self")
        meta = {"collection": "letters"}

    database().letters.insert_many([{"answered": ObjectId()} for _ in range(2500)])
    with commands_sent() as sent:
        db.disconnect_all()
        db.connect_all(settings)
        schema.references([Letter])
    (first,) = [each for each in sent.commands if "aggregate" in each]
    later = [each for each in sent.commands if "getMore" in each]
    assert first["cursor"]["batchSize"] <= 2000
    assert later
    assert all(each["batchSize"] <= 2000 for each in later)


def test_keys_that_are_the_same_number_lead_to_the_document() -> None:
    _, book = models(AnalyticsDocument)
    database("database1").authors.insert_one({"_id": 7})
    database().books.insert_one({"plain": 7.0})
    assert schema.references([book]) == []


def test_a_generic_reference_to_a_class_that_is_not_known_is_told() -> None:
    _, book = models()
    database().books.insert_one({"generic": generic(NOWHERE, "Publisher")})
    (found,) = schema.references([book])
    assert (found.rule, found.documents) == ("unknown_class", 1)
    assert found.detail == "no model that is known is called Publisher"


def test_a_reference_to_a_model_that_is_not_known_is_one_clear_error() -> None:
    class Letter(BusinessDocument):
        sender = ReferenceField("Correspondent")
        meta = {"collection": "letters"}

    with pytest.raises(ConfigurationError, match=r"Letter\.sender refers to a model that isn't"):
        schema.references([Letter])


def test_a_reference_to_an_abstract_model_leads_to_any_of_its_classes() -> None:
    class Person(BusinessDocument):
        meta = {"abstract": True}

    class Author(Person):
        meta = {"collection": "authors"}

    class Editor(Person):
        meta = {"collection": "editors"}

    class Letter(BusinessDocument):
        sender = ReferenceField(Person)
        meta = {"collection": "letters"}

    Letter(sender=Editor().save()).save()
    Letter(sender=Author().save()).save()
    database().letters.insert_one({"sender": DBRef("authors", NOWHERE)})
    assert [each.documents for each in schema.references([Letter])] == [1]


def test_a_plain_mongoengine_document_is_looked_at_too() -> None:
    class Note(mongoengine.Document):
        parent = ReferenceField("self")
        meta = {"collection": "notes"}

    database().notes.insert_one({"parent": NOWHERE})
    assert [each.path for each in schema.references([Note])] == ["parent"]
