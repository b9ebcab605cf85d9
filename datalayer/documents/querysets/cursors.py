"""The cursor of a queryset and what it has read: from which alias, within which time, and when it
is begun anew. Nothing that is asked inside a loop over a queryset disturbs the loop."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Self

from mongoengine.queryset.queryset import REPR_OUTPUT_SIZE

from datalayer import routing, transactions
from datalayer.connections.registry import registry
from datalayer.documents.collection import collection_of
from datalayer.documents.engine import asks_plainly, shown, stock
from datalayer.documents.querysets.matched_keys import keys_of
from datalayer.documents.querysets.scope import BY_KEY


class _Cursor:
    """For a class before ``FastQueries``."""

    _document: Any
    _collection: Any
    _cursor_obj: Any
    _reads_ahead = False

    def _clone_into(self, new_qs: Any) -> Any:
        other: Any = super()._clone_into(new_qs)  # type: ignore[misc]
        if self._reads_ahead:
            other._reads_ahead = True
        self._pass_cursor(other)
        return other

    def _pass_cursor(self, other: Any) -> None:
        # A cursor that was begun, or built for other options, would not hear the refinements.
        other._cursor_obj = None
        other._iter = False

    @property
    def _cursor(self) -> Any:
        if self._cursor_obj is None:
            queryset: Any = self
            if asks_plainly(queryset):
                self._cursor_obj = queryset._collection.find(queryset._query)
            else:
                cursor = stock.cursor.__get__(queryset)
                is_cut = queryset._limit or queryset._skip
                ordering = queryset._ordering
                if ordering is None:
                    ordering = queryset._document._meta["ordering"]
                if queryset._search_text and is_cut and not ordering:
                    cursor.sort(BY_KEY)
                if queryset._max_time_ms is not None:
                    cursor.max_time_ms(queryset._max_time_ms)
        return self._cursor_obj

    def _chainable_method(self, method_name: str, val: Any) -> Any:
        other: Any = self.clone()  # type: ignore[attr-defined]
        setattr(other, f"_{method_name}", val)
        return other

    def max_time_ms(self, ms: int | None) -> Any:
        """Let no reading from the server take longer than so many milliseconds; 0 is no limit.

        Raises:
            TypeError: for what is no whole number.
        """
        if ms is not None and not isinstance(ms, int):
            raise TypeError(f"max_time_ms() takes whole milliseconds, not a {type(ms).__name__}")
        return self._chainable_method("max_time_ms", ms)

    def read_ahead(self) -> Self:
        """This queryset without its cache, whose next documents are read while the present ones
        are used.

            for order in Order.objects.read_ahead():
                send(order)

        A thread of each iteration asks for the next batch of documents when the present one
        begins to be used, so that a loop which does more than reading hardly waits for the
        server. At most two batches are in memory. The thread ends with the iteration, also with
        one that is left early. What goes wrong with a batch is raised where its first document
        is asked for. Inside ``db.transaction()`` and ``db.session()``, which belong to one
        thread, each batch is read when it is needed.
        """
        other: Any = self.no_cache()  # type: ignore[attr-defined]
        other._reads_ahead = True
        return other  # type: ignore[no-any-return]

    def using(self, alias: str | tuple[str, str]) -> Any:
        """This queryset on the database of another alias, or on the other database of a server
        that ``(alias, database)`` names.

        Raises:
            NotConnectedError: where the alias has no connection.
            TenantError: for a database that its operations may not be sent to.
        """
        connection = (
            routing.connection_of(alias)
            if isinstance(alias, str)
            else registry.connection_named(alias)
        )
        collection = collection_of(self._document, connection)
        if transactions.current() is None:
            preference = routing.read_preference_for(self._document, connection)
            if preference is not None:
                collection = collection.with_options(read_preference=preference)
        other: Any = self.clone()  # type: ignore[attr-defined]
        other._collection_obj = collection
        return other

    def no_sub_classes(self) -> Any:
        """Leave the documents of derived classes out, as MongoEngine does: in this queryset."""
        queryset: Any = super().no_sub_classes()  # type: ignore[misc]
        queryset._mongo_query = None
        queryset.rewind()
        return queryset

    def clear_cls_query(self) -> Any:
        """Without the condition on the class, as in MongoEngine."""
        other: Any = super().clear_cls_query()  # type: ignore[misc]
        other._mongo_query = None
        return other

    def rewind(self) -> None:
        """Forget what was read: the next iteration asks the server again."""
        self._cursor_obj = None
        self._iter = False

    def __getitem__(self, key: Any) -> Any:
        """The document at an index, of those that iterating shows, or a slice of them.

        Raises:
            IndexError: for an index that iterating doesn't reach, and for a negative one.
        """
        if not isinstance(key, int):
            part: Any = super().__getitem__(key)  # type: ignore[misc]
            part._cursor_obj = None  # it is built of the limits that were taken down
            return part
        queryset: Any = self
        limit = abs(queryset._limit or 0)
        if key < 0:
            raise IndexError("a queryset has no negative indices")
        if queryset._none or queryset._empty or (limit and key >= limit):
            raise IndexError(f"the queryset has no document at {key}")
        one = queryset.clone()
        one._skip = (queryset._skip or 0) + key
        one._limit = -1  # one batch, and the server keeps no cursor
        for document in shown(one):
            return document
        raise IndexError(f"the queryset has no document at {key}")

    def _has_data(self) -> bool:
        """Whether iterating shows anything."""
        return bool(keys_of(self.order_by(), first=True))  # type: ignore[attr-defined] # in any order

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        if state.get("_has_more", True):
            # The cursor stays behind: what it has given so far would be read a second time.
            for name in ("_result_cache", "_has_more", "_len", "_iter"):
                state.pop(name, None)
            state["_iter"] = False
        return dict(state)


class CachingCursor(_Cursor):
    """For a class before ``FastCachingQueries``."""

    def rewind(self) -> None:
        """Forget what was read: the next iteration asks the server again."""
        super().rewind()
        self._len = None
        self._has_more = True
        # Not None: an iteration that is under way goes on from its place.
        self._result_cache: list[Any] = []

    def _populate_cache(self) -> None:
        try:
            super()._populate_cache()  # type: ignore[misc]
        except BaseException:
            # A cursor that has failed shows no more, as if the documents ended there.
            self.rewind()
            raise

    def _has_data(self) -> bool:
        """Whether iterating shows anything."""
        return bool(getattr(self, "_result_cache", None)) or super()._has_data()


class PassingCursor(_Cursor):
    """For a class before ``FastPassingQueries``."""

    def __iter__(self) -> Iterator[Any]:
        return shown(self.clone())  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        found: list[Any] = list(islice(iter(self), REPR_OUTPUT_SIZE + 1))
        if len(found) > REPR_OUTPUT_SIZE:
            found[-1] = "...(remaining elements truncated)..."
        return repr(found)
