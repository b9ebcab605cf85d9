"""Indexes that are hidden before they are dropped, brought back, and dropped when nobody missed
them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
import pytest
from fresh_databases import model_registry
from mongoengine.fields import DateTimeField, StringField
from pymongo.errors import DuplicateKeyError, OperationFailure

from datalayer import db, indexes
from datalayer.connections.registry import database
from datalayer.documents import BusinessDocument
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import IndexBuildError
from datalayer.indexes import Action, BuildProgress, HiddenIndex, Index
from datalayer.indexes.progress import Phases
from datalayer.indexes.usage import Count, hidden_since
from datalayer.settings import Settings

DAY_SECONDS = 86_400.0


@pytest.fixture(autouse=True)
def own_models() -> Iterator[None]:
    with model_registry():
        yield


@pytest.fixture
def things(settings: Settings) -> Any:
    """A collection whose model declares a unique ``code``, and no other index."""
    thing()
    indexes.sync("default")
    return database()["things"]


def thing(**more: Any) -> Any:
    meta = {"collection": "things", **more.pop("meta", {})}
    attributes = {"code": StringField(unique=True), "meta": meta, **more}
    return type(BusinessDocument)("Thing", (BusinessDocument,), attributes)


def hidden_in(collection: Any) -> list[str]:
    return [each["name"] for each in collection.list_indexes() if each.get("hidden")]


def hidden_action(name: str, kind: str = "hide_index") -> Action:
    return Action(kind, "default", "things", name)


def refuse_hiding(monkeypatch: pytest.MonkeyPatch, code: int, code_name: str) -> None:
    """Have the server answer so to ``collMod``."""

    def refuse(*_args: Any, **_options: Any) -> None:
        raise OperationFailure("no", code, {"code": code, "codeName": code_name, "errmsg": "no"})

    monkeypatch.setattr("pymongo.database.Database.command", refuse)


@contextmanager
def building_hangs(server: EmbeddedMongo) -> Iterator[Callable[[], object]]:
    """Builds wait, once they have read the collection, until the block calls what it is given."""
    with pymongo.MongoClient[dict[str, Any]](server.uri) as client:

        def set_point(mode: str) -> None:
            client.admin.command("configureFailPoint", "hangAfterStartingIndexBuild", mode=mode)

        set_point("alwaysOn")
        try:
            yield lambda: set_point("off")
        finally:
            set_point("off")


# sync


def test_sync_with_hide_hides_what_no_model_declares(things: Any) -> None:
    things.create_index("old")
    assert indexes.sync("default", hide=True) == [hidden_action("old_1")]
    assert hidden_in(things) == ["old_1"]
    (left,) = indexes.diff("default")
    assert [each.options for each in left.unknown] == [{"hidden": True}]


def test_sync_with_hide_does_it_once(things: Any) -> None:
    things.create_index("old")
    indexes.sync("default", hide=True)
    assert indexes.sync("default", hide=True) == []


def test_sync_brings_a_declared_index_back_without_building_it(things: Any) -> None:
    indexes.hide("default", "things", "code_1")
    (left,) = indexes.diff("default")
    assert dict(left.changed[0].in_place) == {"hidden": False}
    assert indexes.sync("default") == [hidden_action("code_1", "unhide_index")]
    assert indexes.diff("default") == []


def test_sync_hides_what_a_model_declares_to_be_hidden(things: Any) -> None:
    things.create_index("colour")
    thing(colour=StringField(), meta={"indexes": [{"fields": ["colour"], "hidden": True}]})
    assert indexes.sync("default") == [hidden_action("colour_1")]
    assert indexes.diff("default") == []


def test_sync_changes_a_ttl_and_brings_it_back_in_one_go(things: Any) -> None:
    things.create_index("at", expireAfterSeconds=60, hidden=True)
    index = {"fields": ["at"], "expireAfterSeconds": 120}
    thing(at=DateTimeField(), meta={"indexes": [index]})
    done = [hidden_action("at_1", "unhide_index"), hidden_action("at_1", "change_ttl")]
    assert indexes.sync("default") == done
    assert indexes.diff("default") == []


def test_a_changed_index_of_the_same_name_is_left_by_hide(settings: Settings) -> None:
    database()["things"].create_index("code")
    thing()
    assert indexes.sync("default", hide=True) == []
    assert hidden_in(database()["things"]) == []


def test_a_changed_index_is_hidden_where_the_declared_one_can_stand_beside_it(
    things: Any,
) -> None:
    things.create_index("size", name="by_size", collation={"locale": "de"})
    thing(size=StringField(), meta={"indexes": ["size"]})
    assert indexes.sync("default", hide=True) == [
        hidden_action("size_1", "create_index"),
        hidden_action("by_size"),
    ]
    assert hidden_in(things) == ["by_size"]


def test_a_changed_index_that_can_not_stand_beside_it_is_left_by_hide(things: Any) -> None:
    things.create_index("size", name="by_size", expireAfterSeconds=60)
    thing(size=StringField(), meta={"indexes": ["size"]})
    assert indexes.sync("default", hide=True) == []
    assert hidden_in(things) == []


def test_hiding_and_dropping_at_once_is_refused(things: Any) -> None:
    with pytest.raises(ValueError, match="hide or drop"):
        indexes.sync("default", hide=True, drop=True)


def test_an_index_that_the_shard_key_needs_is_left_with_a_warning(
    things: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    things.create_index("old")
    refuse_hiding(monkeypatch, 303, "CannotDropShardKeyIndex")
    assert indexes.sync("default", hide=True) == []
    assert "old_1 of things on default stays" in caplog.text


# hide and unhide


def test_an_index_is_hidden_and_brought_back(things: Any) -> None:
    assert indexes.hide("default", "things", "code_1") is True
    assert indexes.hide("default", "things", "code_1") is False
    assert indexes.hidden_names("default") == [("things", "code_1")]
    assert indexes.unhide("default", "things", "code_1") is True
    assert indexes.unhide("default", "things", "code_1") is False
    assert indexes.hidden_names("default") == []


def test_a_hidden_unique_index_still_refuses_duplicates(things: Any) -> None:
    indexes.hide("default", "things", "code_1")
    things.insert_one({"code": "a"})
    with pytest.raises(DuplicateKeyError):
        things.insert_one({"code": "a"})


def test_a_declared_index_that_is_hidden_lets_models_write(settings: Settings) -> None:
    database()["things"].create_index("code", unique=True, hidden=True)
    thing()(code="a").save()
    assert hidden_in(database()["things"]) == ["code_1"]


def test_an_index_of_a_time_series_is_hidden_too(settings: Settings) -> None:
    readings = database().create_collection("readings", timeseries={"timeField": "at"})
    readings.create_index("at", name="by_time")
    assert indexes.hide("default", "readings", "by_time") is True


@pytest.mark.parametrize(
    ("collection", "name", "words"),
    [
        ("things", "_id_", "every collection needs the index on _id"),
        ("things", "no_such", "it isn't there"),
        ("nowhere", "code_1", "it isn't there"),
    ],
)
def test_what_can_not_be_hidden_is_told(
    things: Any, collection: str, name: str, words: str
) -> None:
    with pytest.raises(IndexBuildError, match=words) as caught:
        indexes.hide("default", collection, name)
    assert (caught.value.collection, caught.value.index) == (collection, name)


@pytest.mark.parametrize(
    ("code", "code_name", "words"),
    [
        (72, "InvalidOptions", "this server has no hidden indexes; they come with MongoDB 4.4"),
        (13, "Unauthorized", "grant it collMod"),
        (303, "CannotDropShardKeyIndex", "no other index serves the collection's shard key"),
        (9999, "Other", "the server refused"),
    ],
)
def test_a_server_s_refusal_is_told(
    things: Any, monkeypatch: pytest.MonkeyPatch, code: int, code_name: str, words: str
) -> None:
    refuse_hiding(monkeypatch, code, code_name)
    with pytest.raises(IndexBuildError, match=words):
        indexes.hide("default", "things", "code_1")


def test_mongomock_hides_nothing() -> None:
    pytest.importorskip("mongomock")
    db.disconnect_all()
    with (
        db.connected(Settings(databases={"default": "mongomock://hidden"})),
        pytest.raises(IndexBuildError, match="mongomock"),
    ):
        indexes.hide("default", "things", "code_1")


# drop


def test_a_hidden_index_can_go_after_a_time_without_use(things: Any) -> None:
    things.create_index("old", unique=True)
    indexes.sync("default", hide=True)
    (found,) = indexes.hidden("default")
    assert (found.index.name, found.uses, len(found.members)) == ("old_1", 0, 1)
    assert found.reason_to_keep(0) is None
    assert "known to be hidden for 0 days, not 14" in str(found.reason_to_keep(14 * DAY_SECONDS))
    assert indexes.drop(found) == hidden_action("old_1", "drop_index")
    assert indexes.diff("default") == []


def test_declared_and_visible_indexes_are_no_candidates(things: Any) -> None:
    things.create_index("old")
    indexes.hide("default", "things", "code_1")
    assert indexes.hidden("default") == []


def test_uses_before_it_was_hidden_do_not_count(things: Any) -> None:
    things.create_index("old")
    assert list(things.find({"old": 1}, hint="old_1")) == []
    indexes.sync("default", hide=True)
    assert [each.uses for each in indexes.hidden("default")] == [0]


def test_an_index_that_was_brought_back_meanwhile_is_not_dropped(things: Any) -> None:
    things.create_index("old")
    indexes.sync("default", hide=True)
    (found,) = indexes.hidden("default")
    indexes.unhide("default", "things", "old_1")
    with pytest.raises(IndexBuildError, match="was changed meanwhile"):
        indexes.drop(found)
    assert "old_1" in things.index_information()


@pytest.mark.parametrize(
    ("hidden_seconds", "uses", "reason"),
    [
        (15 * DAY_SECONDS, 0, None),
        (15 * DAY_SECONDS, 2, "it was used 2 times while hidden"),
        (1.5 * DAY_SECONDS, 0, "known to be hidden for 1.5 days, not 14"),
        (None, 0, "no member could be asked"),
    ],
)
def test_why_an_index_stays_is_told(
    hidden_seconds: float | None, uses: int, reason: str | None
) -> None:
    index = Index("old_1", (("old", 1),), {"hidden": True})
    found = HiddenIndex("default", "things", index, hidden_seconds, uses, ("a:1",))
    told = found.reason_to_keep(14 * DAY_SECONDS)
    assert told is None if reason is None else str(told).startswith(reason)


def test_a_member_that_has_not_hidden_it_yet_does_not_tell_since_when_it_is() -> None:
    counts = [
        Count("old_1", "a:1", uses=0, seconds=60.0, hidden=True),
        Count("old_1", "b:1", uses=0, seconds=100 * DAY_SECONDS, hidden=False),
    ]
    assert hidden_since(counts) == (60.0, 0)
    assert hidden_since([]) == (None, 0)


def test_without_the_privilege_to_see_uses_the_error_names_it(
    things: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    things.create_index("old", hidden=True)

    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise OperationFailure("not authorized", code=13)

    monkeypatch.setattr("pymongo.collection.Collection.aggregate", refuse)
    with pytest.raises(IndexBuildError, match="privilege indexStats"):
        indexes.hidden("default")


# Building


def test_the_progress_of_a_build_is_told(
    things: Any, mongod: EmbeddedMongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datalayer.indexes.progress._SECONDS_BETWEEN_LOOKS", 0.01)
    things.insert_many([{"code": str(number), "size": number} for number in range(20)])
    thing(size=StringField(), meta={"indexes": ["size"]})
    told: list[BuildProgress] = []
    with building_hangs(mongod) as go_on:

        def tell(news: BuildProgress) -> None:
            told.append(news)
            go_on()

        with db.deadline(30):
            indexes.sync("default", on_progress=tell)
    assert told[0] == BuildProgress("default", "things", "scanning collection", 20, 20)
    assert "size_1" in things.index_information()


def test_a_phase_that_begins_again_for_another_index_has_a_number() -> None:
    phases = Phases()
    named = [
        phases.named(f"Index Build: {phase} Index Build: {phase}: {done}/9 1%", done)
        for phase, done in [("scanning", 5), ("scanning", 9), ("sorting", 7), ("sorting", 2)]
    ]
    assert named == ["scanning", "scanning", "sorting", "sorting (2)"]


def test_without_the_privilege_to_see_operations_there_is_no_progress(
    things: Any, mongod: EmbeddedMongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datalayer.indexes.progress._SECONDS_BETWEEN_LOOKS", 0.01)
    thing(size=StringField(), meta={"indexes": ["size"]})
    told: list[BuildProgress] = []
    with building_hangs(mongod) as go_on:

        def refuse(*_words: Any, **_options: Any) -> None:
            go_on()
            raise OperationFailure("not authorized", code=13)

        monkeypatch.setattr("pymongo.database.Database.aggregate", refuse)
        with db.deadline(30):
            done = indexes.sync("default", on_progress=told.append)
    assert (done, told) == ([hidden_action("size_1", "create_index")], [])


def test_a_commit_quorum_is_sent(things: Any) -> None:
    thing(size=StringField(), meta={"indexes": ["size"]})
    done = indexes.sync("default", commit_quorum="majority")
    assert done == [hidden_action("size_1", "create_index")]


def test_a_commit_quorum_that_can_not_be_met_is_told(things: Any) -> None:
    things.insert_one({"code": "a"})
    thing(size=StringField(), meta={"indexes": ["size"]})
    with pytest.raises(IndexBuildError, match="commit quorum"):
        indexes.sync("default", commit_quorum=5)
