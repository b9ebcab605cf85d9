"""Errors travel: each one comes out of a process pool, and out of a copy, as what it was."""

from __future__ import annotations

import concurrent.futures
import copy
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from inspect import isclass
from typing import Any

import mongoengine
import pytest
from fresh_databases import model_registry
from mongoengine import StringField

from datalayer import db, errors
from datalayer.documents import (
    BusinessDocument,
    Document,
    Lifecycle,
    TransitionError,
    define_model,
)
from datalayer.errors import DataLayerError
from datalayer.settings import Settings

with model_registry():  # other tests connect without these models

    class Order(Lifecycle, BusinessDocument):
        transitions = {"open": {"paid"}}
        number = StringField(unique=True, required=True)
        status = StringField(choices=("open", "paid"), default="open")

    class Shop:
        class Shelf(BusinessDocument):
            pass

    class Item(BusinessDocument):
        meta = {"allow_inheritance": True}

    class Book(Item):
        pass

    Rack = define_model(Document, "TravellingRack", {"name": StringField()})

    def local_model() -> Any:
        class Local(BusinessDocument):
            pass

        return Local

    Here = local_model()


RAISED: dict[str, BaseException] = {
    **{
        name: kind("what happened", alias="archive")
        for name, kind in vars(errors).items()
        if isclass(kind)
        and issubclass(kind, DataLayerError)
        and kind is not errors.StaleDocumentError
    },
    "StaleDocumentError of an order": errors.StaleDocumentError(
        "gone", alias="archive", collection="order", id=("a", 1)
    ),
    "ConfigurationError of several": errors.ConfigurationError(["one", "two"], alias="archive"),
    "ConnectError in full": errors.ConnectError("away", alias="a", reason="tls", elapsed=2.5),
    "IndexBuildError in full": errors.IndexBuildError("no", alias="a", collection="c", index="i"),
    "TransitionError": TransitionError("no way", source="open", target="sent"),
    "TransitionError of none": TransitionError("no way", source=None, target="sent"),
    "DoesNotExist": Order.DoesNotExist("none"),
    "MultipleObjectsReturned": Order.MultipleObjectsReturned("two", 3),
    "DoesNotExist of a class in a class": Shop.Shelf.DoesNotExist("none"),
    "DoesNotExist of a derived model": Book.DoesNotExist("none"),
    "DoesNotExist of a model made at run time": Rack.DoesNotExist("none"),
    "DoesNotExist of a model made in a function": Here.DoesNotExist("none"),
    "ValidationError": mongoengine.ValidationError(
        "bad", errors={"a": mongoengine.ValidationError("worse", field_name="a")}
    ),
}


def by_pickle(error: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Any:
    return pickle.loads(pickle.dumps(error, protocol))


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": by_pickle,
    "pickle of old": lambda error: by_pickle(error, 0),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "twice": lambda error: by_pickle(by_pickle(error)),
}


def facts(error: BaseException) -> tuple[Any, ...]:
    """What can be seen of an error."""
    attributes = {name: str(value) for name, value in vars(error).items()}
    return type(error), str(error), repr(error), error.args, attributes


