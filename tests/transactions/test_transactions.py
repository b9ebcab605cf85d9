"""Transactions over documents: all or nothing, the documents put back, and run again where that
can help."""

from __future__ import annotations

import contextvars
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mongoengine
import pytest
from faulty_proxy import FaultyProxy
from ledger import Broken
from mongoengine import DictField, EmbeddedDocumentField, IntField, ListField, StringField
from observing import error_of
from paths import PROGRAMS
from places import Place, up_to_date
from pymongo import MongoClient
from waiting import wait_until

from datalayer import db
from datalayer.documents import Document, EmbeddedDocument
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    NotConnectedError,
    OutcomeUnknownError,
    TransactionError,
    UnavailableError,
)
from datalayer.settings import Settings

WRITING_PAIRS = PROGRAMS / "writing_pairs.py"


class Address(EmbeddedDocument):
    city = StringField()


class Purse(Document):
    owner = StringField(unique=True)
    balance = IntField(default=0)
    moves = ListField(IntField())
    notes = DictField()
    address = EmbeddedDocumentField(Address)


class Note(Document):
    text = StringField()
    meta = {"db_alias": "database1"}


class Plain(mongoengine.Document):
    text = StringField()
    meta = {"auto_create_index": False}


MODELS = (Address, Purse, Note, Plain)


def roll_back(change: Any, *aliases: str) -> None:
    def broken_transaction() -> None:
        with db.transaction(*aliases):
            change()
            raise Broken

    with pytest.raises(Broken):
        broken_transaction()


def owners() -> list[str]:
    with up_to_date():
        return sorted(purse.owner for purse in Purse.objects)


def purses() -> list[tuple[str, int]]:
    with up_to_date():
        return [(each.owner, each.balance) for each in Purse.objects.order_by("owner")]


def notes() -> int:
    with up_to_date():
        return int(Note.objects.count())


# All or nothing


def test_a_block_that_ends_is_committed(databases: Settings) -> None:
    with db.transaction():
        Purse(owner="a").save()
        Purse(owner="b").save()
    assert owners() == ["a", "b"]


def test_a_block_that_raises_writes_nothing(databases: Settings) -> None:
    roll_back(lambda: (Purse(owner="a").save(), Purse.objects.insert([Purse(owner="b")])))
    assert owners() == []


def test_nobody_else_sees_it_before_the_commit(databases: Settings) -> None:
    seen: list[list[str]] = []
    with db.transaction():
        Purse(owner="a").save()
        in_another_thread(lambda: seen.append(owners()))
        seen.append(owners())
    assert seen == [[], ["a"]]


def test_a_thread_started_inside_is_refused_until_the_end(databases: Settings) -> None:
    errors: list[BaseException | None] = []
    may_go_on = threading.Event()

    def work() -> None:
        errors.append(error_of(Purse(owner="thread").save))
        errors.append(error_of(Note(text="another alias").save))
        may_go_on.wait(60)
        errors.append(error_of(Purse(owner="after").save))

    with db.transaction():
        Purse(owner="a").save()
        worker = threading.Thread(target=work)
        worker.start()
        wait_until(lambda: len(errors) == 2)
    may_go_on.set()
    worker.join(60)
    assert [type(error) for error in errors] == [TransactionError, type(None), type(None)]
    assert owners() == ["a", "after"]


def test_an_executors_task_submitted_inside_is_refused(databases: Settings) -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(Purse.objects.count).result(10)  # its thread is older
        with db.transaction():
            task = executor.submit(Purse(owner="a").save)
            assert isinstance(task.exception(10), TransactionError)
        executor.submit(Purse(owner="b").save).result(10)
    assert owners() == ["b"]


def test_threads_started_elsewhere_work_meanwhile(databases: Settings) -> None:
    with db.transaction():
        Purse(owner="a").save()
        in_another_thread(lambda: Purse(owner="b").save())
        raise_nothing = Purse.objects.count()
    assert (raise_nothing, owners()) == (1, ["a", "b"])


def test_a_generator_closed_in_another_thread_is_rolled_back_and_told(
    databases: Settings,
) -> None:
    def leaking() -> Iterator[int]:
        with db.transaction():
            Purse(owner="a").save()
            yield 1

    steps = leaking()
    contextvars.copy_context().run(next, steps)
    with pytest.raises(TransactionError, match="thread that began it"):
        steps.close()
    assert owners() == []
    with db.transaction():
        Purse(owner="b").save()
    assert owners() == ["b"]


