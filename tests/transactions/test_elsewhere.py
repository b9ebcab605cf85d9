"""What runs elsewhere while a block is open is outside of its transaction, and says so where it
can be seen: threads, tasks of executors and pools, greenlets, tasks of a loop, copied contexts."""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
from ledger import Account, Broken, Event, Plain, names
from places import CAREFUL, Place

from datalayer import db, transactions
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError, TransactionError
from datalayer.settings import Settings


@pytest.fixture(scope="module")
def place(mongod: EmbeddedMongo) -> Place:
    """One kind of place is enough: it is about what runs on this side."""
    return Place(mongod, CAREFUL)


Elsewhere = Callable[[Callable[[], object]], object]


def outcome(call: Callable[[], object]) -> object:
    """What ``call`` gives, or datalayer's error."""
    try:
        return call()
    except DataLayerError as exc:
        return exc


def save(name: str = "elsewhere") -> str:
    return str(Account(name=name).save().name)


# Ways to run something elsewhere, and wait for it


def in_a_thread(call: Callable[[], object]) -> object:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(outcome(call)))
    thread.start()
    thread.join()
    return answers[0]


def in_a_thread_with_a_copy_of_the_context(call: Callable[[], object]) -> object:
    copy = contextvars.copy_context()
    return unseen(lambda: in_a_thread(lambda: copy.run(outcome, call)))


def in_a_thread_of_the_lowest_kind(call: Callable[[], object]) -> object:
    answers: queue.SimpleQueue[object] = queue.SimpleQueue()
    _thread.start_new_thread(lambda: answers.put(outcome(call)), ())
    return answers.get()


def in_an_executor(call: Callable[[], object]) -> object:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(outcome, call).result()


def in_a_pool(call: Callable[[], object]) -> object:
    with ThreadPool(1) as pool:
        return pool.apply(outcome, (call,))


def unseen(call: Callable[[], object]) -> object:
    """Run ``call`` where nothing is known of the transaction."""
    return contextvars.Context().run(call)


def in_a_greenlet(call: Callable[[], object]) -> object:
    greenlet = pytest.importorskip("greenlet")
    return greenlet.greenlet(outcome).switch(call)


def in_a_greenlet_with_a_copy_of_the_context(call: Callable[[], object]) -> object:
    """As gevent's begin."""
    greenlet = pytest.importorskip("greenlet")
    running = greenlet.greenlet(outcome)
    running.gr_context = contextvars.copy_context()
    return running.switch(call)


WAYS: list[Elsewhere] = [
    in_a_thread,
    in_a_thread_with_a_copy_of_the_context,
    in_a_thread_of_the_lowest_kind,
    in_an_executor,
    in_a_pool,
    in_a_greenlet,
    in_a_greenlet_with_a_copy_of_the_context,
]
each_way = pytest.mark.parametrize("elsewhere", WAYS, ids=lambda each: each.__name__)


@each_way
@pytest.mark.parametrize(
    "use",
    [
        save,
        lambda: list(Account.objects),
        lambda: Plain(name="elsewhere").save(),
        lambda: db.database.client[db.database.name].account.insert_one({"name": "elsewhere"}),
        lambda: db.on_commit(list),
    ],
    ids=["save", "read", "plain", "raw", "on_commit"],
)
def test_elsewhere_the_transactions_databases_are_refused(
    databases: Settings, elsewhere: Elsewhere, use: Callable[[], object]
) -> None:
    with db.transaction():
        save("inside")
        error = elsewhere(use)
    assert isinstance(error, TransactionError)
    assert "can't take part in it" in str(error)
    assert names() == ["inside"]


@each_way
def test_elsewhere_there_is_no_transaction_and_other_databases_work(
    databases: Settings, elsewhere: Elsewhere
) -> None:
    with db.transaction():
        save("inside")
        assert elsewhere(transactions.current) is None
        assert elsewhere(lambda: Event(number=1).save().number) == 1


@each_way
def test_elsewhere_a_transaction_of_its_own_can_be_begun(
    databases: Settings, elsewhere: Elsewhere
) -> None:
    def broken() -> None:
        with db.transaction():
            save("inside")
            assert elsewhere(db.transactional(save)) == "elsewhere"
            raise Broken

    with pytest.raises(Broken):
        broken()
    assert names() == ["elsewhere"]


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    """One that was there before."""
    with ThreadPool(1) as pool:
        yield pool


