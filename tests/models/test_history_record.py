"""History records: what a document was, without its secrets."""

from __future__ import annotations

import pytest
from models_explained import indexes_used
from mongoengine.errors import ValidationError

from datalayer.models import Advertisement, HistoryRecord, User


def test_a_record_holds_what_the_document_was(ann: User) -> None:
    HistoryRecord.of(ann, "update", reason="moved house").save()
    ann.status = "closed"
    ann.save()
    record = HistoryRecord.about(ann).get()
    assert record.snapshot["status"] == "active"
    assert record.snapshot["_id"] == ann.pk
    assert (record.source_alias, record.source_collection, record.source_id) == (
        "default", "users", ann.pk,
    )  # fmt: skip
    assert (record.operation, record.reason) == ("update", "moved house")


def test_secrets_stay_where_they_are(ann: User) -> None:
    ann.password_hash = "$argon2id$x"
    assert "password_hash" not in HistoryRecord.of(ann, "delete").snapshot


def test_references_are_kept_as_ids(ann: User) -> None:
    offer = Advertisement(owner=ann, title="a", body="b", category="c").save()
    HistoryRecord.of(offer, "move").save()
    assert HistoryRecord.objects.get().snapshot["owner"] == ann.pk


def test_the_newest_comes_first(ann: User, bob: User) -> None:
    first = HistoryRecord.of(ann, "update").save()
    second = HistoryRecord.of(ann, "delete").save()
    HistoryRecord.of(bob, "delete").save()
    found = list(HistoryRecord.about_id("default", "users", ann.pk))
    assert sorted(found, key=lambda each: each.pk) == [first, second]
    assert found[0].recorded_at >= found[1].recorded_at


def test_an_unknown_operation_is_refused(ann: User) -> None:
    with pytest.raises(ValidationError, match="operation"):
        HistoryRecord.of(ann, "read").save()


def test_a_document_that_was_never_saved_has_no_history() -> None:
    with pytest.raises(ValidationError, match="source_id"):
        HistoryRecord.of(User(email="a@example.com"), "update").save()


def test_looking_it_up_uses_its_index(ann: User) -> None:
    HistoryRecord.of(ann, "update").save()
    used = indexes_used(HistoryRecord.about(ann))
    assert used == {"source_alias_1_source_collection_1_source_id_1_recorded_at_-1"}