def test_everything_that_writes_takes_part(databases: Settings) -> None:
    purse = Purse(owner="a").save()
    Purse(owner="b").save()

    def change() -> None:
        purse.balance = 5
        purse.save()
        Purse.objects(owner="b").update_one(inc__balance=1)
        Purse.objects.update(inc__balance=1)
        Purse.objects(owner="a").modify(inc__balance=1)
        Purse.objects(owner="b").delete()
        purse.update(inc__balance=1)
        Purse.objects.insert(Purse(owner="c"))

    roll_back(change)
    assert purses() == [("a", 0), ("b", 0)]


def test_documents_of_plain_mongoengine_take_part(databases: Settings) -> None:
    Plain(text="before").save()
    roll_back(lambda: Plain(text="inside").save())
    with MongoClient[dict[str, Any]](databases["default"].uri.partition("&")[0]) as client:
        assert client.get_default_database().plain.distinct("text") == ["before"]


def test_counting_works_inside(databases: Settings) -> None:
    Purse(owner="a").save()
    with db.transaction():
        Purse(owner="b").save()
        assert (Purse.objects.count(), Purse.objects(owner="b").count()) == (2, 1)


def test_a_model_first_seen_late_can_be_written_inside(databases: Settings) -> None:
    class Late(Document):
        name = StringField(unique=True)

    with db.transaction():
        Late(name="a").save()
    assert "name_1" in Late._get_collection().index_information()


def test_inside_a_unique_index_holds(databases: Settings) -> None:
    Purse(owner="a").save()
    both = [Purse(owner="b"), Purse(owner="a")]
    with pytest.raises(mongoengine.NotUniqueError), db.transaction():
        [each.save() for each in both]
    assert owners() == ["a"]


# Documents after a rollback


def test_a_new_document_is_new_again_and_saved_whole(databases: Settings) -> None:
    purse = Purse(owner="a", balance=3)
    roll_back(purse.save)
    assert purse.pk is None
    purse.save()
    assert purses() == [("a", 3)]


def test_changes_made_before_are_still_to_be_saved(databases: Settings) -> None:
    purse = Purse(owner="a").save()
    purse.balance = 7
    roll_back(purse.save)
    purse.save()
    assert purses() == [("a", 7)]


def test_values_assigned_inside_are_put_back(databases: Settings) -> None:
    purse = Purse(owner="a", balance=1, moves=[1], notes={"k": [1]}, address=Address(city="x"))
    purse.save()

    def change() -> None:
        purse.balance = 2
        purse.moves.append(2)
        purse.notes["k"].append(2)
        purse.address.city = "y"
        purse.save()

    roll_back(change)
    assert (purse.balance, purse.moves, purse.notes) == (1, [1], {"k": [1]})
    assert purse.address.city == "x"
    assert purse._get_changed_fields() == []


def test_a_document_that_was_committed_keeps_its_state(databases: Settings) -> None:
    purse = Purse(owner="a")
    with db.transaction():
        purse.save()
    purse.balance = 1
    purse.save()
    assert purses() == [("a", 1)]


# Other databases


def test_another_alias_is_written_at_once_and_stays(databases: Settings) -> None:
    roll_back(lambda: (Purse(owner="a").save(), Note(text="kept").save()))
    with up_to_date():
        assert (owners(), [each.text for each in Note.objects]) == ([], ["kept"])


def test_another_alias_can_be_read_inside(databases: Settings) -> None:
    Note(text="n").save()
    with up_to_date(), db.transaction():
        Purse(owner="a").save()
        assert [each.text for each in Note.objects] == ["n"]
        assert Note.objects.count() == 1
        assert next(iter(Note.objects.aggregate([{"$match": {}}])))["text"] == "n"


def test_two_databases_of_one_cluster_are_committed_together(databases: Settings) -> None:
    with db.transaction("default", "database1"):
        Purse(owner="a").save()
        Note(text="n").save()
    assert (owners(), notes()) == (["a"], 1)