@pytest.mark.parametrize(
    "submit",
    [
        lambda pool: pool.apply(outcome, (save,)),
        lambda pool: pool.apply_async(outcome, (save,)).get(),
        lambda pool: pool.map(outcome, [save])[0],
        lambda pool: pool.map_async(outcome, [save]).get()[0],
        lambda pool: pool.starmap(outcome, [(save,)])[0],
        lambda pool: pool.starmap_async(outcome, [(save,)]).get()[0],
        lambda pool: next(pool.imap(outcome, [save])),
        lambda pool: next(pool.imap_unordered(outcome, [save])),
    ],
    ids=["apply", "apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "any"],
)
def test_what_an_older_pool_is_given_inside_is_refused(
    databases: Settings, pool: ThreadPool, submit: Callable[[ThreadPool], object]
) -> None:
    with db.transaction():
        assert isinstance(submit(pool), TransactionError)
    assert submit(pool) == "elsewhere"
    assert names() == ["elsewhere"]


def test_threads_that_wait_for_work_in_a_queue_are_outside(databases: Settings) -> None:
    """Nothing tells them where it comes from: they work as ever."""
    work: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
    done: queue.SimpleQueue[object] = queue.SimpleQueue()
    worker = threading.Thread(target=lambda: done.put(work.get()()))
    worker.start()

    def broken() -> None:
        with db.transaction():
            save("inside")
            work.put(save)
            done.get()
            raise Broken

    with pytest.raises(Broken):
        broken()
    worker.join()
    assert names() == ["elsewhere"]


def test_datalayers_own_threads_that_start_inside_are_nobodys(databases: Settings) -> None:
    seen: list[object] = []

    def look() -> None:
        seen.append(outcome(lambda: len(Account.objects)))

    with db.transaction():
        save("inside")
        own = threading.Thread(target=look, name="datalayer-test")
        own.start()
        own.join()
        assert db.status()["default"]["connected"]
    assert seen == [0]


# Copies of the context in the same thread


def test_what_runs_in_a_copy_of_the_context_inside_the_block_takes_part(
    databases: Settings,
) -> None:
    def broken() -> None:
        with db.transaction():
            contextvars.copy_context().run(save)
            assert len(Account.objects) == 1
            raise Broken

    with pytest.raises(Broken):
        broken()
    assert names() == []


def test_a_loop_that_runs_inside_the_block_takes_part(databases: Settings) -> None:
    async def work() -> None:
        save()

    def broken() -> None:
        with db.transaction():
            asyncio.run(work())
            raise Broken

    with pytest.raises(Broken):
        broken()
    assert names() == []


def test_a_task_that_is_made_inside_is_refused_until_the_end(databases: Settings) -> None:
    async def task(may_go_on: asyncio.Event) -> list[object]:
        first = outcome(save)
        await may_go_on.wait()
        return [type(first), outcome(save)]

    async def main() -> list[object]:
        may_go_on = asyncio.Event()
        with db.transaction():
            save("inside")
            made = asyncio.create_task(task(may_go_on))
            await asyncio.sleep(0)
            save("after")
        may_go_on.set()
        return await made

    assert asyncio.run(main()) == [TransactionError, "elsewhere"]
    assert names() == ["after", "elsewhere", "inside"]


def test_tasks_of_their_own_have_transactions_of_their_own(databases: Settings) -> None:
    async def work(name: str, is_broken: bool) -> None:
        with db.transaction():
            save(name)
            await asyncio.sleep(0)
            save(f"{name} again")
            if is_broken:
                raise Broken

    async def main() -> None:
        await asyncio.gather(work("a", False), work("b", True), return_exceptions=True)

    asyncio.run(main())
    assert names() == ["a", "a again"]


def test_asyncios_threads_are_refused(databases: Settings) -> None:
    async def main() -> list[object]:
        with db.transaction():
            calls = (asyncio.to_thread(outcome, save) for _ in range(4))
            return await asyncio.gather(*calls)

    assert {type(each) for each in asyncio.run(main())} == {TransactionError}
    assert names() == []


# After the end


def test_a_function_for_after_the_commit_is_called_at_once_in_a_copy_from_inside(
    databases: Settings,
) -> None:
    called: list[int] = []
    with db.transaction():
        copy = contextvars.copy_context()
    copy.run(db.on_commit, lambda: called.append(1))
    assert called == [1]


def test_a_transaction_that_has_ended_takes_no_functions(databases: Settings) -> None:
    with db.transaction() as begun:
        save("inside")
    with pytest.raises(TransactionError, match="has ended"):
        begun.call_after(list)


def test_a_copy_from_inside_is_free_of_the_driver_too(databases: Settings) -> None:
    """A client that isn't datalayer's would be refused as long as a session is bound."""
    from pymongo.synchronous.client_session import _SESSION

    with db.transaction():
        copy = contextvars.copy_context()
        save("inside")

    def later() -> object:
        save("later")
        return _SESSION.get()

    assert copy.run(later) is None


# Sessions


@each_way
def test_elsewhere_operations_leave_a_session_alone(
    databases: Settings, elsewhere: Elsewhere
) -> None:
    with db.session() as opened:
        save("inside")
        before: Any = opened.operation_time
        assert elsewhere(save) == "elsewhere"
        assert opened.operation_time == before
    assert names() == ["elsewhere", "inside"]


def test_a_cursor_that_was_begun_inside_is_not_read_on_elsewhere(databases: Settings) -> None:
    Account.objects.insert([Account(name=str(number)) for number in range(5)])
    with db.transaction():
        cursor = Account._get_collection().find(batch_size=2)
        next(cursor)
        next(cursor)
        error = in_a_thread_with_a_copy_of_the_context(lambda: next(cursor))
        assert len(list(cursor)) == 3
    assert isinstance(error, TransactionError)
