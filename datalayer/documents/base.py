"""The base classes: MongoEngine documents that know datalayer's connections, get their indexes
before the first write, carry their id and time stamps into it, and keep secrets out of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import mongoengine
from bson import DBRef, ObjectId, json_util
from mongoengine.errors import SaveConditionError
from mongoengine.fields import ObjectIdField
from mongoengine.queryset.visitor import QNode

from datalayer import indexes, routing, transactions
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.documents.collection import collection_of, database_of, with_concerns
from datalayer.documents.engine import (
    FastDocument,
    FastEmbeddedDocument,
    own_save_update,
    written_field,
)
from datalayer.documents.exceptions import ModelExceptions
from datalayer.documents.extended_json import JSON_OPTIONS, without_secrets
from datalayer.documents.fields.bson_limits import check_path_to_change
from datalayer.documents.fields.fields import UTCDateTimeField
from datalayer.documents.fields.patching import patch_fields
from datalayer.documents.fields.primary_keys import with_own_key, with_stored_key
from datalayer.documents.from_input import accepted, assign
from datalayer.documents.partial import stale
from datalayer.documents.partial.partial_documents import Partial, complete
from datalayer.documents.partial.shrunk_lists import (
    items_of_lists,
    tell_of_whole_lists,
    with_whole_lists,
)
from datalayer.documents.partial.write_guard import refuse_fragments, refuse_whole, with_shard_key
from datalayer.documents.queries.filter_translation import query, query_of
from datalayer.documents.querysets.custom_classes import keep_own_querysets
from datalayer.documents.querysets.deletes import own_delete
from datalayer.documents.querysets.queryset import QuerySet
from datalayer.documents.related.alias import SWITCHED
from datalayer.documents.related.mixin import Belongings, DocumentBelongings
from datalayer.documents.rollback import dynamic_fields
from datalayer.documents.rollback.enlistment import Enlisted, EnlistedPart
from datalayer.documents.times import utc_now
from datalayer.documents.timestamps import keeps

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database


class _Exchange:
    """Taking data from outside and showing it there."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        patch_fields(cls)

    @classmethod
    def from_input(cls, data: Mapping[str, Any], *, allow: Iterable[str]) -> Self:
        """A new instance with the values of ``data`` for the fields named in ``allow``.

        For request data: other keys are left out, so that nobody sets a field that you didn't
        think of. A mapping or a list for a field that takes a single value is refused, so that
        an operator (``{"$ne": None}``) never stands for a value; so is what the database can't
        store, and a key ``_cls``, which would name a class to load. ``"address.city"`` allows
        one field of an embedded document. A dynamic class takes single values for names that
        it doesn't declare. Nothing is saved or validated beyond that.

        Raises:
            ValidationError: with all fields that don't fit in ``errors``.
            FieldDoesNotExist: for a name in ``allow`` that the model lacks.
        """
        return cls(**accepted(cls, data, allow))

    def update_from_input(self, data: Mapping[str, Any], *, allow: Iterable[str]) -> None:
        """Set the fields named in ``allow`` to the values of ``data``, as ``from_input`` does.

        All or none of them; nothing is saved. Of an embedded document that is there,
        ``"address.city"`` changes that field and leaves the others; lists and mappings are
        replaced as a whole.

        Raises:
            ValidationError: with all fields that don't fit in ``errors``.
            FieldDoesNotExist: for a name in ``allow`` that the model lacks.
        """
        assign(self, data, allow)

    def to_json(self, *args: Any, **kwargs: Any) -> str:
        """MongoDB's relaxed Extended JSON, without the fields marked secret.

        ``use_db_field=False`` takes the attributes' names; ``json_options`` another dialect.
        """
        use_db_field = kwargs.pop("use_db_field", True)
        kwargs.setdefault("json_options", JSON_OPTIONS)
        data: dict[str, Any] = self.to_mongo(use_db_field)  # type: ignore[attr-defined]
        shown = without_secrets(type(self), data, use_db_field=use_db_field)
        return json_util.dumps(shown, *args, **kwargs)

    @classmethod
    def from_json(cls, json_data: str, created: bool = False, **kwargs: Any) -> Any:
        """An instance from what ``to_json`` gave, as in MongoEngine."""
        kwargs.setdefault("json_options", JSON_OPTIONS)
        return super().from_json(json_data, created, **kwargs)  # type: ignore[misc]


class EmbeddedDocument(
    _Exchange,
    Belongings,
    Partial,
    EnlistedPart,
    FastEmbeddedDocument,
    mongoengine.EmbeddedDocument,
):
    """A part of a document, without a collection of its own."""

    meta = {"abstract": True}


