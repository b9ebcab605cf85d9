"""Documents that were read from a tenant's database: they aren't written to another's, and what
belongs to them is looked for in their own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from fresh_databases import connected, model_registry
from mongoengine import CASCADE, IntField, ListField, ReferenceField, StringField
from mongoengine.fields import (
    EmbeddedDocumentField,
    FileField,
    GenericReferenceField,
    MapField,
)

from datalayer import db
from datalayer.documents import Document, EmbeddedDocument
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import TenantError
from datalayer.settings import Settings


class Customer(Document):
    key = IntField(primary_key=True)
    name = StringField()


class Part(EmbeddedDocument):
    of = ReferenceField(Customer)


class Order(Document):
    key = IntField(primary_key=True)
    customer = ReferenceField(Customer, reverse_delete_rule=CASCADE)
    customers = ListField(ReferenceField(Customer))
    by_role = MapField(ReferenceField(Customer))
    anything = GenericReferenceField()
    part = EmbeddedDocumentField(Part)
    text = StringField()


class Versioned(Document):
    key = IntField(primary_key=True)
    text = StringField()
    meta = {"versioned": True}


class Export(Document):
    contents = FileField()


@pytest.fixture(autouse=True)
def only_these_models() -> Iterator[None]:
    with model_registry(Customer, Order, Export, Versioned):
        yield
        db.router(None)


@pytest.fixture
def tenants(mongod: EmbeddedMongo, database_name: str) -> Iterator[tuple[str, str]]:
    """Two, each with the same keys in it, as has the application's own database."""
    names = f"{database_name}_a", f"{database_name}_b"
    uris = {"default": database_name, "archive": f"{database_name}_archive"}
    with connected(Settings(databases={each: mongod.uri_for(uris[each]) for each in uris})):
        fill("own")
        for name in names:
            with db.using(database=name):
                fill(name)
        yield names


def fill(name: str) -> None:
    customer = Customer(key=1, name=name).save(force_insert=True)
    Order(
        key=1,
        customer=customer,
        customers=[customer],
        by_role={"buyer": customer},
        anything=customer,
        part=Part(of=customer),
        text=name,
    ).save(force_insert=True)


def order_in(name: str) -> Any:
    with db.using(database=name):
        return Order.objects.get(key=1)


def texts(*names: str) -> list[str]:
    found = [Order.objects.get(key=1).text]
    for name in names:
        with db.using(database=name):
            found.append(Order.objects.get(key=1).text)
    return found


def changed(order: Any) -> Any:
    order.text = "changed"
    return order.save()


