"""How querysets update and modify: exactly the documents that iterating shows, and where one is
concerned, the first of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from mongoengine.errors import NotUniqueError, OperationError
from mongoengine.queryset import transform
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, OperationFailure
from pymongo.results import UpdateResult

from datalayer.documents.model_collection import with_concerns
from datalayer.documents.queries.update_translation import update_of
from datalayer.documents.querysets.matched_keys import filters_of, keys_of
from datalayer.documents.querysets.scope import Scope, check_upsert, scope_of
from datalayer.documents.timestamps import stamped_update
from datalayer.documents.versions.counting import counted_update

Result = TypeVar("Result")

# How often the first document may be changed by others before an operation on it gives up.
_ATTEMPTS = 20


class Updates:
    """For a class before MongoEngine's ``BaseQuerySet``."""

    _document: Any
    _collection: Any

    def update(
        self,
        upsert: bool = False,
        multi: bool = True,
        *,
        write_concern: dict[str, Any] | None = None,
        read_concern: dict[str, Any] | None = None,
        full_result: bool = False,
        array_filters: list[dict[str, Any]] | None = None,
        **update: Any,
    ) -> Any:
        """Like MongoEngine's, on the documents that iterating shows; how many they are. Sets
        ``updated_at`` too, unless the update does.

        With ``multi=False`` on the first of them. Where an ordering says which is the first, the
        result of ``full_result=True`` doesn't know ``modified_count``.
        """
        if not update and not upsert:
            raise OperationError("No update parameters, would remove data")
        change, array_filters = self._change(update, upsert, array_filters)
        scope = scope_of(self)
        if upsert:
            check_upsert(scope, "update()" if multi else "update_one()", of_one=not multi)
        collection = with_concerns(self._collection, write_concern, read_concern)

        def run() -> UpdateResult:
            if not multi:
                return self._update_first(collection, scope, change, upsert, array_filters)
            return _together(
                [
                    collection.update_many(
                        conditions, change, upsert=upsert, array_filters=array_filters, **options
                    )
                    for conditions, options in filters_of(self, scope)
                ]
            )

        result = _refused_as_update(run)
        if full_result:
            return result
        return _affected(result) if result.acknowledged else None

    def upsert_one(
        self,
        write_concern: dict[str, Any] | None = None,
        read_concern: dict[str, Any] | None = None,
        **update: Any,
    ) -> Any:
        """Update the first document that iterating shows, or insert one; returns it as it is then.

        In one step, so that it is found also where the update changes what was asked for.

        Raises:
            OperationError: where a refinement can't be part of an upsert; nothing is sent.
        """
        return self.modify(
            upsert=True,
            new=True,
            write_concern=write_concern,
            read_concern=read_concern,
            **update,
        )

    def modify(
        self,
        upsert: bool = False,
        remove: bool = False,
        *,
        full_response: bool = False,
        new: bool = False,
        array_filters: list[dict[str, Any]] | None = None,
        write_concern: dict[str, Any] | None = None,
        read_concern: dict[str, Any] | None = None,
        **update: Any,
    ) -> Any:
        """Like MongoEngine's, on the first document that iterating shows; returns it. Sets
        ``updated_at`` too, unless the update does."""
        if remove and new:
            raise OperationError("Conflicting parameters: remove and new")
        if not update and not upsert and not remove:
            raise OperationError("No update parameters, must either update or remove")
        if full_response:
            warnings.warn("there is no full response", DeprecationWarning, stacklevel=2)
        queryset: Any = self
        options: dict[str, Any] = {"projection": queryset._cursor_args.get("projection")}
        change = None
        if not remove:
            change, array_filters = self._change(update, upsert, array_filters)
            after = ReturnDocument.AFTER if new else ReturnDocument.BEFORE
            options |= {"return_document": after, "upsert": upsert}
            if array_filters is not None:
                options["array_filters"] = array_filters
        scope = scope_of(self)
        if upsert:
            check_upsert(scope, "modify() or upsert_one()", of_one=True)
        collection = with_concerns(self._collection, write_concern, read_concern)

        def run(conditions: dict[str, Any], more: dict[str, Any]) -> Any:
            if remove:
                return collection.find_one_and_delete(conditions, **options, **more)
            return collection.find_one_and_update(conditions, change, **options, **more)

        found = _refused_as_update(lambda: self._on_first(scope, run, lambda raw: raw is not None))
        if found is None:
            return None
        dereferences = queryset._auto_dereference
        return self._document._from_son(found, _auto_dereference=dereferences)

    def _update_first(
        self,
        collection: Any,
        scope: Scope,
        change: Any,
        upsert: bool,
        array_filters: list[dict[str, Any]] | None,
    ) -> UpdateResult:
        def update(conditions: dict[str, Any], options: dict[str, Any]) -> UpdateResult:
            result: UpdateResult = collection.update_one(
                conditions, change, upsert=upsert, array_filters=array_filters, **options
            )
            return result

        def find(conditions: dict[str, Any], options: dict[str, Any]) -> UpdateResult:
            # The server's update of one document takes no ordering before version 8.
            if array_filters is not None:
                options = {**options, "array_filters": array_filters}
            found = collection.find_one_and_update(
                conditions, change, projection={"_id": 1}, **options
            )
            if found is None and upsert:
                return update(scope.filter, scope.options)
            return _result(0 if found is None else 1)

        run = find if scope.first_needs_sort and not scope.skip else update
        done = self._on_first(scope, run, _touched)
        return done or _result(0)

    def _on_first(
        self,
        scope: Scope,
        run: Callable[[dict[str, Any], dict[str, Any]], Result],
        is_done: Callable[[Result], bool],
    ) -> Result | None:
        """``run`` with the filter and options for the first document that iterating shows."""
        if scope.is_empty:
            return None
        if not scope.skip:
            sort = {"sort": scope.sort} if scope.first_needs_sort else {}
            return run(scope.filter, {**scope.options, **sort})
        for _ in range(_ATTEMPTS):
            key = keys_of(self, to_write=True, first=True)
            if not key:
                return None
            result = run(*scope.among(key))
            if is_done(result):
                return result
            # Somebody was quicker: it is not what was asked for any more.
        raise OperationError(
            f"the first document was changed by others {_ATTEMPTS} times before it could be "
            "updated; nothing was written"
        )

    def _change(self, update: dict[str, Any], upsert: bool, array_filters: Any) -> tuple[Any, Any]:
        """The update for the server, with the time stamps, the version and the class of the
        document that it may insert, and its array filters."""
        queryset: Any = self
        model, name = self._document, self._document._class_name
        asked = queryset._query if upsert else None
        names_class = upsert and queryset._cls_query
        stamped = stamped_update(model, update, upsert=upsert, query=asked)
        keywords = counted_update(model, stamped)
        raw = keywords.get("__raw__")
        if isinstance(raw, list):
            if len(keywords) > 1:
                others = ", ".join(sorted(keywords.keys() - {"__raw__"}))
                raise OperationError(
                    f"a pipeline is all of an update; it doesn't go with {others}"
                )
            stages = [transform.update(model, __raw__=stage) for stage in raw]
            own = [{"$set": {"_cls": {"$ifNull": ["$_cls", name]}}}]
            return [*stages, *(own if names_class else ())], array_filters
        change, filters = update_of(model, keywords, array_filters)
        if names_class and not any("_cls" in change.get(op, ()) for op in _SETTING):
            change["$setOnInsert"] = {**change.get("$setOnInsert", {}), "_cls": name}
        return change, filters


_SETTING = ("$set", "$setOnInsert")


def _touched(result: UpdateResult) -> bool:
    return not result.acknowledged or bool(_affected(result))


def _affected(result: UpdateResult) -> int:
    """How many documents were updated or inserted."""
    raw: Any = result.raw_result
    return int(raw["n"])


def _together(results: list[UpdateResult]) -> UpdateResult:
    if len(results) == 1:
        return results[0]
    if not all(result.acknowledged for result in results):
        return UpdateResult({}, acknowledged=False)
    return _result(
        sum(result.matched_count for result in results),
        nModified=sum(result.modified_count for result in results),
    )


def _result(matched: int, **more: Any) -> UpdateResult:
    raw = {"n": matched, "updatedExisting": matched > 0, "ok": 1.0, **more}
    return UpdateResult(raw, acknowledged=True)


def _refused_as_update(run: Callable[[], Result]) -> Result:
    try:
        return run()
    except DuplicateKeyError as exc:
        raise NotUniqueError(f"Update failed ({exc})") from exc
    except OperationFailure as exc:
        raise OperationError(f"Update failed ({exc})") from exc
