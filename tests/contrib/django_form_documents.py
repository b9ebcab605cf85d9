"""Documents of every kind for the tests of Django's forms, and what a browser sends of a form."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from django.http import QueryDict
from django_in_process import django_site
from fresh_databases import model_registry
from mongoengine import fields as me
from mongoengine.errors import ValidationError

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

    class Scan(BusinessDocument):
        file = me.FileField(required=True)

        meta = {"collection": "form_scans"}

    class Page(BusinessDocument):
        text = me.StringField(max_length=20)

        meta = {"collection": "form_pages", "versioned": True}


MODELS = (Page, Scan, Author, Address, Everything, Booking, Place, Comment, Thread)


@contextmanager
def form_site(uris: dict[str, str]) -> Iterator[None]:
    """The test project, connected, with these documents alone."""
    with django_site(DATALAYER=uris), model_registry(*MODELS):
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


def resent(form: Any) -> QueryDict:
    """What a browser sends of a form as it is shown."""
    made = QueryDict(mutable=True)
    shown = str(form.as_div())
    for tag in re.findall(r"<input [^>]*>", shown):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        is_sent = 'type="checkbox"' not in tag or " checked" in tag
        if name and is_sent and 'type="file"' not in tag:
            implied = "on" if 'type="checkbox"' in tag else ""
            made.appendlist(name[1], unescaped(value[1]) if value else implied)
    for name, text in re.findall(
        r'<textarea name="([^"]+)"[^>]*>\n?(.*?)</textarea>', shown, re.S
    ):
        made.appendlist(name, unescaped(text))
    for name, inside in re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', shown, re.S):
        for value in re.findall(r'<option value="([^"]*)" selected', inside):
            made.appendlist(name, value)
    return made


def unescaped(text: str) -> str:
    return html.unescape(text)
