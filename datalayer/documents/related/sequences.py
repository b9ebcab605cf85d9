"""Sequence numbers: drawn from a counter in the document's own database, outside transactions, so
that none is given twice."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import mongoengine
from mongoengine.fields import SequenceField
from pymongo import DESCENDING, ReturnDocument

from datalayer import indexes
from datalayer.connections.connection import Connection
from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.documents.collection import apart_from_transaction
from datalayer.documents.engine import done, first_read
from datalayer.documents.partial.home import root_of
from datalayer.documents.related.owner_place import place_of


class ModelSequenceField(SequenceField):
    """Stands for MongoEngine's ``SequenceField`` in a class of datalayer's.

    The counter lives where the document goes. A number is drawn outside the present transaction,
    as those of SQL's sequences are: a rollback leaves a gap and gives no number again. A counter
    that isn't there yet begins after the greatest number that the collection holds.
    """

    model: Any
    """The class whose documents are numbered."""

    def generate(self) -> Any:
        """The next number of the model's sequence."""
        return self._next(None)

    def set_next_value(self, value: Any) -> Any:
        """Let the sequence go on after ``value``; at once, also in a transaction."""
        with apart_from_transaction(self._connection(None), self.collection_name) as counters:
            counter: Any = counters.find_one_and_update(
                {"_id": self._key()},
                {"$set": {"next": value}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return self.value_decorator(counter["next"])

    def get_next_value(self) -> Any:
        """The number that comes next, if nobody else draws one meanwhile."""
        connection = self._connection(None)
        with apart_from_transaction(connection, self.collection_name) as counters:
            counter = counters.find_one({"_id": self._key()})
        last = self._last_given(connection, None) if counter is None else counter["next"]
        return self.value_decorator(last + 1)

    if not TYPE_CHECKING:  # mypy takes a descriptor's attribute for what __get__ returns

        def __get__(self, instance: Any, owner: Any) -> Any:
            if instance is None:
                return self
            value = instance._data.get(self.name)
            if value is None and instance._initialised:
                with first_read(instance):
                    value = instance._data.get(self.name)  # another thread was here
                    if value is None:
                        value = self.draw(instance)
                        instance._data[self.name] = value
                        instance._mark_as_changed(self.name)
                    done(instance)
            return value

        def __set__(self, instance: Any, value: Any) -> None:
            if value is None and instance._initialised:
                value = self.draw(instance)
            super().__set__(instance, value)

    def _key(self) -> str:
        return f"{self.get_sequence_name()}.{self.name}"

    def _connection(self, document: Any) -> Connection:
        return registry.connection_to(place_of(self, document))

    def draw(self, document: Any) -> Any:
        """The next number for ``document``, of the sequence where it goes."""
        if type(self).generate is not ModelSequenceField.generate:
            return self.generate()  # a field derived from MongoEngine's, with a way of its own
        return self._next(document)

    def _next(self, document: Any) -> Any:
        connection = self._connection(document)
        with apart_from_transaction(connection, self.collection_name) as counters:
            counter = self._incremented(counters)
            if counter is None:
                begin = {"$max": {"next": self._last_given(connection, document)}}
                counters.update_one({"_id": self._key()}, begin, upsert=True)
                counter = self._incremented(counters)
        return self.value_decorator(counter["next"])

    def _incremented(self, counters: Any) -> Any:
        return counters.find_one_and_update(
            {"_id": self._key()},
            {"$inc": {"next": 1}},
            return_document=ReturnDocument.AFTER,
        )

    def _last_given(self, connection: Connection, document: Any) -> int:
        """The number after which a counter begins that isn't there yet.

        The greatest one of the collection; and what MongoEngine's counter says, which it keeps
        in ``default``, of a model that lives elsewhere. A database that a block or a router
        chooses has numbers of its own.
        """
        root = root_of(document)
        model = self.model if root is None else root.__class__
        greatest = self._greatest_stored(connection, model)
        is_number = isinstance(greatest, (int, float)) and math.isfinite(greatest)
        numbers = [0, int(greatest)] if is_number else [0]
        is_home = connection.place == (indexes.alias_of(model), None)
        if is_home or (greatest is not None and not is_number):
            numbers.append(self._counted_by_mongoengine(connection))
        return max(numbers)

    def _greatest_stored(self, connection: Connection, model: Any) -> Any:
        if not issubclass(model, mongoengine.Document) or self.model is not model:
            return None  # of a part, whose path in the document isn't known here
        with apart_from_transaction(connection, model._get_collection_name()) as collection:
            found = collection.find_one(
                {self.db_field: {"$ne": None}},
                {self.db_field: 1},
                sort=[(self.db_field, DESCENDING)],
            )
        return None if found is None else found[self.db_field]

    def _counted_by_mongoengine(self, connection: Connection) -> int:
        before = registry.find(DEFAULT_ALIAS)
        if before is None or before is connection or self.db_alias != DEFAULT_ALIAS:
            return 0
        with apart_from_transaction(before, self.collection_name) as counters:
            counter = counters.find_one({"_id": self._key()})
        return 0 if counter is None else int(counter["next"])
