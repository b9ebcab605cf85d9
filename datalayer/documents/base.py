"""The base classes of models: MongoEngine documents over datalayer's connections. Which collection
their operations go to stands here; how they are written, in ``save`` and ``operations``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import mongoengine
from bson import DBRef

from datalayer import indexes, routing, transactions
from datalayer.connections.registry import registry
from datalayer.documents.collection import collection_of, database_of
from datalayer.documents.engine import FastDocument, FastEmbeddedDocument
from datalayer.documents.exceptions import ModelExceptions
from datalayer.documents.extended_json import ToJson
from datalayer.documents.fields import UTCDateTimeField
from datalayer.documents.fields.patching import patch_fields
from datalayer.documents.fields.primary_keys import with_stored_key
from datalayer.documents.from_input import FromInput
from datalayer.documents.operations import Operations
from datalayer.documents.partial.home import AtHome, followed_from, refuse_elsewhere
from datalayer.documents.partial.partial_documents import Partial
from datalayer.documents.querysets.custom_classes import keep_own_querysets
from datalayer.documents.querysets.deletes import own_delete
from datalayer.documents.querysets.pages.request_numbers import PER_PAGE
from datalayer.documents.querysets.queryset import QuerySet
from datalayer.documents.related.field_replacement import replace_fields
from datalayer.documents.related.owner_place import SWITCHED
from datalayer.documents.related.references import Dereference
from datalayer.documents.rollback.enlistment import Enlisted, EnlistedPart
from datalayer.documents.save import Saving
from datalayer.documents.versions.field import add_version

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

    from datalayer.documents.querysets.pages.numbered import ListFieldPagination


def _schema_of(model: Any) -> dict[str, Any]:
    from datalayer.documents.json_schema import json_schema  # when it is needed

    return json_schema(model)


indexes.take_schemas_from(_schema_of)


class _Fields:
    """Gives the fields of each class what MongoEngine's lack."""

    _own_fields: ClassVar[tuple[str, ...]] = ()  # those with files or sequence numbers

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        replace_fields(cls)
        patch_fields(cls)

    @classmethod
    def json_schema(cls, dialect: Literal["mongodb", "2020-12"] = "mongodb") -> dict[str, Any]:
        """What the class says of its documents, and of its subclasses', as a new dictionary.

        ``"mongodb"`` is what ``$jsonSchema`` takes, in filters and as a collection's validator:
        of documents as they are stored. ``"2020-12"`` is JSON Schema for an API's documentation:
        by the attributes' names, without the fields marked secret. Which rules the former can't
        express, ``datalayer.documents.json_schema.unexpressed`` lists. No server is asked.

        Raises:
            ValueError: for another dialect.
        """
        from datalayer.documents.json_schema import json_schema

        return json_schema(cls, dialect)


class EmbeddedDocument(
    _Fields,
    FromInput,
    ToJson,
    Partial,
    EnlistedPart,
    FastEmbeddedDocument,
    mongoengine.EmbeddedDocument,
):
    """A part of a document, without a collection of its own."""

    meta = {"abstract": True}


