"""The base documents: connections, ids, time stamps and zones, secrets, input, run-time models."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import mongoengine
import pytest
from bson import Decimal128, ObjectId
from fresh_databases import emptied, model_registry
from mongoengine import signals
from mongoengine.errors import FieldDoesNotExist, NotUniqueError, ValidationError
from mongoengine.fields import (
    BooleanField,
    DictField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    IntField,
    ListField,
    MapField,
    PointField,
    StringField,
)
from pymongo.errors import AutoReconnect

from datalayer import db
from datalayer.connections.registry import client, database
from datalayer.documents import (
    AnalyticsDocument,
    BusinessDocument,
    CurrencyField,
    Document,
    EmbeddedDocument,
    Lifecycle,
    MoneyField,
    NormalizedEmailField,
    RawDictField,
    SecretField,
    TransitionError,
    UTCDateTimeField,
    define_model,
    exact_amount,
    utc_now,
)
from datalayer.errors import ConfigurationError, NotConnectedError, OutcomeUnknownError
from datalayer.settings import Settings

with model_registry():

    class Address(EmbeddedDocument):
        city = StringField()
        door_code = SecretField()

    class Person(BusinessDocument):
        email = NormalizedEmailField(unique=True, sparse=True)
        name = StringField()
        age = IntField()
        token = SecretField()
        address = EmbeddedDocumentField(Address)
        others = EmbeddedDocumentListField(Address)
        by_name = MapField(EmbeddedDocumentField(Address))
        tags = ListField(StringField())
        notes = DictField()
        place = PointField()
        is_admin = BooleanField(default=False)
        born_at = UTCDateTimeField()
        balance = MoneyField()
        currency = CurrencyField()
        raw = RawDictField(max_bytes=200)

        meta = {"collection": "people"}

    class Order(Lifecycle, BusinessDocument):
        transitions = {"open": {"paid", "cancelled"}, "paid": {"sent"}}
        status = StringField(default="open")
        note = StringField()

    class Event(AnalyticsDocument):
        name = StringField()


MODELS = (Address, Person, Order, Event)


@pytest.fixture(autouse=True)
def own_models() -> Iterator[None]:
    with model_registry(*MODELS):
        yield


@pytest.fixture
def settings(shared: Settings) -> Settings:
    """Connected, to empty databases."""
    db.connect_all(shared)
    emptied(shared)
    return shared


def stored(document: Any) -> dict[str, Any]:
    found = type(document)._get_collection().find_one({"_id": document.pk})
    assert found is not None
    return dict(found)


# Connections


def test_business_and_analytics_live_in_their_databases(settings: Settings) -> None:
    Person(name="a").save()
    Event(name="b").save()
    assert database("default")["people"].count_documents({}) == 1
    assert database("database1")["event"].count_documents({}) == 1


def test_without_a_connection_every_access_says_what_to_do(shared: Settings) -> None:
    db.disconnect_all()
    for use in (lambda: Person.objects, Person(name="a").save, Person._get_db):
        with pytest.raises(NotConnectedError, match=r"db\.connect_all"):
            use()


def test_documents_work_again_after_a_new_connect(settings: Settings) -> None:
    Person(name="a").save()
    db.disconnect_all()
    db.connect_all(settings)
    assert [person.name for person in Person.objects] == ["a"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # from 3.12 on
def test_documents_work_in_a_forked_child(settings: Settings) -> None:
    Person(name="a").save()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            Person(name="b").save()
            os.write(writing, str(Person.objects.count()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        assert answer.read() == "2"
    os.waitpid(child, 0)
    assert sorted(person.name for person in Person.objects) == ["a", "b"]


def test_a_class_that_was_replaced_by_its_namesake_follows_the_connection(
    settings: Settings,
) -> None:
    first = define_model(Document, "Twin", {"a": IntField()}, collection="twins")
    first(a=1).save()
    from mongoengine.base.common import _document_registry

    del _document_registry["Twin"]
    define_model(Document, "Twin", {"b": IntField()}, collection="others")
    db.disconnect_all()
    db.connect_all(settings)
    assert [each.a for each in first.objects] == [1]


# Ids


def test_a_new_document_gets_its_id_with_the_first_attempt(settings: Settings) -> None:
    person = Person(name="a")
    assert person.pk is None
    person.save()
    assert isinstance(person.pk, ObjectId)


def fail_after(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """The next call of a collection's ``method`` takes effect, and its reply is lost."""
    from pymongo.collection import Collection

    original = getattr(Collection, method)

    def lose_the_reply(self: Any, *args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(Collection, method, original)
        original(self, *args, **kwargs)
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(Collection, method, lose_the_reply)


def test_saving_again_after_a_lost_reply_writes_no_second_document(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    Person(name="first").save()  # the model is prepared: its collection is PyMongo's own
    person = Person(name="a")
    fail_after(monkeypatch, "insert_one")
    with pytest.raises(OutcomeUnknownError):
        person.save()
    person.save()
    assert Person.objects(name="a").count() == 1
    assert Person.objects.get(name="a").pk == person.pk


def test_inserting_again_after_a_lost_reply_is_refused_rather_than_doubled(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    Person(name="first").save()
    people = [Person(name="a"), Person(name="a")]
    fail_after(monkeypatch, "insert_many")
    with pytest.raises(OutcomeUnknownError):
        Person.objects.insert(people)
    with pytest.raises(mongoengine.errors.BulkWriteError):
        Person.objects.insert(people)
    assert Person.objects(name="a").count() == 2


def test_an_id_of_ones_own_is_kept(settings: Settings) -> None:
    own = ObjectId()
    Person(id=own, name="a").save()
    assert Person.objects.get().pk == own


def test_saving_a_given_id_replaces_the_document_that_has_it(settings: Settings) -> None:
    own = ObjectId()
    Person(id=own, name="a", age=1).save()
    Person(id=own, name="b").save()
    assert [(each.name, each.age) for each in Person.objects] == [("b", None)]


def test_a_forced_insert_refuses_an_id_that_exists(settings: Settings) -> None:
    own = ObjectId()
    Person(id=own).save()
    with pytest.raises(NotUniqueError):
        Person(id=own).save(force_insert=True)


# Time stamps


def test_a_new_document_has_both_stamps(settings: Settings) -> None:
    before = utc_now()
    person = Person(name="a").save()
    assert before <= person.created_at == person.updated_at <= utc_now()
    assert stored(person)["created_at"] == person.created_at


def test_a_change_moves_only_the_second_stamp(settings: Settings) -> None:
    person = Person(name="a", created_at=datetime(2020, 1, 1), updated_at=datetime(2020, 1, 1))
    person.save()
    person.name = "b"
    person.save()
    assert person.created_at == datetime(2020, 1, 1, tzinfo=UTC)
    assert person.updated_at > person.created_at
    assert stored(person)["updated_at"] == person.updated_at


def test_saving_without_a_change_writes_nothing(settings: Settings) -> None:
    person = Person(name="a", updated_at=datetime(2020, 1, 1)).save()
    Person.objects.get().save()
    assert stored(person)["updated_at"] == datetime(2020, 1, 1, tzinfo=UTC)


def test_a_stamp_that_is_set_by_hand_stays(settings: Settings) -> None:
    person = Person(name="a").save()
    person.updated_at = datetime(2020, 1, 1)
    person.name = "b"
    person.save()
    assert stored(person)["updated_at"] == datetime(2020, 1, 1, tzinfo=UTC)


UPDATES: dict[str, Any] = {
    "update": lambda people: people.update(name="b"),
    "update_one": lambda people: people.update_one(set__name="b"),
    "modify": lambda people: people.modify(name="b"),
    "inc": lambda people: people.update(inc__age=1),
    "raw": lambda people: people.update(__raw__={"$set": {"name": "b"}}),
    "pipeline": lambda people: people.update(__raw__=[{"$set": {"name": "b"}}]),
    "no_cache": lambda people: people.no_cache().update(name="b"),
    "document": lambda people: people.first().update(name="b"),
    "document modify": lambda people: people.first().modify(name="b"),
}


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_updates_through_the_queryset_move_the_stamp(settings: Settings, update: Any) -> None:
    person = Person(name="a", age=1, updated_at=datetime(2020, 1, 1)).save()
    update(Person.objects)
    assert stored(person)["updated_at"] > datetime(2020, 1, 2, tzinfo=UTC)


def test_a_raw_update_given_by_the_caller_is_left_as_it_was(settings: Settings) -> None:
    raw = {"$set": {"name": "b"}}
    Person.objects.update(__raw__=raw)
    assert raw == {"$set": {"name": "b"}}


def test_an_update_that_sets_the_stamp_has_its_way(settings: Settings) -> None:
    person = Person(name="a").save()
    Person.objects.update(name="b", updated_at=datetime(2020, 1, 1))
    Person.objects.update(__raw__={"$set": {"age": 2, "updated_at": datetime(2021, 1, 1)}})
    assert stored(person)["updated_at"] == datetime(2021, 1, 1, tzinfo=UTC)


def test_an_upsert_sets_both_stamps(settings: Settings) -> None:
    Person.objects(name="a").update_one(upsert=True, age=1)
    person = Person.objects.get()
    assert person.created_at == person.updated_at


def test_an_update_without_changes_is_still_refused(settings: Settings) -> None:
    with pytest.raises(mongoengine.OperationError, match="No update parameters"):
        Person.objects.update()


def test_inserted_documents_have_stamps(settings: Settings) -> None:
    Person.objects.insert(Person(name=name) for name in "ab")
    assert Person.objects(created_at=None).count() == 0


def test_a_model_can_do_without_stamps(settings: Settings) -> None:
    plain = define_model(
        AnalyticsDocument, "Plain", {"name": StringField()}, meta={"timestamps": False}
    )
    document = plain(name="a").save()
    plain.objects.update(name="b")
    assert stored(document) == {"_id": document.pk, "name": "b"}


# Points in time


@pytest.mark.parametrize(
    ("given", "held"),
    [
        (datetime(2024, 5, 1, 12), datetime(2024, 5, 1, 12, tzinfo=UTC)),
        (
            datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))),
            datetime(2024, 5, 1, 10, tzinfo=UTC),
        ),
        (datetime(2024, 5, 1, 12, 0, 0, 123_999), datetime(2024, 5, 1, 12, 0, 0, 123_000, UTC)),
        (datetime(1901, 1, 1, 0, 0, 0, 1999), datetime(1901, 1, 1, 0, 0, 0, 1000, UTC)),
        (date(2024, 5, 1), datetime(2024, 5, 1, tzinfo=UTC)),
        ("2024-05-01T12:00:00+02:00", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01T12:00:00Z", datetime(2024, 5, 1, 12, tzinfo=UTC)),
    ],
)
def test_what_is_held_is_what_is_reloaded(settings: Settings, given: Any, held: datetime) -> None:
    person = Person(born_at=given)
    assert person.born_at == held
    person.save()
    reloaded = Person.objects.get(born_at=given).born_at
    assert (reloaded, reloaded.tzinfo) == (held, UTC)


def test_assigning_converts_too() -> None:
    person = Person()
    person.born_at = datetime(2024, 5, 1, 12, 0, 0, 1)
    assert person.born_at == datetime(2024, 5, 1, 12, tzinfo=UTC)


def test_what_is_no_time_is_told_by_validation() -> None:
    person = Person(born_at="soon")
    with pytest.raises(ValidationError, match="born_at"):
        person.validate()


# Secrets


def test_secrets_are_stored_and_loaded(settings: Settings) -> None:
    Person(token="hush", address=Address(door_code="4711")).save()
    person = Person.objects.get()
    assert (person.token, person.address.door_code) == ("hush", "4711")
    assert pickle.loads(pickle.dumps(person)).token == "hush"


@pytest.mark.parametrize("use_db_field", [True, False])
def test_secrets_stay_out_of_json_at_every_depth(use_db_field: bool) -> None:
    home = {"city": "Bonn", "door_code": "4711"}
    person = Person(
        name="a",
        token="hush",
        address=Address(**home),
        others=[Address(**home)],
        by_name={"x": Address(**home)},
    )
    text = person.to_json(use_db_field=use_db_field)
    assert [secret for secret in ("hush", "4711", "token", "door_code") if secret in text] == []
    assert text.count("Bonn") == 3


def test_secrets_stay_out_of_the_json_of_a_queryset(settings: Settings) -> None:
    Person(name="a", token="hush", address=Address(city="Bonn", door_code="4711")).save()
    (shown,) = json.loads(Person.objects.to_json())
    assert (shown["name"], shown["address"]) == ("a", {"city": "Bonn"})
    assert "token" not in shown


def test_secrets_stay_out_of_repr_and_str() -> None:
    person = Person(token="hush", address=Address(door_code="4711"))
    shown = f"{person!r} {person!s} {person.address!r}"
    assert [secret for secret in ("hush", "4711") if secret in shown] == []


def test_any_field_can_be_marked_secret() -> None:
    class Account(EmbeddedDocument):
        pin = IntField(secret=True)

    assert Account(pin=1234).to_json() == "{}"


def test_json_can_be_read_back() -> None:
    person = Person(name="a", balance="1.50", born_at=datetime(2024, 5, 1))
    again = Person.from_json(person.to_json())
    assert (again.name, again.balance, again.born_at) == ("a", Decimal("1.50"), person.born_at)


# Input from outside


def test_input_takes_only_what_is_allowed() -> None:
    data = {"name": "a", "is_admin": True, "token": "x", "csrf": "y", "_cls": "Other", "pk": "z"}
    person = Person.from_input(data, allow=["name", "age"])
    assert (person.name, person.is_admin, person.token, person.pk) == ("a", False, None, None)


@pytest.mark.parametrize("value", [{"$ne": None}, {"$gt": ""}, ["a"], ("a",)])
@pytest.mark.parametrize("field", ["name", "age", "born_at", "balance"])
def test_input_refuses_a_mapping_or_list_for_a_single_value(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Person.from_input({field: value}, allow=[field])
    assert list(caught.value.errors) == [field]


def test_input_tells_all_problems_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        Person.from_input({"name": {}, "age": []}, allow=["name", "age"])
    assert sorted(caught.value.errors) == ["age", "name"]


def test_input_reaches_into_embedded_documents_by_name() -> None:
    data = {"address": {"city": "Bonn", "door_code": "4711"}}
    person = Person.from_input(data, allow=["address.city"])
    assert (person.address.city, person.address.door_code) == ("Bonn", None)


def test_input_fills_lists_mappings_and_points() -> None:
    data = {
        "tags": ["a"],
        "notes": {"k": 1},
        "place": [1.0, 2.0],
        "others": [{"city": "Bonn"}],
        "by_name": {"x": {"city": "Köln"}},
    }
    person = Person.from_input(data, allow=list(data))
    assert (person.tags, person.notes, person.place) == (["a"], {"k": 1}, [1.0, 2.0])
    assert [each.city for each in person.others] == ["Bonn"]
    assert person.by_name["x"].city == "Köln"


def test_input_refuses_operators_inside_a_list() -> None:
    with pytest.raises(ValidationError):
        Person.from_input({"tags": [{"$ne": 1}]}, allow=["tags"])


def test_a_name_that_is_no_field_is_the_programmers_mistake() -> None:
    with pytest.raises(FieldDoesNotExist, match="nmae"):
        Person.from_input({}, allow=["nmae"])
    with pytest.raises(TypeError, match="list of field names"):
        Person.from_input({}, allow="name")


# E-mail, money, raw mappings


@pytest.mark.parametrize(
    "spelling", ["Ann@Example.com", " ann@example.COM ", "\uff41nn@example.com"]
)
def test_an_address_is_one_in_all_its_spellings(settings: Settings, spelling: str) -> None:
    Person(email="ann@example.com").save()
    assert Person(email=spelling).email == "ann@example.com"
    assert Person.objects(email=spelling).count() == 1
    with pytest.raises(NotUniqueError):
        Person(email=spelling).save()


@pytest.mark.parametrize("wrong", ["ann", "ann@", "@example.com", "a b@example.com", ""])
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="email"):
        Person(email=wrong).validate()


@pytest.mark.parametrize("amount", ["12.50", Decimal("12.50"), Decimal128("12.50")])
def test_money_is_exact(settings: Settings, amount: Any) -> None:
    person = Person(balance=amount).save()
    assert person.balance == Decimal("12.50")
    assert stored(person)["balance"] == Decimal128("12.50")
    assert Person.objects(balance__lt=Decimal("12.51"), balance__in=["12.50"]).count() == 1


@pytest.mark.parametrize("amount", [1.1, True, "a", Decimal("NaN"), Decimal("Infinity"), [1]])
def test_money_is_never_a_float_or_worse(settings: Settings, amount: Any) -> None:
    with pytest.raises(ValidationError, match="balance"):
        Person(balance=amount).validate()
    with pytest.raises(ValidationError):
        Person(balance=amount).save(validate=False)


def test_more_digits_than_decimal128_holds_are_refused() -> None:
    with pytest.raises(ValidationError, match="34 digits"):
        Person(balance="1." + "1" * 40).validate()


@pytest.mark.parametrize(
    ("amount", "currency", "exact"),
    [("12.5", "EUR", "12.50"), ("12", "JPY", "12"), ("1.5", "KWD", "1.500")],
)
def test_an_amount_gets_the_places_of_its_currency(amount: str, currency: str, exact: str) -> None:
    assert str(exact_amount(Decimal(amount), currency)) == exact


@pytest.mark.parametrize(("amount", "currency"), [("0.001", "EUR"), ("1.5", "JPY")])
def test_an_amount_is_never_rounded(amount: str, currency: str) -> None:
    with pytest.raises(ValidationError, match="decimal places"):
        exact_amount(Decimal(amount), currency)


def test_an_amount_has_at_most_34_digits() -> None:
    longest = Decimal("1" * 32)
    assert str(exact_amount(longest, "EUR")) == f"{longest}.00"
    for amount in (longest * 10, Decimal("1e40")):
        with pytest.raises(ValidationError, match="34 digits"):
            exact_amount(amount, "EUR")


@pytest.mark.parametrize("code", ["eur", "EURO", "XXQ", ""])
def test_what_is_no_currency_is_refused(code: str) -> None:
    with pytest.raises(ValidationError, match="currency"):
        Person(currency=code).validate()


def test_a_raw_mapping_comes_back_as_it_was(settings: Settings) -> None:
    raw = {"_cls": "Person", "$set": {"a.b": [1, {"_id": ObjectId()}]}}
    Person(raw=raw).save()
    assert Person.objects.get().raw == raw


@pytest.mark.parametrize("raw", [[1], {"a": object()}, {"a": 2**70}, {"a": "x" * 300}])
def test_a_raw_mapping_that_cannot_be_stored_is_refused(raw: Any) -> None:
    with pytest.raises(ValidationError, match="raw"):
        Person(raw=raw).validate()


# Life cycles


def test_a_status_moves_along_the_table(settings: Settings) -> None:
    order = Order().save()
    order.move_to("paid", note="by card")
    assert (order.status, order.note) == ("paid", "by card")
    assert stored(order)["status"] == "paid"


def test_a_move_that_the_table_lacks_is_refused(settings: Settings) -> None:
    order = Order().save()
    with pytest.raises(TransitionError) as caught:
        order.move_to("sent")
    assert (caught.value.source, caught.value.target) == ("open", "sent")
    assert stored(order)["status"] == "open"


def test_of_two_copies_only_one_moves(settings: Settings) -> None:
    order = Order().save()
    copy = Order.objects.get()
    order.move_to("paid")
    with pytest.raises(TransitionError) as caught:
        copy.move_to("cancelled")
    assert caught.value.source == "paid"
    assert stored(order)["status"] == "paid"


def test_a_document_that_is_gone_does_not_move(settings: Settings) -> None:
    order = Order().save()
    Order.objects.delete()
    with pytest.raises(TransitionError, match="does not exist any more"):
        order.move_to("paid")


def test_a_status_is_not_assigned(settings: Settings) -> None:
    order = Order().save()
    order.status = "sent"
    with pytest.raises(ValidationError, match="moved by methods"):
        order.save()


# They stay MongoEngine documents


def test_inheritance_works(settings: Settings) -> None:
    class Animal(BusinessDocument):
        name = StringField()
        meta = {"allow_inheritance": True}

    class Dog(Animal):
        barks = BooleanField(default=True)

    Animal(name="a").save()
    Dog(name="d").save()
    assert [type(each) for each in Animal.objects.order_by("name")] == [Animal, Dog]
    assert Dog.objects.count() == 1


def test_signals_are_sent(settings: Settings) -> None:
    seen: list[tuple[str, bool]] = []

    def note(sender: type, document: Any, **kwargs: Any) -> None:
        seen.append((document.name, kwargs["created"]))

    with signals.post_save.connected_to(note, sender=Person):
        person = Person(name="a").save()
        person.name = "b"
        person.save()
    assert seen == [("a", True), ("b", False)]


def test_a_reserved_primary_key_of_ones_own_works(settings: Settings) -> None:
    class Country(BusinessDocument):
        code = StringField(primary_key=True)
        name = StringField()

    Country(code="de", name="Germany").save()
    Country(code="de", name="Deutschland").save()
    assert [each.name for each in Country.objects] == ["Deutschland"]


def test_documents_can_be_created_in_a_bound_session(settings: Settings) -> None:
    Person(name="x").save()
    with client().start_session() as session, session.bind(end_session=False):
        session.start_transaction()
        Person(name="a").save()
        session.abort_transaction()
    assert Person.objects(name="a").count() == 0


# Run-time models


def test_a_model_is_defined_at_run_time(settings: Settings) -> None:
    view = define_model(
        AnalyticsDocument,
        "PageView",
        {"path": StringField(required=True), "ms": IntField()},
        indexes=["path"],
    )
    view(path="/", ms=3).save()
    assert [each.ms for each in view.objects(path="/")] == [3]
    assert sorted(database("database1")["page_view"].index_information()) == ["_id_", "path_1"]


def same_definition() -> Any:
    fields = {
        "path": StringField(required=True, max_length=9),
        "tags": ListField(StringField(), default=lambda: ["new"]),
        "home": EmbeddedDocumentField(Address),
    }
    return define_model(AnalyticsDocument, "Visit", fields, indexes=[("path", "-created_at")])


def test_the_same_definition_gives_the_same_class() -> None:
    assert same_definition() is same_definition()


def test_the_same_field_objects_can_be_used_again() -> None:
    fields = {"path": StringField(unique_with="day"), "day": StringField()}
    first = define_model(AnalyticsDocument, "Visit", fields)
    assert define_model(AnalyticsDocument, "Visit", fields) is first
    assert define_model(AnalyticsDocument, "Other", fields).path is not first.path


@pytest.mark.parametrize(
    "other",
    [
        {"fields": {"path": StringField(required=False)}},
        {"fields": {"path": IntField(required=True)}},
        {"fields": {"path": StringField(required=True), "more": IntField()}},
        {"indexes": ["path"]},
        {"collection": "elsewhere"},
        {"meta": {"ordering": ["path"]}},
        {"base": BusinessDocument},
    ],
)
def test_another_definition_under_a_taken_name_is_refused(other: dict[str, Any]) -> None:
    definition = {
        "base": AnalyticsDocument,
        "name": "Visit",
        "fields": {"path": StringField(required=True)},
    }
    define_model(**definition)
    with pytest.raises(ConfigurationError, match="already a model 'Visit'"):
        define_model(**{**definition, **other})


def test_the_name_of_a_class_is_taken_too() -> None:
    with pytest.raises(ConfigurationError, match="Person"):
        define_model(BusinessDocument, "Person", {"name": StringField()})


def test_bad_names_and_fields_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        define_model(BusinessDocument, "Page View", {"path": str})  # type: ignore[dict-item]
    assert len(caught.value.problems) == 2


def test_the_analytics_service_makes_models(settings: Settings) -> None:
    view = db.database1.model("Click", {"at": StringField()}, indexes=["at"])
    view(at="x").save()
    assert view.objects.count() == 1