class Document(
    _Exchange,
    DocumentBelongings,
    Partial,
    ModelExceptions,
    Enlisted,
    FastDocument,
    mongoengine.Document,
):
    """Base of all documents of datalayer; for a database of your own, name it in ``meta``.

        class Invoice(Document):
            number = StringField(required=True, unique=True)
            meta = {"db_alias": "archive"}

    An ordinary MongoEngine document, with these keys of ``meta`` besides MongoEngine's:
    ``auto_index`` (build the indexes at connect; default true), ``timestamps`` (default true),
    ``read_from`` (the read preference of its reads, such as ``"secondaryPreferred"``),
    and for the collection ``timeseries``, ``collation``, ``validator``, ``validation_level`` and
    ``validation_action``. Without a connection every access raises ``NotConnectedError``.

    The first write of a model that was defined after connecting builds its collection and
    indexes; where that fails, it and all later writes raise ``IndexBuildError``.
    """

    objects: ClassVar[QuerySet]

    meta = {
        "abstract": True,
        "auto_create_index": False,  # MongoEngine's way: on a request, and silent on failure
        "auto_index": True,
        "queryset_class": QuerySet,
        "timestamps": True,
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        keep_own_querysets(cls)

    @classmethod
    def _get_db(cls) -> Database[Any]:
        return database_of(registry.connection(routing.alias_for(cls)))

    @classmethod
    def _get_collection(cls) -> Collection[Any]:
        connection = registry.connection(routing.alias_for(cls))
        begun = transactions.current()
        if begun is not None and begun.carries(connection):
            return collection_of(cls, connection)
        collection = cls._own_collection(connection)
        preference = routing.read_preference_for(cls, connection)
        if preference is not None:  # what joins a transaction leaves it out
            return collection.with_options(read_preference=preference)
        return collection

    @classmethod
    def _own_collection(cls, connection: Connection) -> Collection[Any]:
        if connection.alias != indexes.alias_of(cls):
            return collection_of(cls, connection)
        collection: Collection[Any] | None = cls._collection
        if collection is None or collection.database.client is not connection.client:
            collection = cls._collection = collection_of(cls, connection)
        return collection

    @classmethod
    def drop_collection(cls) -> None:
        """Drop the collection; the next write builds it and its indexes again."""
        super().drop_collection()
        indexes.forget(cls)

    def save(self, *args: Any, **kwargs: Any) -> Self:
        """Like MongoEngine's; a rollback of the transaction around it undoes it here too.

        Of a loaded document the changes are written, to the document that is there.

        Raises:
            StaleDocumentError: where it isn't there any more, where the primary key was changed,
                and where the write would lose what ``only()`` or ``exclude()`` left out.
        """
        self._note_in_transaction()
        return super().save(*args, **kwargs)

    def modify(self, query: Any = None, **kwargs: Any) -> bool:
        """Like MongoEngine's; a rollback of the transaction around it undoes it here too."""
        self._note_in_transaction()
        if isinstance(query, QNode):  # MongoEngine would translate the translation again
            query = {"__raw__": query_of(type(self), query)}
        elif query:
            query = with_own_key(self, query)
        with dynamic_fields.forgetting(self) as put_back:
            is_changed: bool = super().modify(query, **kwargs)
            if not is_changed:
                put_back()
        if is_changed and self._dynamic:
            self.reload()  # MongoEngine leaves out the fields that the class doesn't have
        elif is_changed:
            complete(self)
        return is_changed

    def to_dbref(self) -> DBRef:
        """A reference to the document, with its key in the form in which it is stored."""
        return with_stored_key(super().to_dbref(), type(self))

    def reload(self, *args: Any, **kwargs: Any) -> Self:
        """Like MongoEngine's; a rollback of the transaction around it undoes it here too."""
        self._note_in_transaction()
        names = [name for name in args if isinstance(name, str)]
        with dynamic_fields.forgetting(self, names):
            super().reload(*args, **kwargs)
        complete(self, names)
        return self

    def switch_db(self, db_alias: str, keep_created: bool = False) -> Self:
        """Let the next ``save()`` write the whole document to another database; returns it.

        For copying a document: ``invoice.switch_db("archive").save()``. Only this document is
        concerned, not its class. With ``keep_created=True`` a loaded document keeps what it is
        in MongoEngine, and ``save()`` writes nothing where nothing has changed.

        Raises:
            NotConnectedError: where the alias has no connection.
        """
        connection = registry.connection(db_alias)
        self.__dict__[SWITCHED] = db_alias
        return self._live_in(collection_of(type(self), connection), keep_created)

    def switch_collection(self, collection_name: str, keep_created: bool = False) -> Self:
        """The same for another collection of the document's database."""
        connection = registry.connection(routing.alias_for(type(self)))
        return self._live_in(collection_of(type(self), connection, collection_name), keep_created)

    def _live_in(self, collection: Any, keep_created: bool) -> Self:
        instance: Any = self
        instance._get_collection = lambda: collection
        instance._get_db = lambda: collection.database
        instance._collection = collection
        instance._created = self._created or not keep_created
        return self

    def delete(self, *args: Any, **kwargs: Any) -> None:
        """Like MongoEngine's; a rollback of the transaction around it undoes it here too."""
        self._note_in_transaction()
        super().delete(*args, **kwargs)

    def _mark_as_changed(self, key: str) -> None:
        if key == self._meta.get("id_field"):
            stale.remember_key(self)
        if transactions.current() is not None and key == self._meta.get("id_field"):
            document: Any = self
            if not hasattr(document, "_changed_fields") and not document._created:
                # MongoEngine takes a new document that gets a key for a stored one: before this.
                document._created = True
                document._note_in_transaction()
                document._created = False
        super()._mark_as_changed(key)

    def _prepare_insert(self) -> None:
        """Give a new document its id and time stamps.

        The id comes before the first attempt, so that saving again after a lost reply finds the
        document instead of writing it twice.
        """
        refuse_whole(self)
        id_field = self._meta["id_field"]
        if self._data.get(id_field) is None and isinstance(self._fields[id_field], ObjectIdField):
            registry.check_process()  # before a child's first id
            # Past __setattr__, which takes a document that gets an id for a saved one.
            self._data[id_field] = ObjectId()
        if self._meta.get("timestamps"):
            now = None
            for name in ("created_at", "updated_at"):
                if name in self._fields and self._data.get(name) is None:
                    now = self._data[name] = now or utc_now()

    def _save_create(self, doc: Any, force_insert: bool, write_concern: dict[str, Any]) -> Any:
        fresh = "_id" not in doc
        self._prepare_insert()
        for name in (self._meta["id_field"], "created_at", "updated_at"):
            if self._data.get(name) is not None:
                field = self._fields[name]
                doc[field.db_field] = field.to_mongo(self._data[name])
        collection = with_concerns(self._get_collection(), write_concern)
        if fresh or force_insert or self._meta.get("timeseries"):
            return collection.insert_one(doc).inserted_id
        # Given an id, MongoEngine first tries to replace and then inserts: two round trips.
        select = self._integrate_shard_key(doc, {"_id": doc["_id"]})
        collection.replace_one(select, doc, upsert=True)
        return doc["_id"]

    def _save_update(
        self, doc: Any, save_condition: dict[str, Any] | None, write_concern: dict[str, Any]
    ) -> tuple[Any, bool]:
        # Fails where there is no connection.
        collection = with_concerns(self._get_collection(), write_concern)
        doc = with_shard_key(self, doc)
        select: dict[str, Any] = {}
        if save_condition is not None:
            select = query(type(self), save_condition)
        select = self._integrate_shard_key(doc, {**select, "_id": doc["_id"]})
        update = self._get_update_doc()
        if not update:
            return doc["_id"], False
        stale.refuse_changed_key(self, doc["_id"], update)
        refuse_fragments(self, update)
        if items := items_of_lists(update, partial(written_field, self)):
            # An item that isn't there any more would be put behind others that hold nothing.
            are_there = {path: {"$exists": True} for path in items}
            result = collection.update_one({**select, **are_there}, update)
            if not result.acknowledged or result.matched_count:
                return doc["_id"], False
            update = with_whole_lists(update, items, partial(written_field, self))
            refuse_fragments(self, update)
            tell_of_whole_lists(type(self), items)
        # All of a document that was given its key and never stored or loaded is written.
        upsert = save_condition is None and not hasattr(self, "_changed_fields")
        result = collection.update_one(select, update, upsert=upsert)
        if not result.acknowledged:
            return doc["_id"], False
        if not upsert and result.matched_count == 0:
            if save_condition is None:
                raise stale.gone(self)
            raise SaveConditionError("Race condition preventing document update detected")
        return doc["_id"], upsert and result.matched_count == 0

    def _get_update_doc(self) -> dict[str, Any]:
        update: dict[str, Any] = super()._get_update_doc()
        for path in [path for paths in update.values() for path in paths if "." in path]:
            changed = written_field(self, path.partition(".")[0])
            check_path_to_change(changed, path, self._get_collection_name())
        if update and keeps(type(self), "updated_at"):
            key = self._fields["updated_at"].db_field
            if key not in update.get("$set", {}) and key not in update.get("$unset", {}):
                self._data["updated_at"] = utc_now()
                update.setdefault("$set", {})[key] = self._data["updated_at"]
        return update


own_save_update.add(Document._save_update)
own_delete.add(Document.delete)


class _StampedDocument(Document):
    """Adds the time stamps.

    ``created_at`` is set when a document is inserted, ``updated_at`` then and with every change,
    by ``save`` and by updates through the queryset, unless the change sets it itself. Saving
    without a change changes nothing. Both are UTC, cut to the millisecond.
    """

    created_at = UTCDateTimeField()
    updated_at = UTCDateTimeField()

    meta = {"abstract": True}


class BusinessDocument(_StampedDocument):
    """Base of the models whose data must not be lost: alias ``default``.

    Has ``created_at`` and ``updated_at``, kept by saves and by updates through the queryset.
    """

    meta = {"abstract": True, "db_alias": "default"}


class AnalyticsDocument(_StampedDocument):
    """Base of the models for analytics, logs, metrics and history: alias ``database1``.

    Has ``created_at`` and ``updated_at``, kept by saves and by updates through the queryset.
    """

    meta = {"abstract": True, "db_alias": "database1"}
