"""Fields that hold parts of a document."""

from collections.abc import Sequence
from typing import Any, Generic, Literal, overload

from typing_extensions import TypeVar

from datalayer.documents._document import EmbeddedDocument
from datalayer.fields._containers import ListField, ListGet, ListSet
from datalayer.fields._field import (
    Choices,
    Default,
    Field,
    Get,
    Set,
    UniqueWith,
    Validation,
)

Part = TypeVar("Part")  # of datalayer or of MongoEngine

class EmbeddedDocumentList(list[Part], Generic[Part]):
    """The parts in a field, searched and changed in place."""

    def filter(self, **kwargs: Any) -> EmbeddedDocumentList[Part]: ...
    def exclude(self, **kwargs: Any) -> EmbeddedDocumentList[Part]: ...
    def count(self) -> int: ...  # type: ignore[override] # MongoEngine counts all, not one value
    def get(self, **kwargs: Any) -> Part: ...
    def first(self) -> Part | None: ...
    def create(self, **values: Any) -> Part: ...
    def save(self, *args: Any, **kwargs: Any) -> None: ...
    def delete(self) -> int: ...
    def update(self, **update: Any) -> int: ...

class EmbeddedDocumentField(Field[Get, Set]):
    """A part of the document."""

    @overload
    def __init__(
        self: EmbeddedDocumentField[Part, Part | None],
        document_type: type[Part],
        *args: Any,
        default: Default[Part],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: EmbeddedDocumentField[Part, Part],
        document_type: type[Part],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: EmbeddedDocumentField[Part, Part],
        document_type: type[Part],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: EmbeddedDocumentField[Part | None, Part | None],
        document_type: type[Part],
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Part] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: EmbeddedDocumentField[Any, Any], document_type: str, *args: Any, **options: Any
    ) -> None: ...

class GenericEmbeddedDocumentField(Field[Get, Set]):
    """A part of the document, of any class."""

    @overload
    def __init__(
        self: GenericEmbeddedDocumentField[EmbeddedDocument, EmbeddedDocument],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: GenericEmbeddedDocumentField[EmbeddedDocument | None, EmbeddedDocument | None],
        db_field: str | None = None,
        *,
        required: bool = False,
        choices: Sequence[type[Any] | str] | None = None,
        default: Default[EmbeddedDocument] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class EmbeddedDocumentListField(ListField[ListGet, ListSet]):
    """Parts of the document, all of one class."""

    @overload
    def __init__(
        self: EmbeddedDocumentListField[
            EmbeddedDocumentList[Part], list[Part] | tuple[Part, ...] | None
        ],
        document_type: type[Part],
        *,
        max_length: int | None = None,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: EmbeddedDocumentListField[
            EmbeddedDocumentList[Any], list[Any] | tuple[Any, ...] | None
        ],
        document_type: str,
        *,
        max_length: int | None = None,
        **options: Any,
    ) -> None: ...
