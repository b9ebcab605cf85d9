"""Sequence numbers: counted in the document's own database, and none given twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from fresh_databases import emptied
from mongoengine import (
    DictField,
    EmbeddedDocumentField,
    IntField,
    ListField,
    SequenceField,
    StringField,
)

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import AnalyticsDocument, BusinessDocument, EmbeddedDocument
from datalayer.settings import Settings

ALIASES = ("default", "database1", "archive")
COUNTERS = "mongoengine.counters"


class Order(BusinessDocument):
    number = SequenceField()
    text = StringField()


class Ticket(AnalyticsDocument):
    number = SequenceField(primary_key=True)
    text = StringField()


class Invoice(AnalyticsDocument):
    number = SequenceField(value_decorator=lambda value: f"R{value:05}")


class Numbered(BusinessDocument):
    number = SequenceField(collection_name="own_counters", sequence_name="shared")
    meta = {"abstract": True}


class Here(Numbered):
    pass


class There(Numbered):
    meta = {"db_alias": "database1"}


class Explicit(BusinessDocument):
    number = SequenceField(db_alias="archive")


class Item(EmbeddedDocument):
    number = SequenceField()
    text = StringField()


class Basket(AnalyticsDocument):
    first = EmbeddedDocumentField(Item)
    items = ListField(EmbeddedDocumentField(Item))
    named = DictField()


class Doubled(SequenceField):
    def generate(self) -> Any:
        return super().generate() * 2


class Even(AnalyticsDocument):
    number = Doubled()


MODELS = (Order, Ticket, Invoice, Here, There, Explicit, Item, Basket, Even)


@pytest.fixture(autouse=True)
def databases(shared: Settings) -> Iterator[None]:
    emptied(shared)
    yield
    db.router(None)
    if not db.database.is_connected:
        db.connect_all(shared)


def raw(alias: str, name: str = COUNTERS) -> Any:
    return registry.connection(alias).database[name]


def counters(alias: str, name: str = COUNTERS) -> dict[str, int]:
    return {each["_id"]: each["next"] for each in raw(alias, name).find()}


class Change(Exception):
    """Raised to roll a transaction back."""


# Where they are counted


def test_a_sequence_is_counted_in_the_database_of_its_model() -> None:
    assert [Ticket().save().number for _ in range(2)] == [1, 2]
    assert counters("database1") == {"ticket.number": 2}
    assert counters("default") == {}


def test_another_alias_has_a_sequence_of_its_own() -> None:
    Order().save()
    with db.using(default="archive"):
        assert Order().save().number == 1
    assert Order().save().number == 2


def test_a_router_says_where_numbers_are_counted() -> None:
    Order().save()
    db.router(lambda model: "archive" if model is Order else None)
    assert Order().save().number == 1
    assert counters("archive") == {"order.number": 1}


def test_a_document_that_switch_db_sends_elsewhere_gets_its_number_there() -> None:
    Order().save()
    assert Order().switch_db("archive").save().number == 1
    assert (counters("default"), counters("archive")) == ({"order.number": 1},) * 2


def test_an_alias_of_the_field_is_kept_unless_that_is_sent_elsewhere() -> None:
    Explicit().save()
    with db.using(archive="database1"):
        Explicit().save()
    found = [counters(alias) for alias in ALIASES]
    assert found == [{}, {"explicit.number": 1}, {"explicit.number": 1}]


def test_subclasses_of_an_abstract_model_count_where_they_live() -> None:
    Here().save()
    There().save()
    assert set(counters("default", "own_counters")) == {"shared.number"}
    assert set(counters("database1", "own_counters")) == {"shared.number"}


def test_embedded_documents_are_numbered_where_their_document_goes() -> None:
    basket = Basket(first=Item(), items=[Item()])
    basket.items.append(Item())
    basket.save()
    found = Basket.objects.get()
    assert {found.first.number, *(item.number for item in found.items)} == {1, 2, 3}
    assert (counters("default"), counters("database1")) == ({}, {"item.number": 3})


def test_pushed_embedded_documents_are_numbered_where_their_models_go() -> None:
    basket = Basket().save()
    Basket.objects(id=basket.id).update(push__items=Item())
    assert Basket.objects.get().items[0].number == 1
    assert counters("default") == {}


def test_inserting_many_numbers_each() -> None:
    Ticket.objects.insert([Ticket(text="a"), Ticket(text="b")])
    assert [ticket.pk for ticket in Ticket.objects.order_by("number")] == [1, 2]


def test_a_number_that_is_read_before_saving_is_the_one_that_is_saved() -> None:
    ticket = Ticket()
    assert ticket.number == 1
    ticket.save()
    assert Ticket.objects.get().number == 1


def test_values_go_through_the_decorator() -> None:
    assert Invoice().save().number == "R00001"


def test_a_field_class_of_the_application_keeps_its_way_of_generating() -> None:
    assert [Even().save().number for _ in range(2)] == [2, 4]
    assert counters("default") == {}


def test_the_next_number_can_be_seen_and_set() -> None:
    assert Ticket.number.get_next_value() == 1
    assert Ticket.number.set_next_value(41) == 41
    assert Ticket.number.get_next_value() == 42
    assert Ticket().save().number == 42


def test_a_sequence_needs_only_its_own_database() -> None:
    db.database.disconnect()
    assert Ticket().save().number == 1


# A counter that isn't there yet


def test_it_begins_after_the_greatest_number_of_the_collection() -> None:
    raw("database1", "ticket").insert_many([{"_id": 7}, {"_id": 3}])
    assert Ticket.number.get_next_value() == 8
    assert Ticket().save().number == 8


def test_it_goes_on_from_the_counter_that_mongoengine_kept_in_default() -> None:
    raw("default").insert_one({"_id": "invoice.number", "next": 5})
    raw("database1", "invoice").insert_one({"number": "R00004"})
    assert Invoice().save().number == "R00006"


def test_on_an_alias_that_a_block_chooses_it_looks_at_its_collection_alone() -> None:
    raw("default").insert_one({"_id": "order.number", "next": 5})
    raw("archive", "order").insert_one({"number": 2})
    with db.using(default="archive"):
        assert Order().save().number == 3


def test_many_who_draw_its_first_number_get_different_ones() -> None:
    drawn: list[int] = []
    ready = threading.Barrier(12)

    def draw() -> None:
        ready.wait()
        drawn.append(Order().save().number)

    threads = [threading.Thread(target=draw) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(drawn) == list(range(1, 13))


# Transactions


@pytest.mark.parametrize("is_read", [True, False], ids=["read before", "saved"])
def test_a_rollback_gives_no_number_again(is_read: bool) -> None:
    order = Order(text="first")
    with suppress(Change), db.transaction():
        if is_read:
            assert order.number == 1
        order.save()
        raise Change
    other = Order(text="second").save()
    order.save()
    assert {order.number, other.number} == set(Order.objects.scalar("number"))
    assert other.number not in (1, order.number)


def test_two_transactions_draw_numbers_at_the_same_time() -> None:
    Order().save()
    both_have_drawn = threading.Barrier(2)
    drawn: list[int] = []

    def draw() -> None:
        with db.transaction():
            drawn.append(Order().save().number)
            both_have_drawn.wait()

    threads = [threading.Thread(target=draw) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(drawn) == [2, 3]
    assert Order.objects.count() == 3


def test_a_transaction_over_two_databases_draws_in_both() -> None:
    with suppress(Change), db.transaction("database1", "default"):
        Ticket().save()
        Order().save()
        raise Change
    assert (Ticket.objects.count(), Order.objects.count()) == (0, 0)
    assert (Ticket().save().number, Order().save().number) == (2, 2)


def test_setting_the_next_number_is_not_rolled_back() -> None:
    with suppress(Change), db.transaction():
        Order.number.set_next_value(10)
        raise Change
    assert Order().save().number == 11


def test_plain_models_of_mongoengine_keep_mongoengines_field() -> None:
    import mongoengine

    class Plain(mongoengine.Document):
        number = SequenceField()
        other = IntField()

    assert type(Plain.number) is SequenceField
    assert type(Order.number) is not SequenceField
