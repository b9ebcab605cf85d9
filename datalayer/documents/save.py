"""How a document is saved: what a new one gets before the first attempt, which changes of a loaded
one are refused, and which command writes them. Validation and conversion are the engine's."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, ClassVar, NoReturn, Self

from bson import ObjectId
from mongoengine.errors import SaveConditionError
from mongoengine.fields import ObjectIdField

from datalayer import transactions
from datalayer.connections.registry import registry
from datalayer.documents.engine import (
    EncodedDocument,
    core,
    own_save_create,
    own_save_update,
    written,
    written_field,
    written_key,
)
from datalayer.documents.fields.bson_limits import check_path_to_change
from datalayer.documents.model_collection import insertable, with_concerns
from datalayer.documents.partial import shrunk_lists, stale
from datalayer.documents.partial.home import note_stored, refuse_elsewhere
from datalayer.documents.partial.write_guard import refuse_fragments, refuse_whole, with_shard_key
from datalayer.documents.queries.filter_translation import query
from datalayer.documents.related.before_save import complete
from datalayer.documents.related.field_replacement import embedded_owners
from datalayer.documents.times import utc_now
from datalayer.documents.timestamps import keeps_timestamp
from datalayer.documents.versions.check import Check, following, held
from datalayer.documents.versions.field import NAME as VERSION
from datalayer.errors import OutcomeUnknownError

_COUNTERS = 1 << 24  # the values of an id's counter


class Saving:
    """The part of ``Document`` that writes it, before the engine's and MongoEngine's."""

    _builds_indexes_when_fetched: ClassVar[bool] = False

    def save(self, *args: Any, **kwargs: Any) -> Self:
        """Like MongoEngine's; a rollback of the transaction around it undoes it here too.

        Of a loaded document the changes are written, to the document that is there.

        Raises:
            StaleDocumentError: where it isn't there any more, where the primary key was changed,
                and where the write would lose what ``only()`` or ``exclude()`` left out; of a
                versioned document, where it was changed since it was loaded.
            TenantError: where it was read from another database than it would be written to.
        """
        document: Any = self
        refuse_elsewhere(document)
        document._note_in_transaction()
        if document._own_fields or embedded_owners:
            complete(document)
        return super().save(*args, **kwargs)  # type: ignore[misc,no-any-return]

    def _mark_as_changed(self, key: str) -> None:
        document: Any = self
        if key == document._meta.get("id_field"):
            stale.remember_key(document)
            is_new = not hasattr(document, "_changed_fields") and not document._created
            if is_new and transactions.current() is not None:
                # MongoEngine takes a new document that gets a key for a stored one: before this.
                document._created = True
                document._note_in_transaction()
                document._created = False
        super()._mark_as_changed(key)  # type: ignore[misc]

    def _prepare_insert(self, key: ObjectId | None = None) -> None:
        """Give a new document its id, ``key`` if it is given, its version and time stamps.

        The id comes before the first attempt, so that saving again after a lost reply finds the
        document instead of writing it twice.
        """
        document: Any = self
        refuse_whole(document)
        data, fields, id_field = document._data, document._fields, document._meta["id_field"]
        if data.get(id_field) is None and isinstance(fields[id_field], ObjectIdField):
            registry.check_process()  # before a child's first id
            # Past __setattr__, which takes a document that gets an id for a saved one.
            data[id_field] = ObjectId() if key is None else key
        if document._version_key is not None:
            data[VERSION] = following(held(document))
        if document._meta.get("timestamps"):
            now = None
            for name in ("created_at", "updated_at"):
                if name in fields and data.get(name) is None:
                    now = data[name] = now or utc_now()

    def _save_create(self, doc: Any, force_insert: bool, write_concern: dict[str, Any]) -> Any:
        """Insert the document; ``doc`` is what is written of it, or None to have it made here."""
        document: Any = self
        if document._version_key is None:
            return self._store(doc, force_insert, write_concern, replaces=True)
        version = held(document)
        had_key = document._data.get(document._meta["id_field"]) is not None
        # What wasn't loaded from there replaces nothing, but its own first attempt.
        replaces = version is not None and "_collection" not in document.__dict__
        try:
            return self._store(doc, force_insert, write_concern, replaces=replaces)
        except BaseException as exc:
            if had_key or not isinstance(exc, OutcomeUnknownError):
                document._data[VERSION] = version
            raise

    def _store(
        self, doc: Any, force_insert: bool, write_concern: dict[str, Any], *, replaces: bool
    ) -> Any:
        document: Any = self
        collection = with_concerns(document._get_collection(), write_concern)
        id_field = document._meta["id_field"]
        fresh = document._data.get(id_field) is None if doc is None else "_id" not in doc
        inserts = fresh or force_insert or document._meta.get("timeseries") or not replaces
        check = None if inserts or document._version_key is None else Check.of(document)
        self._prepare_insert()
        if doc is None:
            doc = insertable([document], collection)[0] if inserts else written(document)
        else:
            for name in prepared_names(document):
                if document._data.get(name) is not None:
                    field = document._fields[name]
                    doc[field.db_field] = field.to_mongo(document._data[name])
        note_stored(document, collection)  # where it may be, if no reply comes
        if inserts:
            key = collection.insert_one(doc).inserted_id
            return written_key(document) if type(doc) is EncodedDocument else key
        # Given an id, MongoEngine first tries to replace and then inserts: two round trips.
        select = document._integrate_shard_key(doc, {"_id": doc["_id"]})
        if check is not None:
            select = check.narrowed(select)
        collection.replace_one(select, doc, upsert=True)
        return doc["_id"]

    def _save_update(
        self, doc: Any, save_condition: dict[str, Any] | None, write_concern: dict[str, Any]
    ) -> tuple[Any, bool]:
        document: Any = self
        # Fails where there is no connection.
        collection = with_concerns(document._get_collection(), write_concern)
        key = doc["_id"]
        select = {} if save_condition is None else query(type(self), save_condition)
        select["_id"] = key
        if document._meta.get("shard_key"):
            select = document._integrate_shard_key(with_shard_key(document, doc), select)
        update = document._get_update_doc()
        check = None if document._version_key is None else Check.of(document)
        if check is not None:
            update = check.without_version(update)
        if not update:
            return key, False
        items = _checked(document, key, update)
        if keeps_timestamp(type(self), "updated_at"):
            _stamp(document, update)
        if check is not None:
            select = check.narrowed(select)
            check.count(update)
        # All of a document that was given its key and never stored or loaded is written.
        upsert = save_condition is None and not hasattr(self, "_changed_fields")
        if upsert:
            note_stored(document, collection)
        result = self._sent(collection, select, update, items, check, upsert=upsert)
        if not result.acknowledged:
            return key, False
        if not upsert and result.matched_count == 0:
            _raise_missed(document, check, save_condition)
        if check is not None:
            check.passed()
        return key, upsert and result.matched_count == 0

    def _sent(
        self,
        collection: Any,
        select: dict[str, Any],
        update: dict[str, Any],
        items: dict[str, str],
        check: Check | None,
        *,
        upsert: bool,
    ) -> Any:
        """The result of the update, which changes these ``items`` of lists."""
        if items:
            # An item that isn't there any more would be put behind others that hold nothing.
            are_there = {path: {"$exists": True} for path in items}
            result = collection.update_one({**select, **are_there}, update)
            if not result.acknowledged or result.matched_count:
                return result
            if check is not None:
                check.refuse()
            update = shrunk_lists.with_whole_lists(update, items, partial(written_field, self))
            refuse_fragments(self, _paths_of(update))
            shrunk_lists.tell_of_whole_lists(type(self), items)
        return collection.update_one(select, update, upsert=upsert)


def _raise_missed(document: Any, check: Check | None, save_condition: Any) -> NoReturn:
    """Raise what says why the update of ``document`` found none."""
    if check is not None:
        check.refuse()
    if save_condition is None:
        raise stale.gone(document)
    raise SaveConditionError("Race condition preventing document update detected")


own_save_create.add(Saving._save_create)
own_save_update.add(Saving._save_update)


def prepared_names(document: Any) -> tuple[str, ...]:
    """The fields to which ``_prepare_insert`` may have given values."""
    names = (document._meta["id_field"], "created_at", "updated_at")
    return names if document._version_key is None else (*names, VERSION)


def new_ids(count: int) -> list[ObjectId]:
    """Ids as the driver makes them, of its own random part and counter, for many documents."""
    registry.check_process()  # before a child's first id
    kind: Any = ObjectId
    if core is None or not hasattr(kind, "_inc_lock"):
        return [ObjectId() for _ in range(count)]
    with kind._inc_lock:
        first = kind._inc
        kind._inc = (first + count) % _COUNTERS
    seconds = int(time.time()) & 0xFFFFFFFF
    ids: list[ObjectId] = core.object_ids(
        seconds.to_bytes(4, "big") + kind._random(), first, count
    )
    return ids


def _checked(document: Any, key: Any, update: dict[str, Any]) -> dict[str, str]:
    """Refuse changes that would be lost or would lose something; which items of lists ``update``
    changes, each with the path of its list."""
    paths = _paths_of(update)
    nested = [path for path in paths if "." in path]
    for path in nested:
        changed = written_field(document, path.partition(".")[0])
        check_path_to_change(changed, path, document._get_collection_name())
    if nested or "_id" in paths:
        stale.refuse_changed_key(document, key, paths)
    refuse_fragments(document, paths)
    return shrunk_lists.items_of_lists(nested, partial(written_field, document)) if nested else {}


def _paths_of(update: dict[str, Any]) -> list[str]:
    return [path for changes in update.values() for path in changes]


def _stamp(document: Any, update: dict[str, Any]) -> None:
    """Set ``updated_at``, unless ``update`` does."""
    key = document._fields["updated_at"].db_field
    if key not in update.get("$set", {}) and key not in update.get("$unset", {}):
        document._data["updated_at"] = utc_now()
        update.setdefault("$set", {})[key] = document._data["updated_at"]