@pytest.mark.parametrize("through", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("error", RAISED.values(), ids=RAISED)
def test_an_error_is_the_same_after_it_was_copied(
    error: BaseException, through: Callable[[Any], Any]
) -> None:
    assert facts(through(error)) == facts(error)


@pytest.mark.parametrize("error", RAISED.values(), ids=RAISED)
def test_a_note_on_an_error_travels_with_it(error: BaseException) -> None:
    noted = copy.copy(error)
    noted.add_note("at noon")
    assert by_pickle(noted).__notes__ == ["at noon"]


def test_an_attribute_that_somebody_added_travels_too() -> None:
    error = Order.DoesNotExist("none")
    error.request = "17"
    assert by_pickle(error).request == "17"


def test_the_errors_of_a_derived_model_are_caught_as_those_of_its_base() -> None:
    assert isinstance(by_pickle(Book.DoesNotExist("none")), Item.DoesNotExist)
    assert isinstance(by_pickle(Book.DoesNotExist("none")), mongoengine.DoesNotExist)
    assert not isinstance(by_pickle(Book.DoesNotExist("none")), Order.DoesNotExist)


def test_base_classes_have_no_such_errors_as_in_mongoengine() -> None:
    assert [
        name
        for base in (Document, BusinessDocument, mongoengine.Document)
        for name in ("DoesNotExist", "MultipleObjectsReturned")
        if hasattr(base, name)
    ] == []


def test_a_model_that_the_other_process_lacks_leaves_the_error_of_its_base() -> None:
    with model_registry():
        inner = type(Item)("Inner", (Item,), {"__module__": "nowhere"})
    sent = pickle.dumps(inner.DoesNotExist("none"))
    inner.__qualname__ = "Elsewhere"
    received = pickle.loads(sent)
    assert facts(received) == facts(Item.DoesNotExist("none"))


def test_a_process_that_knows_no_model_gets_mongoengines_error() -> None:
    sent = pickle.dumps(Here.DoesNotExist("none", 7))
    program = """
import pickle, sys
error = pickle.load(sys.stdin.buffer)
print(type(error).__module__, type(error).__name__, error.args)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], input=sent, capture_output=True, check=True, timeout=60
    )
    assert done.stdout.decode().split(maxsplit=2) == [
        "mongoengine.errors", "DoesNotExist", "('none', 7)\n",
    ]  # fmt: skip


# As they are raised


@pytest.fixture
def connected(uri: str) -> Iterator[None]:
    with model_registry(Order):
        db.connect_all(Settings(databases={"default": uri}))
        yield
        db.disconnect_all()


def late() -> None:
    with db.deadline(1e-6):
        list(Order.objects)


def moved_twice() -> None:
    order = Order(number="m").save()
    order.move_to("paid")
    order.move_to("paid")


def stale() -> None:
    order = Order(number="s").save()
    Order.objects.delete()
    Order.objects.get(pk=order.pk)


def several() -> None:
    Order.objects.insert([Order(number="1"), Order(number="2")])
    Order.objects.get()


FAILURES: dict[str, tuple[type[BaseException], Callable[[], object]]] = {
    "no such": (Order.DoesNotExist, lambda: Order.objects.get(number="none")),
    "reloaded after it was deleted": (Order.DoesNotExist, stale),
    "several": (Order.MultipleObjectsReturned, several),
    "invalid": (mongoengine.ValidationError, lambda: Order().save()),
    "not unique": (
        mongoengine.NotUniqueError,
        lambda: [Order(number="u").save() for _ in range(2)],
    ),
    "bulk": (
        mongoengine.errors.BulkWriteError,
        lambda: Order.objects.insert([Order(number="b"), Order(number="b")]),
    ),
    "from outside": (
        mongoengine.ValidationError,
        lambda: Order.from_input({"number": {"$ne": 1}}, allow=["number"]),
    ),
    "not to be stored": (
        mongoengine.ValidationError,
        lambda: Order(number="\ud800").save(),
    ),
    "a status": (TransitionError, moved_twice),
    "an alias": (errors.ConfigurationError, lambda: db.get("nowhere")),
    "no connection": (errors.NotConnectedError, lambda: db.using(default="nowhere").__enter__()),
    "a deadline": (errors.DeadlineExceededError, late),
}


@pytest.mark.parametrize(("kind", "fail"), FAILURES.values(), ids=FAILURES)
@pytest.mark.usefixtures("connected")
def test_an_error_that_was_raised_travels(
    kind: type[BaseException], fail: Callable[[], object]
) -> None:
    with pytest.raises(kind) as caught:
        fail()
    assert facts(by_pickle(caught.value)) == facts(caught.value)


def raise_it(name: str) -> None:
    raise RAISED[name]


@pytest.fixture(scope="module")
def pool() -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    """One whose processes know the models by importing this module alone."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        yield pool


@pytest.mark.parametrize("name", RAISED)
def test_an_error_comes_out_of_a_process_pool(
    pool: concurrent.futures.ProcessPoolExecutor, name: str
) -> None:
    error = pool.submit(raise_it, name).exception(60)
    assert error is not None
    assert facts(error) == facts(RAISED[name])