def test_two_databases_of_one_cluster_are_rolled_back_together(databases: Settings) -> None:
    counted: list[int] = []

    def change() -> None:
        Purse(owner="a").save()
        Note(text="n").save()
        counted.append(Note.objects.count())

    roll_back(change, "default", "database1")
    assert counted == [1]
    assert (owners(), notes()) == ([], 0)


@pytest.mark.slow
def test_a_killed_process_leaves_both_databases_alike(
    short_lived_transactions: None, place: Place, databases: Settings
) -> None:
    chance = random.Random(3)
    uris = [databases[alias].uri for alias in ("default", "database1")]
    for _ in range(3):  # in each of four places
        with subprocess.Popen(
            [sys.executable, WRITING_PAIRS, *uris], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert process.stdout.readline() == "written\n"
            time.sleep(chance.random() * 0.1)  # the moment of the kill, rather than a wait
            process.kill()
    with MongoClient[dict[str, Any]](place.uri) as client:
        left = client[databases["default"].database].left.distinct("_id")
        numbers = [
            [each["number"] for each in client[databases[alias].database][name].find()]
            for alias, name in (("default", "left"), ("database1", "right"))
        ]
    assert len(left) >= 3
    assert sorted(numbers[0]) == sorted(numbers[1])


def test_databases_of_two_clusters_are_refused(
    place: Place, auth_mongod: EmbeddedMongo, apart: str
) -> None:
    uris = {
        "default": place.uri_for(apart),
        "database1": auth_mongod.uri_for(apart),
    }
    with (
        db.connected(Settings(databases=uris)),
        pytest.raises(TransactionError, match="not on one cluster"),
        db.transaction("default", "database1"),
    ):
        pytest.fail("the block must not run")


# Nesting and callbacks


def test_an_inner_block_joins_the_outer_one(databases: Settings) -> None:
    def change() -> None:
        with db.transaction():
            Purse(owner="a").save()

    roll_back(change)
    assert owners() == []


def test_after_an_inner_error_the_outer_one_can_only_be_rolled_back(databases: Settings) -> None:
    def swallow_an_inner_error() -> None:
        with db.transaction():
            Purse(owner="a").save()
            roll_back(Purse(owner="b").save)

    with pytest.raises(TransactionError, match="rolled back"):
        swallow_an_inner_error()
    assert owners() == []


def test_an_inner_block_must_not_need_more_databases(databases: Settings) -> None:
    with (
        pytest.raises(TransactionError, match="database1"),
        db.transaction(),
        db.transaction("database1"),
    ):
        pytest.fail("the block must not run")


def test_functions_are_called_after_the_commit_in_order(databases: Settings) -> None:
    called: list[str] = []
    with db.transaction():
        db.on_commit(lambda: called.append("first"))
        db.on_commit(lambda: called.append(f"sees {owners()}"))
        Purse(owner="a").save()
        assert called == []
    assert called == ["first", "sees ['a']"]


def test_after_a_rollback_they_are_not_called(databases: Settings) -> None:
    called: list[int] = []
    roll_back(lambda: db.on_commit(lambda: called.append(1)))
    assert called == []


def test_a_function_that_fails_after_the_commit_is_logged_and_the_next_is_called(
    databases: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[int] = []
    with db.transaction():
        db.on_commit(lambda: 1 // 0)
        db.on_commit(lambda: called.append(1))
    assert called == [1]
    assert [record.event for record in caplog.records if record.name.endswith("transactions")] == [
        "on_commit_failed"
    ]


def test_without_a_transaction_a_function_is_called_at_once() -> None:
    called: list[int] = []
    db.on_commit(lambda: called.append(1))
    assert called == [1]


# Run again


def test_a_write_conflict_is_run_again_with_the_documents_as_they_were(
    databases: Settings,
) -> None:
    purse = Purse(owner="a", balance=10).save()
    attempts: list[int] = []

    @db.transactional
    def spend(purse: Purse) -> None:
        attempts.append(purse.balance)
        Purse.objects.first()
        purse.balance -= 3
        purse.moves.append(-3)
        if len(attempts) == 1:
            meddle(databases, purse.pk)
        purse.save()

    spend(purse)
    with up_to_date():
        stored = Purse.objects.get()
    assert attempts == [10, 10]
    assert (stored.balance, stored.moves, purse.balance) == (7, [-3], 7)


def test_after_the_last_attempt_the_conflict_is_told(databases: Settings) -> None:
    purse = Purse(owner="a").save()

    @db.transactional(attempts=2)
    def always_late(purse: Purse) -> None:
        Purse.objects.first()
        meddle(databases, purse.pk)
        purse.balance += 1
        purse.save()

    with pytest.raises(UnavailableError, match="nothing was written"):
        always_late(purse)
    assert purse.balance == 0


def test_other_errors_are_not_run_again(databases: Settings) -> None:
    calls: list[int] = []

    @db.transactional
    def broken() -> None:
        calls.append(1)
        raise Broken

    with pytest.raises(Broken):
        broken()
    assert calls == [1]


def test_the_result_is_handed_on(databases: Settings) -> None:
    @db.transactional(timeout=5)
    def answer(number: int) -> int:
        return number + 1

    assert answer(41) == 42


def test_inside_another_transaction_it_joins(databases: Settings) -> None:
    @db.transactional
    def store() -> None:
        Purse(owner="a").save()

    roll_back(store)
    assert owners() == []


@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize("command", ["insert", "update", "commitTransaction"])
def test_the_effect_happens_once_however_often_a_reply_is_lost(
    place: Place, apart: str, command: str, lost: int
) -> None:
    with FaultyProxy(place.primary) as proxy:
        uris = {"default": place.through(proxy, apart)}
        with db.connected(Settings(databases=uris)):
            purse = Purse(owner="a", balance=1).save()

            @db.transactional
            def move(purse: Purse) -> None:
                Purse(owner="b").save()
                Purse.objects(pk=purse.pk).update_one(inc__balance=1)

            proxy.swallow_reply(command, times=lost)
            error = error_of(lambda: move(purse))
            proxy.restore()
            stored = {each.owner: each.balance for each in Purse.objects}
    if error is None:
        assert stored == {"a": 2, "b": 0}
    else:
        assert isinstance(error, OutcomeUnknownError)
        assert stored in ({"a": 2, "b": 0}, {"a": 1})


def test_a_commit_that_gets_no_reply_has_an_unknown_outcome(place: Place, apart: str) -> None:
    with (
        FaultyProxy(place.primary) as proxy,
        db.connected(Settings(databases={"default": place.through(proxy, apart)})),
    ):
        Purse(owner="a").save()
        proxy.swallow_reply("commitTransaction", times=1000, cut=False)
        with pytest.raises(OutcomeUnknownError), db.transaction(timeout=1):
            Purse(owner="b").save()
        proxy.restore()
        assert owners() == ["a", "b"]


# Sessions, and where there is none


def test_a_session_reads_what_it_wrote(databases: Settings) -> None:
    with db.session() as session:
        Purse(owner="a").save()
        Note(text="n").save()
        assert (owners(), notes()) == (["a"], 1)
        assert session.operation_time is not None


def test_a_transaction_needs_a_connection(apart: str) -> None:
    with pytest.raises(NotConnectedError), db.transaction():
        pytest.fail("the block must not run")


def test_mongomock_has_none(apart: str) -> None:
    with (
        db.connected(Settings(databases={"default": "mongomock://shop"})),
        pytest.raises(TransactionError, match="mongomock"),
        db.transaction(),
    ):
        pytest.fail("the block must not run")


def test_what_the_server_refuses_inside_is_explained(databases: Settings) -> None:
    with pytest.raises(TransactionError, match=r"\$merge"), db.transaction():
        list(Purse.objects.aggregate([{"$out": "elsewhere"}]))


def meddle(settings: Settings, pk: object) -> None:
    """Change a document from outside, after the transaction has begun to read."""

    def change() -> None:
        with MongoClient[dict[str, Any]](settings["default"].uri) as client:
            client[settings["default"].database].purse.update_one(
                {"_id": pk}, {"$inc": {"notes.changes": 1}}
            )

    in_another_thread(change)


def in_another_thread(call: Callable[[], object]) -> None:
    """Run ``call`` in a thread that knows nothing of the present transaction."""
    contextvars.Context().run(_run_in_thread, call)


def _run_in_thread(call: Callable[[], object]) -> None:
    other = threading.Thread(target=call)
    other.start()
    other.join(60)
