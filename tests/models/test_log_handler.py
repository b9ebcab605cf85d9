"""The log handler: stores records, and never makes anyone wait, fail or go round in circles."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
from insert_faults import Gate, lose_one_reply
from pymongo.collection import Collection
from running_programs import python

from datalayer import db
from datalayer.models import LogEntry, MongoLogHandler
from datalayer.settings import Settings


@pytest.fixture
def handler() -> Iterator[MongoLogHandler]:
    made = MongoLogHandler(interval_seconds=0.05)
    yield made
    made.close(timeout=1)


@pytest.fixture
def log(handler: MongoLogHandler) -> Iterator[logging.Logger]:
    logger = logging.getLogger("shop")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def messages() -> list[str]:
    return [entry.message for entry in LogEntry.objects.order_by("id")]


def test_records_are_stored(log: logging.Logger, handler: MongoLogHandler) -> None:
    log.warning("order %d is late", 7, extra={"alias": "default", "order": 7, "who": "ann"})
    assert handler.flush() is True
    entry = LogEntry.objects.get()
    assert (entry.level, entry.logger, entry.message) == ("WARNING", "shop", "order 7 is late")
    assert (entry.alias, entry.context) == ("default", {"order": 7, "who": "ann"})
    assert handler.written == 1


def test_tracebacks_are_stored(log: logging.Logger, handler: MongoLogHandler) -> None:
    try:
        raise LookupError("no such order")
    except LookupError:
        log.exception("failed")
    handler.flush()
    assert "LookupError: no such order" in LogEntry.objects.get().traceback


def test_records_come_in_batches(
    log: logging.Logger, handler: MongoLogHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = Collection.insert_many

    def note(self: Any, documents: Any, *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(documents))
        return original(self, documents, *args, **kwargs)

    monkeypatch.setattr(Collection, "insert_many", note)
    for number in range(1000):
        log.info("%d", number)
    handler.flush()
    assert messages() == [str(number) for number in range(1000)]
    assert max(sizes) <= handler.batch_size
    assert len(sizes) <= 20


def test_credentials_in_uris_are_redacted(log: logging.Logger, handler: MongoLogHandler) -> None:
    uri = "mongodb://app:hush-hush@db.example.com/shop"
    log.error("can't reach %s", uri, extra={"uri": uri})
    try:
        raise OSError(uri)
    except OSError:
        log.exception("failed")
    handler.flush()
    shown = LogEntry.objects.to_json()
    assert "db.example.com" in shown
    assert "hush-hush" not in shown


@pytest.mark.parametrize("name", ["datalayer.service.service", "pymongo.command", "mongoengine"])
def test_records_that_storing_itself_makes_are_left_out(
    handler: MongoLogHandler, name: str
) -> None:
    handler.handle(logging.makeLogRecord({"name": name, "msg": "x", "levelno": 50}))
    handler.flush()
    assert (LogEntry.objects.count(), handler.dropped) == (0, 0)


def test_logging_while_storing_does_not_go_round_in_circles(
    log: logging.Logger, handler: MongoLogHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Collection.insert_many

    def chatty(self: Any, *args: Any, **kwargs: Any) -> Any:
        log.info("storing")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Collection, "insert_many", chatty)
    log.info("hello")
    handler.flush()
    assert messages() == ["hello"]


@pytest.mark.parametrize(
    ("message", "arguments"),
    [("%d", ("no number",)), ("%s", ()), ("%s %s", ("one",)), ("", ())],
)
def test_a_bad_record_never_raises(
    handler: MongoLogHandler, message: str, arguments: tuple[Any, ...]
) -> None:
    for text, values in ((message, arguments), ("after", ())):
        facts = {"name": "shop", "msg": text, "args": values, "levelname": "INFO"}
        handler.handle(logging.makeLogRecord(facts))
    handler.flush()
    assert messages()[-1] == "after"


def test_strange_extras_are_stored_as_text(log: logging.Logger, handler: MongoLogHandler) -> None:
    class Loud:
        def __repr__(self) -> str:
            raise ValueError

    log.info("a", extra={"big": 2**100, "items": [1, {2}], "a.b": 1, "$where": "x"})
    log.info("b", extra={"loud": Loud()})
    handler.flush()
    assert messages() == ["a"]
    assert LogEntry.objects.get().context == {"big": str(2**100), "items": "[1, {2}]", "a_b": 1}
    assert handler.dropped == 1


def test_what_is_no_unicode_stops_no_other_record(
    log: logging.Logger, handler: MongoLogHandler
) -> None:
    # Not through the logger: what pytest keeps of it would be no Unicode either.
    extra = {"file": "b\udcff", "c\udcff": 1}
    handler.handle(log.makeRecord("shop", logging.INFO, "a", 1, "a \ud800", (), None, extra=extra))
    log.info("after")
    assert handler.flush() is True
    assert messages() == ["a \\ud800", "after"]
    assert LogEntry.objects.first().context == {"file": "b\\udcff", "c\\udcff": 1}


def test_long_messages_are_cut(log: logging.Logger, handler: MongoLogHandler) -> None:
    log.info("x" * 100_000)
    handler.flush()
    assert len(LogEntry.objects.get().message) == 16_384


def test_logging_does_not_wait_for_the_database(
    log: logging.Logger, handler: MongoLogHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    log.info("first")
    assert gate.entered.wait(60)
    for _ in range(1000):
        log.info("next")
    assert handler.flush(timeout=0.05) is False
    gate.opened.set()
    assert handler.flush() is True
    assert LogEntry.objects.count() == 1001


def test_what_finds_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    small = MongoLogHandler(capacity=3, batch_size=1, interval_seconds=0.01)
    record = logging.makeLogRecord({"name": "shop", "msg": "x", "levelname": "INFO"})
    small.handle(record)
    assert gate.entered.wait(60)
    for _ in range(5):
        small.handle(record)
    assert small.dropped == 2
    gate.opened.set()
    small.close()
    assert (small.written, small.dropped) == (4, 2)


def test_a_lost_reply_stores_nothing_twice(
    log: logging.Logger, handler: MongoLogHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_one_reply(monkeypatch)
    log.info("once")
    stored_at_last = handler.flush() or handler.flush()
    assert stored_at_last is True
    assert messages() == ["once"]


def test_records_wait_until_the_database_is_connected(
    log: logging.Logger, handler: MongoLogHandler, databases: Settings
) -> None:
    db.disconnect_all()
    log.info("early")
    assert handler.flush() is False
    db.connect_all(databases)
    assert (handler.flush() or handler.flush()) is True
    assert messages() == ["early"]


def test_closing_without_a_database_is_quick_and_counts_the_loss(
    databases: Settings,
) -> None:
    db.disconnect_all()
    lost = MongoLogHandler(interval_seconds=0.01)
    for _ in range(3):
        lost.handle(logging.makeLogRecord({"name": "shop", "msg": "x", "levelname": "INFO"}))
    lost.close(timeout=2)
    assert lost.dropped == 3


def test_nothing_is_taken_after_closing() -> None:
    closed = MongoLogHandler()
    closed.close()
    closed.handle(logging.makeLogRecord({"name": "shop", "msg": "x", "levelname": "INFO"}))
    assert closed.dropped == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # from 3.12 on
def test_a_child_stores_its_own_records_and_not_its_parents(
    log: logging.Logger, handler: MongoLogHandler
) -> None:
    log.info("parent, before")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            log.info("child")
            code = 0 if handler.flush() else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    log.info("parent, after")
    handler.flush()
    assert sorted(messages()) == ["child", "parent, after", "parent, before"]


def test_it_ends_with_the_process(databases: Settings) -> None:
    program = f"""
import logging
from datalayer import db
from datalayer.models import MongoLogHandler
from datalayer.settings import Settings
db.connect_all(Settings(databases={{
    "default": {databases["default"].uri!r}, "database1": {databases["database1"].uri!r}}}))
logging.getLogger("shop").addHandler(MongoLogHandler(interval_seconds=60))
logging.getLogger("shop").error("last words")
"""
    done = python("-W", "error", "-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert messages() == ["last words"]
