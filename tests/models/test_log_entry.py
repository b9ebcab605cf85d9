"""Log entries: queries by level, logger and time, and an end to each."""

from __future__ import annotations

from datetime import timedelta

import pytest
from models_explained import indexes_used
from mongoengine.errors import ValidationError

from datalayer.documents import utc_now
from datalayer.models import LogEntry


def entry(**values: object) -> LogEntry:
    return LogEntry(**{"level": "INFO", "logger": "app", "message": "hello", **values}).save()


def test_entries_delete_themselves_after_thirty_days() -> None:
    entry()
    ttl = LogEntry._get_collection().index_information()["logged_at_1"]["expireAfterSeconds"]
    assert ttl == 30 * 24 * 3600


def test_the_end_is_still_there_after_drop_and_recreate() -> None:
    entry()
    LogEntry.drop_collection()
    entry()
    assert "expireAfterSeconds" in LogEntry._get_collection().index_information()["logged_at_1"]


def test_a_message_is_required() -> None:
    with pytest.raises(ValidationError, match="message"):
        entry(message=None)


def test_entries_are_found_newest_first() -> None:
    now = utc_now()
    old = entry(logged_at=now - timedelta(hours=1))
    new = entry(logged_at=now, level="ERROR", logger="app.payments")
    assert list(LogEntry.recent()) == [new, old]
    assert list(LogEntry.recent(until=now)) == [old]
    assert list(LogEntry.with_level("ERROR", since=now)) == [new]
    assert list(LogEntry.from_logger("app")) == [old]


def test_each_query_uses_its_index() -> None:
    since = utc_now()
    entry()
    others = {"level": "DEBUG", "logger": "app.other", "message": "x"}
    LogEntry.objects.insert([LogEntry(**others) for _ in range(200)])
    assert indexes_used(LogEntry.recent(since=since)) == {"logged_at_1"}
    assert indexes_used(LogEntry.with_level("INFO", since=since)) == {"level_1_logged_at_-1"}
    assert indexes_used(LogEntry.from_logger("app")) == {"logger_1_logged_at_-1"}