OPERATIONS: list[Callable[[Any], object]] = [
    changed,
    lambda order: order.save(force_insert=True),
    lambda order: order.modify(text="changed"),
    lambda order: order.update(text="changed"),
    lambda order: order.delete(),
    lambda order: order.reload(),
    lambda order: order.switch_collection("others").save(),
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_document_is_refused_in_another_tenants_block(
    tenants: tuple[str, str], operation: Callable[[Any], object]
) -> None:
    one, other = tenants
    order = order_in(one)
    with db.using(database=other), pytest.raises(TenantError) as caught:
        operation(order)
    assert repr(one) in str(caught.value)
    assert repr(other) in str(caught.value)
    assert texts(one, other) == ["own", one, other]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_document_is_refused_after_the_block(
    tenants: tuple[str, str], operation: Callable[[Any], object]
) -> None:
    order = order_in(tenants[0])
    with pytest.raises(TenantError, match="the own database of 'default'"):
        operation(order)
    assert texts(*tenants) == ["own", *tenants]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_document_of_the_own_database_is_refused_inside(
    tenants: tuple[str, str], operation: Callable[[Any], object]
) -> None:
    order = Order.objects.get(key=1)
    with db.using(database=tenants[0]), pytest.raises(TenantError):
        operation(order)
    assert texts(*tenants) == ["own", *tenants]


def test_a_document_is_written_in_another_block_for_its_own(tenants: tuple[str, str]) -> None:
    order = order_in(tenants[0])
    with db.using(database=tenants[0]):
        changed(order)
    assert texts(*tenants) == ["own", "changed", tenants[1]]


@pytest.mark.parametrize(
    "read",
    [
        lambda: Order.objects().first(),
        lambda: next(iter(Order.objects)),
        lambda: next(iter(Order.objects.no_cache())),
        lambda: Order.objects.only("text").get(),
        lambda: Order.objects[0],
        lambda: Order.objects.in_bulk([1])[1],
        lambda: Order.objects.modify(text="changed", new=True),
        lambda: Order.objects.order_by("text").first(),
        lambda: pickle.loads(pickle.dumps(Order.objects.get())),
        lambda: copy.deepcopy(Order.objects.get()),
        lambda: Order.objects.insert(Order(key=2)),
        lambda: Order.objects.create(key=3),
        lambda: Order(key=4).save(),
    ],
)
def test_however_it_was_read_or_stored(tenants: tuple[str, str], read: Callable[[], Any]) -> None:
    with db.using(database=tenants[0]):
        order = read()
    with pytest.raises(TenantError):
        changed(order)
    with db.using(database=tenants[0]):
        changed(order)


def test_a_new_document_goes_where_operations_go(tenants: tuple[str, str]) -> None:
    order = Order(text="new")
    order.key = 5
    with db.using(database=tenants[0]):
        order.save()
        assert Order.objects(key=5).count() == 1
    assert Order.objects(key=5).count() == 0


def test_a_copy_is_stored_elsewhere_by_saying_so(tenants: tuple[str, str]) -> None:
    one, other = tenants
    order_in(one).switch_db(("default", other)).save()
    assert texts(*tenants) == ["own", one, one]


def test_what_was_rolled_back_is_new_again(tenants: tuple[str, str]) -> None:
    order = Order(key=6)

    def save_and_fail() -> None:
        with db.transaction():
            order.save()
            raise RuntimeError

    with pytest.raises(RuntimeError), db.using(database=tenants[0]):
        save_and_fail()
    with db.using(database=tenants[1]):
        order.save()
        assert Order.objects(key=6).count() == 1


@pytest.mark.parametrize(
    "follow",
    [
        lambda order: order.customer,
        lambda order: order.customers[0],
        lambda order: order.by_role["buyer"],
        lambda order: order.anything,
        lambda order: order.part.of,
        lambda order: order.select_related().customer,
    ],
)
def test_references_lead_to_the_documents_own_database(
    tenants: tuple[str, str], follow: Callable[[Any], Any]
) -> None:
    one, other = tenants
    assert follow(order_in(one)).name == one
    order = order_in(one)
    with db.using(database=other):
        assert follow(order).name == one
    customer = follow(order_in(one))
    with pytest.raises(TenantError):
        customer.delete()
    order = Order.objects.get(key=1)
    with db.using(database=other):
        assert follow(order).name == "own"


def test_a_router_knows_which_references_lead_to_what_all_share(
    tenants: tuple[str, str],
) -> None:
    db.router(lambda model: ("default", tenants[0]) if model is Order else None)
    assert Order.objects.get(key=1).text == tenants[0]
    assert Order.objects.get(key=1).customer.name == "own"


def test_querysets_that_were_begun_inside_follow_and_cascade_there(
    tenants: tuple[str, str],
) -> None:
    one, _ = tenants
    with db.using(database=one):
        orders, customers = Order.objects.filter(key=1), Customer.objects.filter(key=1)
    assert [order.customer.name for order in orders] == [one]
    assert [each.customer.name for each in orders.clone().select_related()] == [one]
    assert customers.delete() == 1
    assert Order.objects.count() == 1
    with db.using(database=one):
        assert Order.objects.count() == 0


def test_files_lie_where_their_document_does(tenants: tuple[str, str]) -> None:
    one, other = tenants
    with db.using(database=one):
        export = Export()
        export.contents.put(b"one")
        export.save()
        read = Export.objects.get()
    for each in (export, read, copy.deepcopy(read)):
        assert each.contents.read() == b"one"
    assert "fs.files" not in db.database.client[db.database.name].list_collection_names()
    with db.using(database=other):
        assert read.contents.get().length == 3


def test_a_queryset_that_was_begun_outside_cascades_there(tenants: tuple[str, str]) -> None:
    customers = Customer.objects.filter(key=1)
    with db.using(database=tenants[0]):
        assert customers.delete() == 1
        assert Order.objects.count() == 1
    assert Order.objects.count() == 0


def test_what_was_not_loaded_is_fetched_from_the_documents_own_database(
    tenants: tuple[str, str],
) -> None:
    one, other = tenants
    for block in (None, other):
        with db.using(database=one):
            partial = Order.objects.only("key").get()
        with nullcontext() if block is None else db.using(database=block):
            assert partial.text == one
    own = Order.objects.only("key").get()
    with db.using(database=one):
        assert own.text == "own"


def test_files_of_the_own_database_are_read_in_a_block(tenants: tuple[str, str]) -> None:
    export = Export()
    export.contents.put(b"own")
    export.save()
    for each in (export, Export.objects.get()):
        with db.using(database=tenants[0]):
            assert each.contents.read() == b"own"


def test_files_of_an_alias_stay_with_it(tenants: tuple[str, str]) -> None:
    with db.using(default="archive"):
        export = Export()
        export.contents.put(b"archived")
        export.save()
        read = Export.objects.get()
    assert read.contents.read() == b"archived"


def test_a_new_documents_references_are_those_of_the_block(tenants: tuple[str, str]) -> None:
    with db.using(database=tenants[0]):
        order = Order(customer=Customer.objects.get(key=1).to_dbref())
        assert order.customer.name == tenants[0]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_versioned_document_is_refused_too(
    tenants: tuple[str, str], operation: Callable[[Any], object]
) -> None:
    one, other = tenants
    for name in tenants:
        with db.using(database=name):
            Versioned(key=1, text=name).save(force_insert=True)
    with db.using(database=one):
        document = Versioned.objects.get()
    with db.using(database=other):
        with pytest.raises(TenantError):
            operation(document)
        assert Versioned.objects.get().text == other
    with db.using(database=one):
        changed(document)
        assert Versioned.objects.get().text == "changed"
