"""The condition on a write of one document, that the database has the version which was loaded;
and what is wrong where it doesn't hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mongoengine import signals
from mongoengine.errors import NotUniqueError, OperationError
from pymongo.errors import OperationFailure
from pymongo.read_preferences import ReadPreference

from datalayer.documents.fields.conversion import asked
from datalayer.documents.partial import stale
from datalayer.documents.versions.field import NAME
from datalayer.errors import StaleDocumentError

_UNCHECKED = "_is_unchecked"


def held(document: Any) -> int | None:
    """The version that ``document`` has; ``None`` for one that was never versioned.

    Raises:
        ValidationError: for one that is no whole number.
    """
    value = document._data.get(NAME)
    if value is None or type(value) is int:
        return value
    number: int = asked(document._fields[NAME], value)
    return number


def following(version: int | None) -> int:
    """The version after this one."""
    return (version or 0) + 1


def check_of(document: Any) -> Check | None:
    """The check on a write of ``document``; ``None`` where it has no version or wasn't loaded."""
    if document._version_key is None or document._created:
        return None
    if not hasattr(document, "_changed_fields") or document.__dict__.get(_UNCHECKED):
        return None
    return Check.of(document)


def leave_unchecked(document: Any) -> None:
    """Let ``document`` be deleted whatever version the database has: it was asked for by others
    of its values."""
    if getattr(document, "_version_key", None) is not None:
        document.__dict__[_UNCHECKED] = True


@dataclass(frozen=True, slots=True)
class Check:
    """One write of ``document``, which holds the version ``held``."""

    document: Any
    held: int | None

    @classmethod
    def of(cls, document: Any) -> Check:
        """The check on a write of ``document``, whose class is versioned."""
        return cls(document, held(document))

    def narrowed(self, select: Mapping[str, Any]) -> dict[str, Any]:
        """The filter ``select``, for this version alone."""
        own = {self.document._version_key: self.held}  # None: there is none
        if own.keys() & select.keys():
            return {"$and": [select, own]}
        return {**select, **own}

    def without_version(self, update: Mapping[str, Any]) -> dict[str, Any]:
        """``update`` without a version that the application assigned: that is the condition."""
        key = self.document._version_key
        if not any(key in changes for changes in update.values()):
            return dict(update)
        left = {
            operator: {path: value for path, value in changes.items() if path != key}
            for operator, changes in update.items()
        }
        return {operator: changes for operator, changes in left.items() if changes}

    def count(self, update: dict[str, Any]) -> None:
        """Have ``update`` set the next version."""
        update.setdefault("$set", {})[self.document._version_key] = following(self.held)

    def passed(self) -> None:
        """Note that the document was written."""
        self.document._data[NAME] = following(self.held)

    def refuse(self) -> None:
        """After a write that found no document.

        Raises:
            StaleDocumentError: where that is because the document has another version now, or
                isn't there.
        """
        document, key = self.document, self.document._version_key
        collection = document._get_collection()
        primary = collection.with_options(read_preference=ReadPreference.PRIMARY)
        id_field = document._fields[document._meta["id_field"]]
        found = primary.find_one({"_id": id_field.to_mongo(document.pk)}, {key: 1})
        if found is None:
            raise self._error(
                "is not in the collection any more; nothing was written. To store all of it "
                "again, save(force_insert=True)"
            )
        if found.get(key) != self.held:
            raise self._error(
                f"was changed since it was loaded (version {_shown(self.held)} was loaded, "
                f"{_shown(found.get(key))} is there); nothing was written. Load it again with "
                f"reload() and make the change there, as {type(document).__name__}.change() does"
            )

    def _error(self, problem: str) -> StaleDocumentError:
        return stale.error(self.document, self.document.pk, problem)

    # What documents do besides save()

    def update(self, keywords: dict[str, Any]) -> Any:
        """``update()`` of the document, with its arguments."""
        wants_result, is_upsert = keywords.get("full_result"), bool(keywords.get("upsert"))
        try:
            result = self._chosen(is_upsert).update_one(**{**keywords, "full_result": True})
        except NotUniqueError:
            if is_upsert:
                self.refuse()  # or else it was another key
            raise
        if not result.acknowledged:
            return result if wants_result else None
        raw: Any = result.raw_result
        if not raw["n"]:
            self.refuse()
        else:
            self.passed()
        return result if wants_result else raw["n"]

    def delete(self, signal_kwargs: dict[str, Any] | None, write_concern: dict[str, Any]) -> None:
        """``delete()`` of the document, with its arguments."""
        model, told = type(self.document), signal_kwargs or {}
        signals.pre_delete.send(model, document=self.document, **told)
        try:
            count = self._chosen().delete(write_concern=write_concern, _from_doc_delete=True)
        except OperationFailure as exc:
            raise OperationError(f"Could not delete document ({exc.args})") from exc
        if count == 0:
            self.refuse()
        signals.post_delete.send(model, document=self.document, **told)

    def asked(self, query: Mapping[str, Any] | None, *, is_upsert: bool) -> dict[str, Any] | None:
        """The keywords ``query`` of a ``modify()``, with those for this version; ``None`` where
        they ask for another one, which can't be.

        Raises:
            StaleDocumentError: where that is what the database has.
        """
        known = dict(query or {})
        if NAME in known and known.pop(NAME) != self.held:
            self.refuse()
            return None
        return {**known, **self._keywords(is_upsert)}

    def _chosen(self, is_upsert: bool = False) -> Any:
        chosen = self.document._qs.filter(**self.document._object_key)
        return chosen.filter(**self._keywords(is_upsert))

    def _keywords(self, is_upsert: bool) -> dict[str, Any]:
        if is_upsert and self.held is None:  # or it would be inserted with the value null
            return {f"{NAME}__exists": False}
        return {NAME: self.held}


def _shown(version: Any) -> str:
    return "none" if version is None else str(version)
