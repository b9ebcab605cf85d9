"""What querysets have for web pages: one document or a 404, and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mongoengine.errors import DoesNotExist, MultipleObjectsReturned, ValidationError

from datalayer.documents.querysets.pages.not_found import not_found
from datalayer.documents.querysets.pages.request_numbers import PER_PAGE, per_page_of

if TYPE_CHECKING:  # pages are imported with the first one: not every program has them
    from datalayer.documents.querysets.pages.keyset import CursorPagination
    from datalayer.documents.querysets.pages.numbered import ListFieldPagination, Pagination


class PageQueries:
    """For a queryset before MongoEngine's."""

    _document: Any

    def get_or_404(self, *q_objs: Any, _message_404: str | None = None, **query: Any) -> Any:
        """The one document that matches, as ``get`` gives it.

        ``_message_404`` is what the page says where there is none; so is ``message`` or
        ``description``, unless the model has a field of that name.

        Raises:
            NotFound: Werkzeug's, where there is none, and for a value that no document can have,
                such as a bad id.
            MultipleObjectsReturned: the model's, where there are several.
        """
        message = _message_404 or self._message(query)
        try:
            return self.get(*q_objs, **query)  # type: ignore[attr-defined]
        except (DoesNotExist, ValidationError):
            raise not_found(message) from None

    def first_or_404(
        self, message: str | None = None, *, description: str | None = None, **other: str | None
    ) -> Any:
        """The first document, as ``first`` gives it.

        ``message`` is what the page says where there is none; ``description`` and
        ``_message_404`` are other names of it.

        Raises:
            NotFound: Werkzeug's, where there is none.
        """
        if unknown := other.keys() - {"_message_404"}:
            raise TypeError(f"first_or_404() has no argument {min(unknown)!r}")
        found = self.first()  # type: ignore[attr-defined]
        if found is None:
            raise not_found(message or description or other.get("_message_404"))
        return found

    def one_or_404(self, *q_objs: Any, _message_404: str | None = None, **query: Any) -> Any:
        """Like ``get_or_404``, but several documents are answered with 404 too."""
        message = _message_404 or self._message(query)
        try:
            return self.get_or_404(*q_objs, _message_404=message, **query)
        except MultipleObjectsReturned:
            raise not_found(message) from None

    def paginate(
        self,
        page: int | str = 1,
        per_page: int | str = PER_PAGE,
        *,
        error_out: bool = True,
        max_per_page: int | None = None,
        total: int | None = None,
    ) -> Pagination[Any]:
        """The documents of one page, counted from 1, with the number of all; see ``Pagination``.

        ``page`` and ``per_page`` may be text as a request has it; ``max_per_page`` bounds what a
        request may ask for. It takes one count and one query, and one for each collection that
        the documents refer to. The server walks over what comes before the page: for many pages
        use ``paginate_after``. With a ``total`` that is known nothing is counted.

        Raises:
            NotFound: Werkzeug's, unless ``error_out=False``, for a page that isn't there.
        """
        from datalayer.documents.querysets.pages.numbered import Pagination

        return Pagination(
            self, page, per_page, error_out=error_out, max_per_page=max_per_page, total=total
        )

    def paginate_field(
        self,
        field_name: str,
        doc_id: Any,
        page: int | str,
        per_page: int | str = PER_PAGE,
        total: int | None = None,
    ) -> ListFieldPagination:
        """One page of a list field of the document with the key ``doc_id``, without reading the
        rest of the list; see ``ListFieldPagination``.

        Raises:
            NotFound: Werkzeug's, for a document that this queryset doesn't show, and for a page
                that isn't there.
            OperationError: for a field that holds no list.
        """
        from datalayer.documents.querysets.pages.numbered import ListFieldPagination

        return ListFieldPagination(self, doc_id, field_name, page, per_page, total)

    def paginate_after(
        self,
        cursor: str | None = None,
        per_page: int | str = PER_PAGE,
        *,
        error_out: bool = True,
        max_per_page: int | None = None,
        secret_key: str | bytes | None = None,
    ) -> CursorPagination[Any]:
        """The page that ``cursor``, the ``next`` or ``previous`` of another page, names; without
        one, the first.

        Pages follow the queryset's order, of any fields, with ``_id`` after them. Nothing is
        counted and nothing skipped, so that page 10,000 takes as long as the first, where an
        index has the fields of the order and then ``id``, and what comes or goes meanwhile shifts
        no page. A page after the last document is empty.

        A cursor holds the values that a document is ordered by, readable for whoever looks
        closely. With ``secret_key`` it is signed, so that only cursors of the application's own
        are taken; without, one can be made up, which chooses a place in the order and nothing
        else.

        Raises:
            NotFound: Werkzeug's, for what is no cursor of this order and collection.
            ValidationError: instead of that, with ``error_out=False``.
            OperationError: for an order by a list, by a secret field, or by a text's score, and
                for a queryset with ``limit()``, ``skip()`` or a slice.
        """
        from datalayer.documents.querysets.pages.keyset import page_of

        size = per_page_of(per_page, max_per_page, error_out)
        try:
            return page_of(self, cursor, size, secret_key)
        except ValidationError as exc:
            if error_out:
                raise not_found(exc.message) from None
            raise

    def _message(self, query: dict[str, Any]) -> str | None:
        """What the page is to say, taken out of ``query``."""
        fields = self._document._fields
        found = [
            query.pop(name)
            for name in ("message", "description")
            if name not in fields and name in query
        ]
        return found[0] if found else None