class Document(
    _Fields,
    Saving,
    Operations,
    FromInput,
    ToJson,
    Partial,
    ModelExceptions,
    Enlisted,
    AtHome,
    FastDocument,
    mongoengine.Document,
):
    """Base of all documents of datalayer; for a database of your own, name it in ``meta``.

        class Invoice(Document):
            number = StringField(required=True, unique=True)
            meta = {"db_alias": "archive"}

    An ordinary MongoEngine document, with these keys of ``meta`` besides MongoEngine's:
    ``auto_index`` (build the indexes at connect; default true), ``timestamps`` (default true),
    ``versioned`` (write a document only over what was loaded; default false),
    ``read_from`` (the read preference of its reads, such as ``"secondaryPreferred"``),
    and for the collection ``timeseries``, ``collation``, ``validator`` (``"model"`` for what the
    fields say, or a filter), ``validation_level`` and ``validation_action``. Without a connection
    every access raises ``NotConnectedError``.

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
        add_version(cls)
        super().__init_subclass__(**kwargs)
        keep_own_querysets(cls)

    @classmethod
    def _get_db(cls) -> Database[Any]:
        return database_of(routing.connection_for(cls))

    @classmethod
    def _get_collection(cls) -> Collection[Any]:
        known: Collection[Any] | None = cls._collection
        if (
            known is not None
            and routing.is_direct(cls)  # nothing leads this operation elsewhere than the last
            and transactions.current() is None
            and known.database.client is registry.connection(indexes.alias_of(cls)).client
        ):
            return known
        return cls._collection_now()

    @classmethod
    def _collection_now(cls) -> Collection[Any]:
        connection = routing.connection_for(cls)
        begun = transactions.current()
        if begun is not None and begun.carries(connection):
            return collection_of(cls, connection)
        if connection.place != (indexes.alias_of(cls), None):
            is_mock = connection.settings.kind == "mongomock"
            collection = (
                collection_of(cls, connection)
                if is_mock
                else connection.collection(cls, collection_of)
            )
        else:
            collection = cls._collection
            if collection is None or collection.database.client is not connection.client:
                collection = cls._collection = collection_of(cls, connection)
        preference = routing.read_preference_for(cls, connection)
        if preference is not None:  # what joins a transaction leaves it out
            return collection.with_options(read_preference=preference)
        return collection

    @classmethod
    def drop_collection(cls) -> None:
        """Drop the collection; the next write builds it and its indexes again."""
        super().drop_collection()
        indexes.forget(cls)

    def to_dbref(self) -> DBRef:
        """A reference to the document, with its key in the form in which it is stored."""
        return with_stored_key(super().to_dbref(), type(self))

    def switch_db(self, db_alias: str | tuple[str, str], keep_created: bool = False) -> Self:
        """Let the next ``save()`` write the whole document to another database; returns it.

        For copying a document: ``invoice.switch_db("archive").save()``, or to another database
        of a server with ``switch_db(("default", "tenant_42"))``. Only this document is
        concerned, not its class. With ``keep_created=True`` a loaded document keeps what it is
        in MongoEngine, and ``save()`` writes nothing where nothing has changed.

        Raises:
            NotConnectedError: where the alias has no connection.
            TenantError: for a database that its operations may not be sent to.
        """
        connection = registry.connection_named(db_alias)
        self.__dict__[SWITCHED] = connection.place
        return self._live_in(collection_of(type(self), connection), keep_created)

    def switch_collection(self, collection_name: str, keep_created: bool = False) -> Self:
        """Let the next ``save()`` write the whole document to another collection of its database;
        returns it. ``keep_created`` is that of ``switch_db``."""
        refuse_elsewhere(self)
        connection = routing.connection_for(type(self))
        return self._live_in(collection_of(type(self), connection, collection_name), keep_created)

    def _live_in(self, collection: Any, keep_created: bool) -> Self:
        instance: Any = self
        instance._get_collection = lambda: collection
        instance._get_db = lambda: collection.database
        instance._collection = collection
        instance._created = self._created or not keep_created
        return self

    def select_related(self, max_depth: int = 1) -> Self:
        """Fetch what the document refers to, with one query for each model; returns it."""
        with followed_from(self):
            Dereference()([self], max_depth + 1)
        return self

    def paginate_field(
        self,
        field_name: str,
        page: int | str,
        per_page: int | str = PER_PAGE,
        total: int | None = None,
    ) -> ListFieldPagination:
        """One page of a list field as the database has it now; see ``QuerySet.paginate_field``."""
        stored = QuerySet(type(self), self._get_collection())
        return stored.paginate_field(field_name, self.pk, page, per_page, total)


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


class DynamicDocument(Document, mongoengine.DynamicDocument):
    """``Document`` that takes any further field, as MongoEngine's ``DynamicDocument`` does.

    Fields that the class names are validated, converted and compared as in any other class;
    the others take what the database can store. Such documents are read and written by
    MongoEngine's own, slower way.
    """

    meta = {"abstract": True}


class DynamicBusinessDocument(BusinessDocument, mongoengine.DynamicDocument):
    """``BusinessDocument`` that takes any further field; see ``DynamicDocument``."""

    meta = {"abstract": True}


class DynamicAnalyticsDocument(AnalyticsDocument, mongoengine.DynamicDocument):
    """``AnalyticsDocument`` that takes any further field; see ``DynamicDocument``."""

    meta = {"abstract": True}


class DynamicEmbeddedDocument(EmbeddedDocument, mongoengine.DynamicEmbeddedDocument):
    """``EmbeddedDocument`` that takes any further field; see ``DynamicDocument``."""

    meta = {"abstract": True}
