"""An index that can't be built is named, with the server's reason and a way out, and without a
value of a document."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from canaries import CANARY
from mongoengine.fields import DateTimeField, DictField, DynamicField, IntField, StringField

from datalayer import indexes
from datalayer.connections.registry import database
from datalayer.documents import BusinessDocument
from datalayer.errors import IndexBuildError

pytestmark = pytest.mark.usefixtures("settings")


def defined(base: type = BusinessDocument, name: str = "Thing", **attributes: Any) -> Any:
    return type(base)(name, (base,), {"__module__": __name__, **attributes})


def thing(*declared: Any, **meta: Any) -> Any:
    return defined(
        at=DynamicField(), other=DynamicField(),
        meta={"collection": "things", "indexes": list(declared), **meta},
    )  # fmt: skip


def failure(*declared: Any, **meta: Any) -> IndexBuildError:
    thing(*declared, **meta)
    with pytest.raises(IndexBuildError) as caught:
        indexes.build("default")
    assert (caught.value.alias, caught.value.collection) == ("default", "things")
    assert "'things' on 'default'" in str(caught.value)
    return caught.value


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "TTL beside _cls": (
        {"fields": ["at"], "expireAfterSeconds": 60}, "_cls_1_at_1",
        "(_cls: 1, at: 1, expireAfterSeconds: 60).*single-field.*CannotCreateIndex, error 67.*"
        '"cls": False',
    ),
    "TTL on two fields": (
        {"fields": ["at", "other"], "expireAfterSeconds": 60, "cls": False}, "at_1_other_1",
        "single-field.*leave out the others",
    ),
    "TTL below zero": (
        {"fields": ["at"], "expireAfterSeconds": -1, "cls": False}, "at_1",
        "cannot be less than 0.*error 67",
    ),
    "a partial filter with $ne": (
        {"fields": ["at"], "partialFilterExpression": {"at": {"$ne": None}}}, "_cls_1_at_1",
        "Expression not supported in partial index.*error 67.*takes equality",
    ),
    "a partial and sparse one": (
        {"fields": ["at"], "partialFilterExpression": {"at": 1}, "sparse": True}, "at_1",
        "cannot mix.*no sparse beside it",
    ),
    "a misspelt option": (
        {"fields": ["at"], "expireAfterSecond": 60}, "_cls_1_at_1",
        "expireAfterSecond' is not valid.*InvalidIndexSpecificationOption, error 197.*spelling",
    ),
    "an option of another type": (
        {"fields": ["at"], "unique": "yes"}, "_cls_1_at_1", "TypeMismatch, error 14",
    ),
    "an unknown collation": (
        {"fields": ["at"], "collation": {"locale": "xx_bad"}}, "_cls_1_at_1",
        "'locale' is invalid.*BadValue, error 2",
    ),
    "a collation for texts": (
        {"fields": ["$at"], "cls": False, "collation": {"locale": "en"}}, "at_text",
        "does not support collation.*no collation but the simple one",
    ),
    "a unique hash": (
        {"fields": ["#at"], "cls": False, "unique": True}, "at_hashed",
        "hashed indexes cannot guarantee uniqueness.*error 16764",
    ),
    "an unknown language": (
        {"fields": ["$at"], "cls": False, "default_language": "klingon"}, "at_text",
        "default_language is not valid",
    ),
}  # fmt: skip


def plainly(pattern: str) -> str:
    """``pattern``, in which only ``.*`` has a meaning."""
    return ".*".join(map(re.escape, pattern.split(".*")))


@pytest.mark.parametrize(("declared", "name", "says"), REFUSED.values(), ids=REFUSED)
def test_a_declaration_that_the_server_refuses_is_named_with_its_reason(
    declared: dict[str, Any], name: str, says: str
) -> None:
    error = failure({"fields": ["other"]}, declared, allow_inheritance=True)
    assert error.index == name
    assert repr(name) in str(error)
    assert re.search(plainly(says), str(error)), str(error)


@pytest.mark.parametrize(("declared", "name", "says"), REFUSED.values(), ids=REFUSED)
def test_it_does_not_keep_the_others_from_being_built(
    declared: dict[str, Any], name: str, says: str
) -> None:
    failure(declared, {"fields": ["other"]}, allow_inheritance=True)
    assert "_cls_1_other_1" in database()["things"].index_information()


def test_all_that_are_refused_are_told() -> None:
    error = failure(
        {"fields": ["at"], "one": 1}, {"fields": ["other"]}, {"fields": ["-at"], "two": 2}
    )
    assert error.index == "at_1"
    assert ["'at_-1'" in note for note in error.__notes__] == [True]


def test_the_write_is_refused_with_the_same_words() -> None:
    late = thing({"fields": ["at", "other"], "expireAfterSeconds": 60})
    for _ in range(2):
        with pytest.raises(IndexBuildError, match=r"'at_1_other_1'.*single-field"):
            late(at="a").save()


def test_two_text_indexes_are_told_by_their_names() -> None:
    error = failure({"fields": ["$at"]}, {"fields": ["$other"]})
    assert error.index == "other_text"
    assert "'at_text'" in str(error)
    assert "one text index" in str(error)


def test_a_text_index_in_the_place_of_another_is_told_with_the_way_to_replace_it() -> None:
    database()["things"].create_index([("other", "text")])
    error = failure({"fields": ["$at"]})
    assert error.index == "at_text"
    assert "'other_text' is there" in str(error)
    assert "sync --drop" in str(error)


def test_another_ttl_is_told_with_both_values() -> None:
    database()["things"].create_index("at", expireAfterSeconds=3600)
    error = failure({"fields": ["at"], "expireAfterSeconds": 60})
    assert "expireAfterSeconds is 3600 there and 60 in the model" in str(error)
    assert "`datalayer indexes sync` brings" in str(error)
    indexes.sync("default")
    indexes.build("default")


def test_a_rebuild_that_is_refused_puts_the_old_index_back() -> None:
    database()["things"].create_index("at", sparse=True)
    thing({"fields": ["at"], "partialFilterExpression": {"at": {"$ne": 1}}})
    with pytest.raises(IndexBuildError, match=r"'at_1'.*not supported in partial index"):
        indexes.sync("default", drop=True)
    assert database()["things"].index_information()["at_1"]["sparse"] is True


CONFLICTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "unique": ({"keys": "at"}, {"unique": True}, "unique is not set there and True in the model"),
    "sparse": ({"keys": "at", "sparse": True}, {}, "sparse is True there and not set"),
    "a filter": (
        {"keys": "at", "partialFilterExpression": {"at": CANARY}}, {},
        "partialFilterExpression is another there and not set in the model",
    ),
    "keys": ({"keys": "other", "name": "at_1"}, {}, "on other: 1 there, and on at: 1 in the"),
}  # fmt: skip


@pytest.mark.parametrize(("present", "declared", "says"), CONFLICTS.values(), ids=CONFLICTS)
def test_an_index_in_the_way_is_told_with_the_difference(
    present: dict[str, Any], declared: dict[str, Any], says: str
) -> None:
    database()["things"].create_index(**present)
    error = failure({"fields": ["at"], **declared})
    assert error.index == "at_1"
    assert says in str(error)
    assert "sync --drop" in str(error)
    assert CANARY not in str(error)


UNFIT: dict[str, tuple[str, Any, str]] = {
    "no GeoJSON": ("(at", CANARY, "at_2dsphere' (at: 2dsphere).*GeoJSON"),
    "no place on earth": (
        "(at", {"type": "Point", "coordinates": [400, 2]}, "at_2dsphere.*GeoJSON",
    ),
    "a list for a hash": ("#at", [CANARY], "at_hashed.*a list"),
    "a foreign language": ("$at", CANARY, "at_text.*a language"),
}  # fmt: skip


@pytest.mark.parametrize(("field", "value", "says"), UNFIT.values(), ids=UNFIT)
def test_documents_that_do_not_fit_are_told_without_their_contents(
    field: str, value: Any, says: str
) -> None:
    database()["things"].insert_one({"at": value, "language": CANARY, "secret": CANARY})
    error = failure({"fields": ["other"]}, {"fields": [field]})
    assert re.search(plainly(says), str(error)), str(error)
    shown = [str(error), repr(error.__cause__), *getattr(error, "__notes__", [])]
    assert [each for each in shown if CANARY in each] == []
    assert error.__suppress_context__ is True


def test_lists_in_two_fields_of_an_index_are_told() -> None:
    database()["things"].insert_one({"at": [CANARY], "other": [CANARY]})
    error = failure({"fields": ["at", "other"]})
    assert error.index == "at_1_other_1"
    assert "lists in two of its fields" in str(error)
    assert CANARY not in str(error)


def test_indexes_that_a_time_series_lacks_are_told() -> None:
    defined(
        at=DateTimeField(required=True),
        value=IntField(),
        meta={
            "collection": "things", "timestamps": False, "timeseries": {"timeField": "at"},
            "indexes": [{"fields": ["value"], "unique": True}],
        },
    )  # fmt: skip
    with pytest.raises(IndexBuildError, match=r"'value_1'.*time-series.*InvalidOptions") as caught:
        indexes.build("default")
    assert caught.value.index == "value_1"


def test_what_bson_lacks_is_told() -> None:
    error = failure({"fields": ["at"], "partialFilterExpression": {"at": object()}})
    assert "can't be sent" in str(error)


def test_what_the_driver_refuses_is_told_with_the_model() -> None:
    thing({"fields": ["at"], "collation": 5})
    with pytest.raises(IndexBuildError, match=r"Thing declares an index that can't be one.*'at'"):
        indexes.build("default")


def test_an_option_of_a_collection_is_told_with_the_reason() -> None:
    error = failure(validator={"$near": 1})
    assert error.index is None
    assert re.search(r"refused to build 'things'.*error \d+", str(error))


# Unique in a subclass


def tree(**options: Any) -> tuple[Any, Any]:
    root = defined(name="Root", meta={"allow_inheritance": True, "collection": "things"})
    branch = defined(root, "Branch", code=StringField(unique=True, **options))
    return root, branch


def test_a_unique_field_of_a_subclass_that_siblings_lack_is_told_with_the_ways_out() -> None:
    database()["things"].insert_many([{"_cls": "Root"}, {"_cls": "Root"}])
    tree()
    with pytest.raises(IndexBuildError, match="duplicates") as caught:
        indexes.build("default")
    assert caught.value.index == "code_1"
    assert "documents of Root" in str(caught.value)
    assert "sparse=True" in str(caught.value)
    assert "partialFilterExpression" in str(caught.value)


def test_it_is_warned_of_as_long_as_it_can_be_built(caplog: pytest.LogCaptureFixture) -> None:
    tree()
    with caplog.at_level(logging.WARNING, "datalayer.indexes"):
        indexes.build("default")
    (warning,) = [each.message for each in caplog.records if each.name == "datalayer.indexes"]
    assert "'code_1'" in warning
    assert "sparse=True" in warning


def test_a_sparse_one_lets_siblings_in(caplog: pytest.LogCaptureFixture) -> None:
    root, branch = tree(sparse=True)
    with caplog.at_level(logging.WARNING, "datalayer.indexes"):
        indexes.build("default")
    root().save()
    root().save()
    branch(code="a").save()
    assert [each for each in caplog.records if each.name == "datalayer.indexes"] == []


def test_a_unique_field_of_all_classes_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    root = defined(
        name="Root", code=StringField(unique=True), place=DictField(),
        meta={"allow_inheritance": True, "indexes": [{"fields": ["place.x"], "unique": True}]},
    )  # fmt: skip
    defined(root, "Branch", more=DynamicField())
    with caplog.at_level(logging.WARNING, "datalayer.indexes"):
        indexes.build("default")
    assert [each for each in caplog.records if each.name == "datalayer.indexes"] == []
