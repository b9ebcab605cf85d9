"""A server whose disk is full refuses writes (OutOfDiskSpace): they fail clearly and at once,
reads go on, and writing goes on when there is room again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from fresh_databases import connected, model_registry, settings_for
from mongoengine import IntField, StringField
from pymongo import InsertOne, MongoClient, UpdateMany
from pymongo.errors import BulkWriteError, OperationFailure, WriteError

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError, IndexBuildError, OutcomeUnknownError, UnavailableError
from datalayer.failures.operations import Effect, Operation, operation_error

OUT_OF_DISK_SPACE = 14031
WRITES = ("insert", "update", "delete", "findAndModify")


class Parcel(Document):
    name = StringField()
    weight = IntField(default=0)


@pytest.fixture(autouse=True)
def only_this_model() -> Iterator[None]:
    with model_registry(Parcel):
        yield


@pytest.fixture
def shop(mongod: EmbeddedMongo) -> Iterator[Parcel]:
    """Connected, with one document in the collection."""
    with connected(settings_for(mongod)):
        yield Parcel(name="first").save()


@contextmanager
def full_disk(mongod: EmbeddedMongo, *commands: str) -> Iterator[Callable[[], int]]:
    """The server refuses these commands; what is yielded tells how many it has refused."""
    with MongoClient[dict[str, Any]](mongod.uri) as client:

        def switch(mode: str) -> int:
            answer = client.admin.command(
                "configureFailPoint",
                "failCommand",
                mode=mode,
                data={
                    "failCommands": list(commands),
                    "errorCode": OUT_OF_DISK_SPACE,
                    "appName": "datalayer:default",
                },
            )
            return int(answer["count"])  # how often it was hit in its life

        before = switch("off")
        switch("alwaysOn")
        try:
            yield lambda: refused(client) - before
        finally:
            switch("off")


def refused(client: MongoClient[dict[str, Any]]) -> int:
    found: Mapping[str, Any] = client.admin.command("getParameter", 1, **FAIL_POINT)
    return int(found["failpoint.failCommand"]["timesEntered"])


FAIL_POINT = {"failpoint.failCommand": 1}
WAYS: dict[str, Callable[[Parcel], object]] = {
    "save of a new document": lambda first: Parcel(name="second").save(),
    "save of a change": lambda first: first.modify(name="changed"),
    "insert": lambda first: Parcel.objects.insert(Parcel(name="second")),
    "insert of several": lambda first: Parcel.objects.insert([Parcel(), Parcel()]),
    "update of one": lambda first: Parcel.objects(pk=first.pk).update_one(inc__weight=1),
    "update of several": lambda first: Parcel.objects.update(inc__weight=1),
    "delete": lambda first: first.delete(),
    "bulk write": lambda first: Parcel._get_collection().bulk_write(
        [InsertOne({"name": "second"}), UpdateMany({}, {"$inc": {"weight": 1}})]
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_write_is_refused_at_once_after_a_single_command(
    mongod: EmbeddedMongo, shop: Parcel, way: str
) -> None:
    with full_disk(mongod, *WRITES) as times_refused:
        with pytest.raises(UnavailableError, match="the server's disk is full") as caught:
            WAYS[way](shop)
        assert times_refused() == 1
    assert "had no effect" in str(caught.value)
    assert caught.value.alias == "default"


def test_reading_goes_on(mongod: EmbeddedMongo, shop: Parcel) -> None:
    with full_disk(mongod, *WRITES):
        assert Parcel.objects.get(pk=shop.pk).name == "first"
        assert db.status()["default"]["state"] == "connected"


def test_writing_goes_on_when_there_is_room_again(mongod: EmbeddedMongo, shop: Parcel) -> None:
    new = Parcel(name="second")
    with full_disk(mongod, *WRITES), pytest.raises(UnavailableError):
        new.save()
    new.save()
    assert {each.name for each in Parcel.objects} == {"first", "second"}


def test_retrying_waits_between_its_few_attempts(mongod: EmbeddedMongo, shop: Parcel) -> None:
    with full_disk(mongod, *WRITES) as times_refused:
        with pytest.raises(UnavailableError):
            db.retry(attempts=3, max_seconds=5.0)(Parcel(name="second").save)()
        assert times_refused() == 3


def test_a_transaction_is_rolled_back_and_not_run_again_for_ever(
    mongod: EmbeddedMongo, shop: Parcel
) -> None:
    @db.transactional(attempts=3)
    def work() -> None:
        Parcel(name="second").save()

    with full_disk(mongod, *WRITES) as times_refused:
        with pytest.raises(DataLayerError):
            work()
        assert 1 <= times_refused() <= 3
    assert Parcel.objects.count() == 1


def test_building_indexes_says_that_the_disk_is_full(mongod: EmbeddedMongo) -> None:
    class Crate(Document):
        name = StringField(unique=True)

    settings = settings_for(mongod)
    with (
        full_disk(mongod, "createIndexes", "create"),
        pytest.raises(IndexBuildError, match="the server's disk is full"),
        connected(settings),
    ):
        pass


# Inside a reply, as the server tells of single writes


FAILED = {"index": 0, "code": OUT_OF_DISK_SPACE, "errmsg": "no space left", "op": {"q": {}}}
NOTHING = {"nInserted": 0, "nUpserted": 0, "nModified": 0, "nRemoved": 0, "writeErrors": [FAILED]}


def told(exc: OperationFailure, effect: Effect, sent: int = 1) -> DataLayerError | None:
    hosts = registry.connection().settings.hosts if registry.find("default") else ("host",)
    return operation_error(
        exc, Operation("bulk_write", "parcel", "default", hosts, effect, sent, 0, closed=False)
    )


@pytest.mark.parametrize(
    ("exc", "effect", "kind"),
    [
        (WriteError("", OUT_OF_DISK_SPACE), "one", UnavailableError),
        (WriteError("", OUT_OF_DISK_SPACE), "many", OutcomeUnknownError),
        (BulkWriteError(NOTHING), "many", UnavailableError),
        (BulkWriteError({**NOTHING, "nInserted": 1}), "many", OutcomeUnknownError),
        (
            BulkWriteError({**NOTHING, "writeErrors": [{**FAILED, "op": {"multi": True}}]}),
            "many",
            OutcomeUnknownError,
        ),
    ],
    ids=["one", "several in part", "bulk at its beginning", "bulk in part", "bulk update of many"],
)
def test_what_may_be_done_in_part_has_an_unknown_outcome(
    exc: OperationFailure, effect: Effect, kind: type[DataLayerError]
) -> None:
    error = told(exc, effect)
    assert type(error) is kind
    assert "the server's disk is full" in str(error)
