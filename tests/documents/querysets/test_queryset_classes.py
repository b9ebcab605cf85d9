"""A model whose ``queryset_class`` is derived from MongoEngine's has datalayer's querysets all the
same: time stamps, validation and the rest are kept, or the class is refused."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import mongoengine as me
import pytest
from fresh_databases import model_registry
from mongoengine.queryset import QuerySetManager, queryset_manager
from mongoengine.queryset.base import BaseQuerySet

from datalayer import ConfigurationError, Settings, db
from datalayer.documents import AnalyticsDocument, BusinessDocument, Document, QuerySet

LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)


class Live(me.QuerySet):
    """As applications write them."""

    def live(self) -> Any:
        return self.filter(is_deleted=False)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        return self.update(set__is_deleted=True)


class OfTeams:
    """A mixin, without a base class."""

    def of_team(self, team: str) -> Any:
        return self.filter(team=team)  # type: ignore[attr-defined]


class Passing(me.QuerySetNoCache):
    def live(self) -> Any:
        return self.filter(is_deleted=False)


class Basic(BaseQuerySet):
    def live(self) -> Any:
        return self.filter(is_deleted=False)


class LiveOfTeams(OfTeams, Live):
    pass


class Derived(Live):
    pass


class Ours(QuerySet):
    def live(self) -> Any:
        return self.filter(is_deleted=False)


class Manager(QuerySetManager):
    """A manager that brings a class of its own."""

    default = Live


class Fields:
    is_deleted = me.BooleanField(default=False)
    team = me.StringField(max_length=5)


with model_registry():

    class OfMeta(Fields, BusinessDocument):
        meta = {"queryset_class": Live}

    class Inheriting(BusinessDocument):
        meta = {"abstract": True, "queryset_class": Live}

    class OfAbstract(Fields, Inheriting):
        pass

    class MetaMixin:
        meta = {"queryset_class": Live}

    class OfMixin(Fields, MetaMixin, AnalyticsDocument):
        pass

    class OfManager(Fields, BusinessDocument):
        objects = Manager()

    class OfComposed(Fields, BusinessDocument):
        meta = {"queryset_class": LiveOfTeams}

    class OfDerived(Fields, BusinessDocument):
        meta = {"queryset_class": Derived}

    class OfPassing(Fields, BusinessDocument):
        meta = {"queryset_class": Passing}

    class OfBasic(Fields, BusinessDocument):
        meta = {"queryset_class": Basic}

    class OfOurs(Fields, BusinessDocument):
        meta = {"queryset_class": Ours}

    class Root(Fields, BusinessDocument):
        meta = {"queryset_class": Live, "allow_inheritance": True}

    class Branch(Root):
        pass

    class OfFunction(Fields, BusinessDocument):
        @queryset_manager
        def by_hand(doc_cls: Any, queryset: Any) -> Any:
            return Live(doc_cls, doc_cls._get_collection())

        @queryset_manager
        def by_one(queryset: Any) -> Any:
            return Live(queryset._document, queryset._collection)


MODELS: tuple[Any, ...] = (
    OfMeta, OfAbstract, OfMixin, OfManager, OfComposed, OfDerived, OfPassing, OfBasic, OfOurs,
    Root, Branch, OfFunction,
)  # fmt: skip


@pytest.fixture(autouse=True)
def empty(shared: Settings) -> None:
    for model in MODELS:
        model._get_collection().delete_many({})


def stored_long_ago(model: Any) -> Any:
    model(team="a", created_at=LONG_AGO, updated_at=LONG_AGO).save()
    return model.objects


QUERYSETS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    model.__name__: (model, lambda model: model.objects) for model in MODELS[:-1]
}
QUERYSETS |= {
    "by_hand": (OfFunction, lambda model: model.by_hand),
    "by_one": (OfFunction, lambda model: model.by_one),
}
ALL = pytest.mark.parametrize(("model", "queryset_of"), QUERYSETS.values(), ids=QUERYSETS)

CHANGES: dict[str, Callable[[Any], Any]] = {
    "update": lambda q: q.update(set__team="b"),
    "update_one": lambda q: q.live().update_one(set__team="b"),
    "modify": lambda q: q.live().modify(set__team="b"),
    "raw": lambda q: q.update(__raw__={"$set": {"team": "b"}}),
}


@ALL
def test_changes_through_it_set_the_time_stamp(
    model: Any, queryset_of: Callable[[Any], Any]
) -> None:
    kept = {}
    for name, change in CHANGES.items():
        stored_long_ago(model)
        change(queryset_of(model))
        found = queryset_of(model).live().get()
        kept[name] = found.updated_at > LONG_AGO
        model._get_collection().delete_many({})
    assert kept == dict.fromkeys(CHANGES, True)


@ALL
def test_what_is_inserted_is_validated_and_stamped(
    model: Any, queryset_of: Callable[[Any], Any]
) -> None:
    with pytest.raises(me.ValidationError):
        queryset_of(model).insert([model(team="too long")])
    queryset_of(model).insert([model(team="a"), model(team="b")])
    assert all(each.created_at for each in queryset_of(model))
    assert queryset_of(model).create(team="c").updated_at


@ALL
def test_it_reads_as_any_other(model: Any, queryset_of: Callable[[Any], Any]) -> None:
    queryset_of(model).insert([model(team=str(n)) for n in range(5)])
    live = queryset_of(model).live().order_by("team")
    assert [each.team for each in live] == ["0", "1", "2", "3", "4"]
    assert [each.team for each in live[1:3]] == ["1", "2"]
    assert (live.first().team, live.count(), live[4].team) == ("0", 5, "4")
    assert [each.team for each in copy.copy(live)] == [each.team for each in live.clone()]
    assert len(list(live.no_cache())) == 5


def test_its_own_methods_go_first_and_may_call_datalayers() -> None:
    stored_long_ago(OfMeta)
    assert OfMeta.objects.delete() == 1
    left = OfMeta.objects.get()
    assert (left.is_deleted, left.updated_at > LONG_AGO) == (True, True)


def test_a_mixin_of_it_has_its_methods() -> None:
    stored_long_ago(OfComposed)
    assert OfComposed.objects.of_team("a").live().count() == 1


@pytest.mark.parametrize(
    ("model", "kind"),
    [(OfMeta, Live), (OfPassing, Passing), (OfBasic, Basic), (Branch, Live), (OfOurs, Ours)],
    ids=["cached", "not cached", "base", "inherited", "ours"],
)
def test_it_is_still_of_the_class_that_was_written(model: Any, kind: type) -> None:
    assert isinstance(model.objects.filter(team="a"), kind)
    assert type(model.objects).__name__ == kind.__name__


def test_models_with_one_class_share_what_is_made_of_it() -> None:
    assert type(OfMeta.objects) is type(OfAbstract.objects) is type(Branch.objects)
    assert OfOurs._meta["queryset_class"] is Ours


def test_it_can_be_pickled() -> None:
    stored_long_ago(OfMeta)
    again = pickle.loads(pickle.dumps(OfMeta.objects.live()))
    assert again.count() == 1
    assert type(again) is type(OfMeta.objects)


def test_it_takes_part_in_routing_and_transactions() -> None:
    with db.transaction():
        stored_long_ago(OfMeta)
        OfMeta.objects.update(set__team="b")
        assert OfMeta.objects.get().team == "b"
    with db.using(default="database1"):
        assert OfMeta.objects.count() == 0
    assert OfMeta.objects.count() == 1


# Refused


def test_what_is_no_queryset_is_refused_when_the_class_is_made() -> None:
    with (
        model_registry(),
        pytest.raises(ConfigurationError, match=r"derive one from datalayer\.documents\.QuerySet"),
    ):
        type(Document)("Odd", (Document,), {"meta": {"queryset_class": lambda *args: None}})


def test_what_can_not_be_combined_is_refused_with_what_to_write() -> None:
    class Clashing(BaseQuerySet):
        __slots__ = ()

        def __init_subclass__(cls, **kwargs: Any) -> None:
            raise TypeError("no subclasses, please")

    expected = (
        r"the queryset_class of Odd, Clashing, can't be combined .* "
        r"write class Clashing\(datalayer\.documents\.QuerySet\)"
    )
    with model_registry(), pytest.raises(ConfigurationError, match=expected):
        type(Document)("Odd", (Document,), {"meta": {"queryset_class": Clashing}})


def test_an_abstract_class_may_say_anything_and_its_children_are_refused() -> None:
    with model_registry():
        meta = {"abstract": True, "queryset_class": int}
        base = type(Document)("Base", (Document,), {"meta": meta})
        with pytest.raises(ConfigurationError, match="queryset_class of Child"):
            type(Document)("Child", (base,), {})
