"""What a document does to itself in the database besides ``save()``: ``modify``, ``update``,
``change``, ``reload`` and ``delete``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

from mongoengine.fields import FileField
from mongoengine.queryset.visitor import QNode

from datalayer.documents.fields.primary_keys import with_own_key
from datalayer.documents.partial.partial_documents import note_loaded
from datalayer.documents.queries.filter_translation import query_of
from datalayer.documents.related.files import kept
from datalayer.documents.rollback import dynamic_fields
from datalayer.documents.versions.change import changed
from datalayer.documents.versions.check import check_of
from datalayer.documents.versions.field import NAME as VERSION


class Operations:
    """The part of ``Document`` that concerns the stored one, before MongoEngine's."""

    _version_key: ClassVar[str | None] = None  # what the version is stored under, if there is one

    def _outcome_unknown(self) -> None:
        """After a commit without a reply: what the document holds may not be what is stored, so
        that it is to be loaded again before it is written."""
        document: Any = self
        if self._version_key is not None:
            document._data[VERSION] = None

    def modify(self, query: Any = None, **kwargs: Any) -> bool:
        """Like MongoEngine's; a rollback of the transaction around it undoes it here too.

        Raises:
            StaleDocumentError: of a versioned document that was changed or deleted meanwhile.
        """
        document: Any = self
        document._note_in_transaction()
        if isinstance(query, QNode):  # MongoEngine would translate the translation again
            query = {"__raw__": query_of(type(self), query)}
        elif query:
            query = with_own_key(self, query)
        check = check_of(self)
        if check is not None:
            query = check.asked(query, is_upsert=bool(kwargs.get("upsert")))
            if query is None:
                return False
        with dynamic_fields.forgetting(self) as put_back:
            is_changed: bool = super().modify(query, **kwargs)  # type: ignore[misc]
            if not is_changed:
                put_back()
        if not is_changed and check is not None:
            check.refuse()
        if is_changed and document._dynamic:
            document.reload()  # MongoEngine leaves out the fields that the class doesn't have
        elif is_changed:
            note_loaded(self)
        return is_changed

    def update(self, **kwargs: Any) -> Any:
        """Like MongoEngine's: how many documents were updated, 0 for one that is gone.

        Raises:
            StaleDocumentError: of a versioned document that was changed or deleted meanwhile.
        """
        check = check_of(self)
        if check is None:
            return super().update(**kwargs)  # type: ignore[misc]
        document: Any = self
        document._note_in_transaction()
        return check.update(kwargs)

    @classmethod
    def change(
        cls,
        pk: Any,
        function: Callable[[Self], object],
        attempts: int = 5,
        *,
        max_seconds: float = 20.0,
    ) -> Self:
        """Load the document with the key ``pk``, let ``function`` change it, and save it; again
        with what is there then where others have changed it meanwhile. Returns it.

            Account.change(key, lambda account: account.withdraw(50))

        For versioned models (``meta = {"versioned": True}``). ``function`` is called once for
        each attempt, so it changes the document and does nothing else; where it raises, nothing
        is saved. At most ``attempts`` times, with pauses drawn at random from 10 ms upwards, and
        ``max_seconds`` in all. Inside a transaction, which doesn't see what others change, once:
        ``@db.transactional`` runs all of it again.

        Raises:
            DoesNotExist: the model's, where there is no such document.
            StaleDocumentError: where somebody was quicker each time.
            ConfigurationError: for a model that isn't versioned.
        """
        document: Self = changed(cls, pk, function, attempts=attempts, max_seconds=max_seconds)
        return document

    def reload(self, *args: Any, **kwargs: Any) -> Self:
        """Like MongoEngine's; a rollback of the transaction around it undoes it here too."""
        document: Any = self
        document._note_in_transaction()
        names = [name for name in args if isinstance(name, str)]
        with dynamic_fields.forgetting(self, names):
            super().reload(*args, **kwargs)  # type: ignore[misc]
        note_loaded(self, names)
        return self

    def delete(self, signal_kwargs: dict[str, Any] | None = None, **write_concern: Any) -> None:
        """Like MongoEngine's; a rollback of the transaction around it undoes it here too.

        The document's files are deleted after it: it may be refused.

        Raises:
            StaleDocumentError: of a versioned document that was changed or deleted meanwhile.
        """
        document: Any = self
        document._note_in_transaction()
        files = [
            getattr(self, name)
            for name in document._own_fields
            if isinstance(document._fields[name], FileField)
        ]
        check = check_of(self)
        with kept(files):
            if check is None:
                super().delete(signal_kwargs, **write_concern)  # type: ignore[misc]
            else:
                check.delete(signal_kwargs, write_concern)
        for file in files:
            file.delete()


class _UnlessDynamic:
    """A class method that a dynamic class has only where it is versioned: the documents of others
    may have a field of its name."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __get__(self, instance: object, owner: Any) -> Any:
        if owner._dynamic and owner._version_key is None:
            raise AttributeError(f"{owner.__name__} is not versioned, and has no change()")
        return self.function.__get__(owner)


type.__setattr__(Operations, "change", _UnlessDynamic(Operations.change.__func__))  # type: ignore[attr-defined]
