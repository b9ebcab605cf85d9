"""History: what a business document was before it was changed, moved or deleted."""

from __future__ import annotations

from typing import Any

from datalayer.documents import (
    AnalyticsDocument,
    Document,
    QuerySet,
    RawDictField,
    UTCDateTimeField,
    utc_now,
    without_secrets,
)
from datalayer.fields import DynamicField, StringField


class HistoryRecord(AnalyticsDocument):
    """The state of a document at ``recorded_at``, without the fields that are marked secret."""

    source_alias = StringField(required=True, max_length=100)
    source_collection = StringField(required=True, max_length=255)
    source_id = DynamicField(required=True)
    operation = StringField(required=True, choices=("update", "delete", "move"))
    reason = StringField(max_length=500)
    snapshot = RawDictField(required=True)
    recorded_at = UTCDateTimeField(required=True, default=utc_now)

    meta = {
        "collection": "history_records",
        "timestamps": False,  # a record is never changed
        "indexes": [("source_alias", "source_collection", "source_id", "-recorded_at")],
    }

    @classmethod
    def of(cls, document: Document, operation: str, reason: str | None = None) -> HistoryRecord:
        """A record, not saved yet, of what ``document`` holds now."""
        model = type(document)
        return cls(
            source_alias=_alias_of(model),
            source_collection=model._get_collection_name(),
            source_id=document.pk,
            operation=operation,
            reason=reason,
            snapshot=without_secrets(model, document.to_mongo().to_dict()),
        )

    @classmethod
    def about(cls, document: Document) -> QuerySet[HistoryRecord]:
        """The records of ``document``, newest first."""
        model = type(document)
        return cls.about_id(_alias_of(model), model._get_collection_name(), document.pk)

    @classmethod
    def about_id(cls, alias: str, collection: str, source_id: Any) -> QuerySet[HistoryRecord]:
        """The records of a document that may be gone, newest first."""
        found = cls.objects(source_alias=alias, source_collection=collection, source_id=source_id)
        return found.order_by("-recorded_at")


def _alias_of(model: type[Document]) -> str:
    alias: str = model._meta.get("db_alias", "default")
    return alias
