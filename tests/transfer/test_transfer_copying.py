"""What a copy and a move leave on both sides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moving import ODD_IDS, Databases, counts, messages, nonzero, plan, raw, state_of
from pymongo.collection import Collection

from datalayer import transfer
from datalayer.errors import TransferError

ROUTES = pytest.mark.parametrize(
    ("target", "method"),
    [("database1", "merge"), ("database1", "copy"), ("archive", "copy")],
    ids=["by the server", "within a cluster", "between clusters"],
)


def test_documents_of_which_a_message_holds_only_one_are_all_copied(databases: Databases) -> None:
    large = [{"_id": number, "text": "x" * 9_000_000} for number in range(4)]
    for each in large:
        databases["default"].messages.insert_one(each)
    report = transfer.run(plan(batch_size=5000))
    assert (report.state, report.verified, nonzero(report)) == ("done", 4, {})


@ROUTES
def test_a_copy_has_the_same_bytes(databases: Databases, target: str, method: Any) -> None:
    databases.fill(105)
    report = transfer.run(plan(target=target, method=method))
    assert raw(databases[target].messages) == raw(databases["default"].messages)
    assert counts(report, "planned", "copied", "verified", "deleted") == {
        "planned": 105, "copied": 105, "verified": 105, "deleted": 0,
    }  # fmt: skip
    assert (report.state, report.complete, nonzero(report)) == ("done", True, {})


@ROUTES
def test_a_move_empties_the_source(databases: Databases, target: str, method: Any) -> None:
    databases.fill(105)
    before = raw(databases["default"].messages)
    report = transfer.run(plan(target=target, method=method, move=True))
    assert raw(databases[target].messages) == before
    assert raw(databases["default"].messages) == []
    assert (report.state, report.deleted) == ("done", 105)


@ROUTES
def test_ids_of_every_type_arrive(databases: Databases, target: str, method: Any) -> None:
    databases["default"].messages.insert_many([{"_id": each, "a": 1} for each in ODD_IDS])
    report = transfer.run(plan(target=target, method=method, batch_size=5))
    assert raw(databases[target].messages) == raw(databases["default"].messages)
    assert report.verified == len(ODD_IDS)


def test_within_a_cluster_the_server_copies_by_itself(databases: Databases) -> None:
    databases["default"].messages.insert_one({"text": "x" * 1000})
    assert plan(target="database1", method=None).method == "merge"
    assert plan(target="archive").method == "copy"
    assert plan(target="database1", constants={"a": 1}).method == "copy"


def test_small_documents_are_copied_in_large_ranges(databases: Databases) -> None:
    databases["default"].messages.insert_one({"text": "x" * 60})
    made = plan(target="database1", method=None, batch_size=None)
    assert (made.method, made.batch_size) == ("copy", 20_000)
    assert plan(target="archive", batch_size=None).batch_size == 10_000
    databases["default"].messages.insert_one({"text": "x" * 2000})
    made = plan(target="database1", method=None, batch_size=None)
    assert (made.method, made.batch_size) == ("merge", 10_000)


def test_only_what_the_filter_selects_is_moved(databases: Databases) -> None:
    databases.fill(50)
    early = '"at": {"$lt": {"$date": "2026-01-01T00:00:00Z"}}'
    few = '"number": {"$lt": {"$numberInt": "20"}}'
    transfer.run(plan(filter=f"{{{early}, {few}}}", move=True))
    assert databases["archive"].messages.distinct("number") == list(range(20))
    assert databases["default"].messages.distinct("number") == list(range(20, 50))


def test_large_documents_that_a_filter_selects_come_in_replies_of_eight_megabytes(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    find = Collection.find_raw_batches

    def heard(self: Any, *args: Any, **options: Any) -> Any:
        if "sort" in options and "allow_disk_use" in options:
            asked.append(options["batch_size"])
        return find(self, *args, **options)

    monkeypatch.setattr(Collection, "find_raw_batches", heard)
    databases["default"].messages.insert_many([{"text": "x" * 100_000} for _ in range(10)])
    report = transfer.run(plan(filter={"text": {"$exists": True}}, batch_size=5_000))
    assert (report.state, report.copied) == ("done", 10)
    assert set(asked) == {8 * 2**20 // 100_033}


def test_several_collections_go_in_one_transfer(databases: Databases) -> None:
    databases.fill(30, "messages")
    databases.fill(40, "notes")
    report = transfer.run(plan(collections={"messages": "chat", "notes": "notes"}))
    found = databases["archive"]
    assert (found.chat.count_documents({}), found.notes.count_documents({})) == (30, 40)
    assert report.copied == 70


def test_a_collection_goes_to_another_name_in_the_same_database(databases: Databases) -> None:
    databases.fill(30)
    transfer.run(plan(target="default", collections={"messages": "copies"}))
    assert raw(databases["default"].copies) == raw(databases["default"].messages)


def test_fields_are_renamed_left_out_and_set(databases: Databases) -> None:
    databases.fill(3)
    transfer.run(
        plan(fields={"body": "text", "price": None, "parts": None}, constants={"year": 2025})
    )
    first = databases["archive"].messages.find_one({"number": 0})
    assert first is not None
    assert (first["body"], first["year"]) == ("message 0", 2025)
    assert set(first) == {"_id", "number", "body", "big", "at", "year"}


def test_a_transform_of_the_application_is_applied(databases: Databases) -> None:
    databases.fill(30)
    report = transfer.run(plan(transform="moving:shouted"))
    assert databases["archive"].messages.distinct("text", {"number": 7}) == ["MESSAGE 7"]
    assert report.verified == 30


@pytest.mark.parametrize(
    ("transform", "says"),
    [("moving:renumbered", "changed an _id"), ("moving:silent", "gave NoneType")],
)
def test_a_transform_has_to_give_a_document_of_the_same_id(
    databases: Databases, transform: str, says: str
) -> None:
    databases.fill(3)
    with pytest.raises(TransferError, match=says):
        transfer.run(plan(transform=transform))
    assert raw(databases["archive"].messages) == []


def test_skipping_leaves_what_the_target_has(databases: Databases) -> None:
    databases.fill(50)
    databases["archive"].messages.insert_many(
        [{"_id": m["_id"], "mine": 1} for m in messages(10, 20)]
    )
    report = transfer.run(plan(conflicts="skip"))
    assert counts(report, "copied", "skipped", "verified") == {
        "copied": 50, "skipped": 10, "verified": 40,
    }  # fmt: skip
    assert databases["archive"].messages.count_documents({"mine": 1}) == 10
    assert (report.state, databases["archive"].messages.count_documents({})) == ("done", 50)


@pytest.mark.parametrize("target", ["database1", "archive"])
def test_replacing_overwrites_what_the_target_has(databases: Databases, target: str) -> None:
    databases.fill(50)
    databases[target].messages.insert_many(
        [{"_id": m["_id"], "mine": 1} for m in messages(10, 20)]
    )
    report = transfer.run(plan(target=target, conflicts="replace"))
    assert counts(report, "replaced", "verified") == {"replaced": 10, "verified": 50}
    assert raw(databases[target].messages) == raw(databases["default"].messages)


def test_a_move_keeps_in_the_source_what_it_skipped(databases: Databases) -> None:
    databases.fill(50)
    databases["archive"].messages.insert_many(
        [{"_id": m["_id"], "mine": 1} for m in messages(10, 20)]
    )
    report = transfer.run(plan(conflicts="skip", move=True))
    assert databases["default"].messages.distinct("number") == list(range(20, 30))
    assert (report.deleted, report.state) == (40, "done")


def test_a_document_that_comes_in_between_stops_the_transfer_and_stays(
    databases: Databases,
) -> None:
    databases.fill(50)
    made = plan(target="database1")
    stranger = {"_id": messages(1, 30)[0]["_id"], "mine": 1}

    def meddle(_: transfer.Progress) -> None:
        databases["database1"].messages.replace_one({"_id": stranger["_id"]}, stranger, True)

    with pytest.raises(TransferError, match="from somebody else during the transfer"):
        transfer.run(made, on_progress=meddle)
    assert databases["database1"].messages.count_documents({"mine": 1}) == 1
    transfer.rollback("t")
    assert [each["mine"] for each in databases["database1"].messages.find()] == [1]


def test_a_rate_is_kept(databases: Databases) -> None:
    databases.fill(100)
    started = transfer.show(transfer.run(plan(rate=200)).name)
    assert (started.updated_at - started.created_at).total_seconds() >= 0.35


FILTERS = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"number": st.fixed_dictionaries({"$lt": st.integers(0, 40)})}),
        st.fixed_dictionaries(
            {
                "number": st.fixed_dictionaries(
                    {"$mod": st.tuples(st.integers(1, 5), st.integers(0, 2)).map(list)}
                )
            }
        ),
        st.fixed_dictionaries({"text": st.sampled_from(["message 3", "message 4"])}),
    ),
    lambda inner: (
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"$nor": st.lists(inner, min_size=1, max_size=2)})
    ),
    max_leaves=3,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(selected=FILTERS, batch_size=st.integers(1, 50), move=st.booleans(), merge=st.booleans())
def test_what_a_filter_selects_arrives_and_the_rest_stays(
    databases: Databases, selected: dict[str, Any], batch_size: int, move: bool, merge: bool
) -> None:
    databases.empty()
    databases.fill(40)
    source, target = databases["default"].messages, databases["database1"].messages
    wanted, rest = raw(source, selected), raw(source, {"$nor": [selected]})
    before = databases.state()
    method = "merge" if merge else "copy"
    transfer.run(
        plan(target="database1", filter=selected, batch_size=batch_size, move=move, method=method)
    )
    assert raw(target) == wanted
    assert raw(source, {"$nor": [selected]}) == rest
    assert raw(source, selected) == ([] if move else wanted)
    transfer.rollback("t")
    assert databases.state() == before


def test_options_and_indexes_are_carried_over(databases: Databases) -> None:
    source = databases["default"].create_collection(
        "messages",
        validator={"number": {"$gte": 0}},
        validationLevel="moderate",
        collation={"locale": "de", "strength": 2},
    )
    source.insert_many(messages(30))
    source.create_index("number", unique=True)
    source.create_index("at", expireAfterSeconds=10**9)
    source.create_index(
        [("text", "text")],
        weights={"text": 3},
        default_language="german",
        collation={"locale": "simple"},
    )
    source.create_index(
        "big", collation={"locale": "simple"}, partialFilterExpression={"big": {"$gt": 3}}
    )
    report = transfer.run(plan())
    assert report.state == "done"
    assert state_of(databases["archive"].messages) == state_of(source)


def test_a_capped_collection_stays_capped(databases: Databases) -> None:
    source = databases["default"].create_collection("messages", capped=True, size=2**20, max=500)
    source.insert_many(messages(30))
    before = databases.state()
    transfer.run(plan())
    assert state_of(databases["archive"].messages) == state_of(source)
    transfer.rollback("t")
    assert databases.state() == before


def test_a_time_series_collection_stays_one(databases: Databases) -> None:
    options = {
        "timeseries": {"timeField": "at", "metaField": "room", "granularity": "minutes"},
        "expireAfterSeconds": 10**9,
    }
    source = databases["default"].create_collection("messages", **options)
    source.insert_many(
        [
            {"at": each["at"], "room": number % 3, "n": number}
            for number, each in enumerate(messages(90))
        ]
    )
    before = databases.state()
    report = transfer.run(plan(target="database1", method=None))
    target = databases["database1"].messages
    assert (nonzero(report), report.copied) == ({}, 90)
    assert (report.state, report.method, report.verified) == ("done", "copy", 90)
    # Unlike elsewhere, the server gives the fields back in any order.
    assert list(target.find().sort("_id")) == list(source.find().sort("_id"))
    assert target.options() == source.options()
    transfer.rollback("t")
    assert databases.state() == before
