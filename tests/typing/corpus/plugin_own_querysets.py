"""Own queryset classes: by ``meta`` for mypy with the plugin, declared for all checkers."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from datalayer.documents import BusinessDocument, QuerySet
from datalayer.fields import BooleanField, IntField, StringField


class OfferQuerySet(QuerySet["Offer"]):
    def open(self) -> Self:
        return self.filter(is_open=True)

    def cheap(self) -> OfferQuerySet:
        return self.filter(price__lt=10)

    def wrong(self) -> OfferQuerySet:
        return self.filter(is_opne=True)  # error: has no field "is_opne"; did you mean "is_open"?


class Offer(BusinessDocument):
    title = StringField(required=True)
    is_open = BooleanField(default=True)
    price = IntField()

    meta = {"queryset_class": OfferQuerySet}


class Special(Offer):
    reason = StringField()


reveal_type(Offer.objects)  # is: OfferQuerySet
reveal_type(Offer.objects.open().first())  # is: Offer | None
reveal_type(Offer.objects(title="x").open().get(price=3).title)  # is: str
reveal_type(Special.objects)  # is: OfferQuerySet
Offer.objects.open().filter(titel="x")  # error: has no field "titel"; did you mean "title"?


class NoteQuerySet(QuerySet["Note"]):
    def long(self) -> Self:
        return self.filter(length__gt=1000)


class Note(BusinessDocument):
    length = IntField(required=True)

    objects: ClassVar[NoteQuerySet]
    meta = {"queryset_class": NoteQuerySet}


reveal_type(Note.objects)  # is: NoteQuerySet
reveal_type(Note.objects.long().first())  # is: Note | None
reveal_type(Note.objects(length=3))  # is: NoteQuerySet


class Own(QuerySet[Any]):
    def update_all(self, name: str) -> int:
        return self.update(set__name=name)
