"""What querysets have for web pages, as type checkers see it."""

from typing import Any, Generic, TypeVar

from mongoengine.queryset.visitor import QNode  # what MongoEngine's own ``Q`` is

from datalayer.documents._conditions import Q
from datalayer.documents.querysets.pages.keyset import CursorPagination
from datalayer.documents.querysets.pages.numbered import ListFieldPagination, Pagination

Item = TypeVar("Item")

class PageQueries(Generic[Item]):
    """One document or a 404, and pages."""

    def get_or_404(
        self, *q_objs: Q | QNode, _message_404: str | None = None, **query: Any
    ) -> Item: ...
    def first_or_404(
        self, message: str | None = None, *, description: str | None = None, **other: str | None
    ) -> Item: ...
    def one_or_404(
        self, *q_objs: Q | QNode, _message_404: str | None = None, **query: Any
    ) -> Item: ...
    def paginate(
        self,
        page: int | str = 1,
        per_page: int | str = 20,
        *,
        error_out: bool = True,
        max_per_page: int | None = None,
        total: int | None = None,
    ) -> Pagination[Item]: ...
    def paginate_field(
        self,
        field_name: str,
        doc_id: Any,
        page: int | str,
        per_page: int | str = 20,
        total: int | None = None,
    ) -> ListFieldPagination: ...
    def paginate_after(
        self,
        cursor: str | None = None,
        per_page: int | str = 20,
        *,
        error_out: bool = True,
        max_per_page: int | None = None,
        secret_key: str | bytes | None = None,
    ) -> CursorPagination[Item]: ...
