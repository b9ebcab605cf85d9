"""Documents that let the transaction around them know what they are like before they change."""

from __future__ import annotations

from typing import Any

from datalayer import transactions
from datalayer.documents.engine import tracked
from datalayer.documents.rollback.snapshots import snapshot
from datalayer.transactions import Note


class Enlisted:
    """Noticing every change, and letting the transaction know of the document before it."""

    _tracks_changes = True

    def _mark_as_changed(self, key: str) -> None:
        document: Any = self
        self._note_in_transaction()
        if "." not in key and getattr(self, "_changed_fields", None) == []:
            # The first change of a whole field: there is none that it could be a part of.
            document._changed_fields.append(document._db_field_map.get(key, key))
        else:
            super()._mark_as_changed(key)  # type: ignore[misc]

    def _note_in_transaction(self) -> None:
        begun = transactions.current()
        if begun is not None:
            begun.remember(self)

    def _snapshot(self) -> Note:
        return snapshot(self)

    def _BaseDocument__expand_dynamic_values(self, name: str, value: Any) -> Any:
        # MongoEngine's own calls this before it puts a value into a dynamic document.
        document: Any = self
        if document._initialised:
            self._note_in_transaction()
        if value is document._data.get(name):
            return value
        expanded = super()._BaseDocument__expand_dynamic_values(name, value)  # type: ignore[misc]
        return tracked(document, name, expanded)


class EnlistedPart(Enlisted):
    """An embedded document, which lets the one know, too, that it is part of."""

    _instance: Any

    def _note_in_transaction(self) -> None:
        if transactions.current() is None:
            return
        super()._note_in_transaction()
        try:
            if hasattr(self._instance, "_note_in_transaction"):
                self._instance._note_in_transaction()
        except ReferenceError:  # the document that it was part of is gone
            pass
