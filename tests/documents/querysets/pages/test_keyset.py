"""Pages by key: every order, without gap or overlap, and cursors that are checked."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import bson
import pytest
from bson import Binary, Decimal128, MaxKey, MinKey, ObjectId
from fresh_databases import connected, model_registry, settings_for
from mongoengine.errors import OperationError, ValidationError
from mongoengine.fields import (
    DynamicField,
    EmbeddedDocumentField,
    IntField,
    ListField,
    ReferenceField,
    StringField,
)
from observing import SentCommands, commands_sent
from werkzeug.exceptions import NotFound

from datalayer import db
from datalayer.documents import BusinessDocument, EmbeddedDocument, QuerySet, SecretField
from datalayer.documents.querysets.pages.cursor import from_text
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import TenantError

with model_registry():

    class City(EmbeddedDocument):
        name = StringField(db_field="n")

    class Shop(BusinessDocument):
        name = StringField()

        meta = {"collection": "shops"}

    class Thing(BusinessDocument):
        number = IntField(db_field="no")
        kind = DynamicField()
        city = EmbeddedDocumentField(City)
        shop = ReferenceField(Shop)
        tags = ListField(StringField())
        pin = SecretField()

        meta = {"collection": "things", "indexes": [("kind", "id"), ("number", "kind", "id")]}

    class Other(BusinessDocument):
        number = IntField(db_field="no")

        meta = {"collection": "others"}


SEED = random.Random(7)
KINDS: list[Any] = [
    *(None, -1, 0, 1, 2.5, float("nan"), float("inf"), Decimal128("1.5"), 2**40),
    *("", "a", "$number", "ab", {"a": 1}, {"a": "x", "b": None}, b"bytes", Binary(b"x", 128)),
    *(ObjectId(), True, False, datetime(2026, 1, 1, tzinfo=UTC), UUID(int=5), MinKey(), MaxKey()),
]


def _things() -> Iterator[dict[str, Any]]:
    for each in range(150):
        stored: dict[str, Any] = {"_id": ObjectId(), "no": each % 3}
        if each % 10:  # the others have no value
            stored["kind"] = SEED.choice(KINDS)
        if each % 4:
            stored["city"] = {"n": SEED.choice(["Bern", "Basel", None])}
        yield stored


@pytest.fixture(autouse=True, scope="module")
def sent(mongod: EmbeddedMongo) -> Iterator[SentCommands]:
    with (
        commands_sent() as sent,
        model_registry(City, Shop, Thing, Other),
        connected(settings_for(mongod)),
    ):
        Thing._get_collection().insert_many(list(_things()))
        yield sent


def _walk(asked: Callable[[], QuerySet], per_page: int = 17, **options: Any) -> list[Any]:
    """The keys on all pages to the last, after the way back was found to be the same."""
    pages = [asked().paginate_after(None, per_page, **options)]
    while pages[-1].next:
        pages.append(asked().paginate_after(pages[-1].next, per_page, **options))
    back = [pages[-1]]
    while back[-1].previous:
        back.append(asked().paginate_after(back[-1].previous, per_page, **options))
    keys = [[each.pk for each in page.items] for page in pages]
    assert [[each.pk for each in page.items] for page in reversed(back)][1:] == keys[1:]
    return [key for page in keys for key in page]


@pytest.mark.parametrize(
    "order",
    [
        (),
        ("id",),
        ("-id",),
        ("kind",),
        ("-kind",),
        ("number", "-kind"),
        ("-number", "kind", "-id"),
        ("city.name", "-number"),
        ("city", "kind"),
    ],
)
def test_pages_follow_each_other_in_any_order(order: tuple[str, ...]) -> None:
    path = [name.lstrip("-").replace("number", "no").replace(".name", ".n") for name in order]
    sort = [
        ("_id" if key == "id" else key, -1 if name.startswith("-") else 1)
        for key, name in zip(path, order, strict=True)
    ] or [("_id", 1)]
    if not any(key == "_id" for key, _ in sort):
        sort.append(("_id", sort[-1][1]))
    wanted = [raw["_id"] for raw in Thing._get_collection().find().sort(sort)]
    assert _walk(lambda: Thing.objects.order_by(*order)) == wanted


def test_the_conditions_of_the_queryset_hold() -> None:
    asked = lambda: Thing.objects(number=1).where("this.kind !== true").order_by("-kind")  # noqa: E731
    assert sorted(_walk(asked)) == sorted(each.pk for each in asked())


def test_a_collation_orders_the_pages_too() -> None:
    asked = lambda: Thing.objects.order_by("city.name").collation({"locale": "de"})  # noqa: E731
    assert sorted(_walk(asked)) == sorted(Thing.objects.scalar("id"))


@pytest.mark.parametrize(
    "refine",
    [
        lambda found: found.only("number"),
        lambda found: found.exclude("kind", "city"),
        lambda found: found.only("city__name"),
    ],
)
def test_fields_that_are_left_out_change_no_page(refine: Callable[[QuerySet], QuerySet]) -> None:
    asked = lambda: refine(Thing.objects.order_by("-kind", "city.name"))  # noqa: E731
    assert _walk(asked) == _walk(lambda: Thing.objects.order_by("-kind", "city.name"))


def test_raw_documents_and_single_fields_have_pages() -> None:
    found = Thing.objects.order_by("number")
    (first,) = found.as_pymongo().paginate_after(per_page=1).items
    assert first["no"] == 0
    assert found.scalar("number").paginate_after(per_page=2).items == [0, 0]


def test_the_first_page_has_none_before_and_the_last_none_after() -> None:
    page = Thing.objects.paginate_after(per_page=1000)
    assert (len(page.items), page.has_prev, page.has_next) == (150, False, False)


def test_nothing_has_one_empty_page() -> None:
    for found in (Thing.objects(number=9), Thing.objects.none()):
        page = found.paginate_after()
        assert (page.items, page.next, page.previous) == ([], None, None)


def test_what_comes_meanwhile_shifts_no_page() -> None:
    page = Thing.objects.order_by("id").paginate_after(per_page=5)
    early = Thing(id=ObjectId("0" * 24)).save()
    following = Thing.objects.order_by("id").paginate_after(page.next, 5)
    assert early.pk not in [each.pk for each in following]
    assert not {each.pk for each in page} & {each.pk for each in following}
    early.delete()


def test_a_cursor_stands_where_its_document_was() -> None:
    added = [Other(number=number).save() for number in range(4)]
    page = Other.objects.order_by("number").paginate_after(per_page=2)
    added[1].delete()
    following = Other.objects.order_by("number").paginate_after(page.next, 2)
    assert [each.number for each in following] == [2, 3]


def test_a_page_walks_over_nothing_before_it(sent: SentCommands) -> None:
    page = Thing.objects.order_by("kind").paginate_after(per_page=70)
    sent.clear()
    Thing.objects.order_by("kind").paginate_after(page.next, 5)
    (command,) = sent.commands
    find = {name: command[name] for name in ("find", "filter", "sort", "limit")}
    explained = Thing._get_collection().database.command("explain", find)
    assert explained["executionStats"]["totalKeysExamined"] < 60


def test_what_the_documents_refer_to_is_read_at_once(sent: SentCommands) -> None:
    shops = [Shop(name=str(number)).save() for number in range(3)]
    added = [Thing(number=50, shop=shop).save() for shop in shops]
    sent.clear()
    page = Thing.objects(number=50).paginate_after()
    assert [each.shop.name for each in page] == ["0", "1", "2"]
    assert sent.names == ["find", "find"]
    Thing.objects(pk__in=[each.pk for each in added]).delete()


def _cursor(**changed: Any) -> str:
    genuine = Thing.objects.order_by("kind").paginate_after(per_page=3).next
    raw = base64.urlsafe_b64decode(genuine + "=" * (-len(genuine) % 4))
    data = {**bson.decode(raw), **changed}
    return base64.urlsafe_b64encode(bson.encode(data)).rstrip(b"=").decode()


FORGED: list[Callable[[], Any]] = [
    lambda: "x",
    lambda: "é",
    lambda: "A" * 100,
    lambda: "A" * 100_000,
    lambda: 5,
    lambda: _cursor()[:-3],
    lambda: _cursor() + "?",
    lambda: _cursor(v=[{"$ne": 1}, ObjectId()]),
    lambda: _cursor(v=[{"a": {"$ne": 1}}, ObjectId()]),
    lambda: _cursor(v=[bson.Regex("a"), ObjectId()]),
    lambda: _cursor(v=[bson.Code("1"), ObjectId()]),
    lambda: _cursor(v=[[1], ObjectId()]),
    lambda: _cursor(v=[1]),
    lambda: _cursor(v="ab"),
    lambda: _cursor(v=[{"a": {"a": {"a": {"a": 1}}}}, ObjectId()]),
    lambda: _cursor(b="yes"),
    lambda: _cursor(more=1),
    lambda: Thing.objects.order_by("-kind").paginate_after(per_page=3).next,
    lambda: Shop.objects.order_by("id").paginate_after(per_page=1).next,
]


@pytest.mark.parametrize("made", FORGED)
def test_a_forged_or_foreign_cursor_is_not_found(made: Callable[[], Any]) -> None:
    Shop(name="a").save()
    Shop(name="b").save()
    with pytest.raises(NotFound, match="no cursor of these pages"):
        Thing.objects.order_by("kind").paginate_after(made())
    with pytest.raises(ValidationError, match="no cursor of these pages"):
        Thing.objects.order_by("kind").paginate_after(made(), error_out=False)


def test_text_in_a_cursor_names_no_field() -> None:
    cursor = _cursor(v=["$no", ObjectId("0" * 24)])
    shown = Thing.objects.order_by("kind").paginate_after(cursor, 200)
    assert shown.items[0].kind in ("$number", "a")


def test_a_signed_cursor_is_taken_with_its_key_alone() -> None:
    found = Thing.objects.order_by("kind")
    signed = found.paginate_after(per_page=3, secret_key="one").next
    plain = found.paginate_after(per_page=3).next
    assert found.paginate_after(signed, 3, secret_key=b"one").items
    for cursor, key in ((signed, "two"), (signed, None), (plain, "one"), (signed[:-2], "one")):
        with pytest.raises(NotFound):
            found.paginate_after(cursor, secret_key=key)


def test_signed_pages_follow_each_other() -> None:
    assert _walk(lambda: Thing.objects.order_by("kind"), secret_key="k") == _walk(
        lambda: Thing.objects.order_by("kind")
    )


def test_an_order_by_a_list_is_refused() -> None:
    added = Thing(number=60, tags=["a"]).save()
    for order in ("tags", "-tags"):
        with pytest.raises(OperationError, match="tags, which is a list"):
            Thing.objects(number=60).order_by(order).paginate_after()
    added.delete()


def test_an_order_by_a_secret_is_refused() -> None:
    with pytest.raises(OperationError, match="pin, which is secret"):
        Thing.objects.order_by("pin").paginate_after()


def test_an_order_by_a_text_s_score_is_refused() -> None:
    with pytest.raises(OperationError, match="need an order by fields"):
        Thing.objects.search_text("a").order_by("$text_score").paginate_after()


def test_documents_of_another_database_know_where_they_belong() -> None:
    other = f"{Thing._get_db().name}_other"
    found = Thing.objects.using(("default", other)).order_by("number")
    found.insert([Thing(number=number) for number in range(3)])
    page = found.paginate_after(found.paginate_after(per_page=2).next, 2)
    (last,) = page.items
    last.number = 9
    with pytest.raises(TenantError, match="belongs to the database"):
        last.save()
    Thing._get_db().client.drop_database(other)


def test_nothing_but_a_cursor_is_taken_for_one() -> None:
    """Bytes changed at random: each is refused, or names a place that can be asked for."""
    genuine = _cursor()
    raw = base64.urlsafe_b64decode(genuine + "=" * (-len(genuine) % 4))
    order = bson.decode(raw)["o"]
    taken = 0
    for _ in range(3000):
        changed = bytearray(raw)
        for _ in range(SEED.randrange(1, 4)):
            changed[SEED.randrange(len(changed))] = SEED.randrange(256)
        text = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
        with suppress(ValidationError):
            place = from_text(text, order, 2, None)
            bson.encode({"asked": list(place.values)})
            taken += 1
    assert 0 < taken < 3000


def test_values_too_long_for_an_address_are_refused() -> None:
    added = [Thing(number=70, kind="x" * 3000).save() for _ in range(2)]
    with pytest.raises(OperationError, match="an address can hold"):
        Thing.objects(number=70).order_by("kind").paginate_after(per_page=1)
    for each in added:
        each.delete()


def test_a_part_of_a_queryset_is_refused() -> None:
    for part in (Thing.objects[:5], Thing.objects.skip(5)):
        with pytest.raises(OperationError, match="without limit"):
            part.paginate_after()


def test_pages_may_be_read_in_a_transaction() -> None:
    with db.transaction():
        added = Thing(number=80).save()
        assert [each.pk for each in Thing.objects(number=80).paginate_after()] == [added.pk]
        added.delete()


@pytest.mark.parametrize("per_page", [0, -1, "x", None])
def test_a_bad_size_is_not_found(per_page: Any) -> None:
    with pytest.raises(NotFound):
        Thing.objects.paginate_after(None, per_page)


def test_a_request_gets_no_more_than_the_most() -> None:
    assert len(Thing.objects.paginate_after(None, "100", max_per_page=3).items) == 3
