"""How querysets delete: exactly the documents that iterating shows."""

from __future__ import annotations

from typing import Any

import mongoengine
from mongoengine import signals
from mongoengine.fields import FileField

from datalayer.documents.model_collection import with_concerns
from datalayer.documents.partial.home import followed_in
from datalayer.documents.querysets.delete_rules import follow_delete_rules, has_delete_rules
from datalayer.documents.querysets.matched_keys import filters_for, filters_of, keys_of
from datalayer.documents.querysets.scope import Scope, scope_of
from datalayer.documents.versions.check import leave_unchecked

# The functions ``delete`` of documents that do no more than the queryset's own.
own_delete: set[Any] = {mongoengine.Document.delete}


class Deletes:
    """For a class before MongoEngine's ``BaseQuerySet``."""

    _document: Any
    _collection: Any

    def delete(
        self,
        write_concern: dict[str, Any] | None = None,
        _from_doc_delete: bool = False,
        cascade_refs: set[Any] | None = None,
    ) -> int | None:
        """Delete the documents that iterating shows; how many they were.

        Others that refer to them are treated as the ``reverse_delete_rule`` of the reference
        says. Where somebody listens to the signals of deletion, documents are deleted one by
        one; so are those of a queryset with ``limit`` or ``skip`` whose model has files or a
        ``delete`` of its own.
        """
        scope = scope_of(self)
        if not _from_doc_delete and _one_by_one(self._document, scope):
            return self._delete_one_by_one(write_concern)
        collection = with_concerns(self._collection, write_concern)
        if has_delete_rules(self._document):
            keys = keys_of(self, to_write=True)
            if keys:
                with followed_in(self._collection):
                    follow_delete_rules(self._document, keys, write_concern, cascade_refs)
            filters = filters_for(keys, scope)
        else:
            filters = filters_of(self, scope)
        results = [
            collection.delete_many(conditions, **options) for conditions, options in filters
        ]
        if all(result.acknowledged for result in results):
            return sum(int(result.deleted_count) for result in results)
        return None

    def _delete_one_by_one(self, write_concern: dict[str, Any] | None) -> int:
        whole: Any = self.scalar()  # type: ignore[attr-defined] # as documents, with all fields
        whole._as_pymongo = False
        is_elsewhere = self._collection != self._document._get_collection()
        count = 0
        for document in whole:
            if is_elsewhere:
                document._live_in(self._collection, keep_created=True)
            leave_unchecked(document)
            document.delete(**(write_concern or {}))
            count += 1
        return count


def _one_by_one(model: Any, scope: Scope) -> bool:
    if signals.signals_available and (
        signals.pre_delete.has_receivers_for(model) or signals.post_delete.has_receivers_for(model)
    ):
        return True
    if scope.is_a_filter:
        return False
    has_files = any(isinstance(field, FileField) for field in model._fields.values())
    return has_files or model.delete not in own_delete
