"""Fields that lead to other documents."""

from collections.abc import Sequence
from typing import Any, Generic, Literal, overload
from uuid import UUID

from bson import DBRef, ObjectId
from typing_extensions import TypeVar

from datalayer.documents._document import Document
from datalayer.fields._field import (
    Choices,
    Default,
    Field,
    Get,
    Set,
    UniqueWith,
    Validation,
)

Model = TypeVar("Model")  # of datalayer or of MongoEngine
CASCADE: int
DENY: int
DO_NOTHING: int
NULLIFY: int
PULL: int

class LazyReference(DBRef, Generic[Model]):
    """A reference that is fetched when it is asked to."""

    document_type: type[Model]
    passthrough: bool
    def __init__(
        self,
        document_type: type[Model],
        pk: Any,
        cached_doc: Model | None = None,
        passthrough: bool = False,
    ) -> None: ...
    @property
    def pk(self) -> Any: ...
    def fetch(self, force: bool = False) -> Model: ...
    def __getitem__(self, name: str) -> Any: ...

class ReferenceField(Field[Get, Set]):
    """A reference, read as the document that it leads to."""

    @overload
    def __init__(
        self: ReferenceField[Model, Model | DBRef | None],
        document_type: type[Model],
        *args: Any,
        default: Default[Model | DBRef],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: ReferenceField[Model, Model | DBRef],
        document_type: type[Model],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: ReferenceField[Model, Model | DBRef],
        document_type: type[Model],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: ReferenceField[Model | None, Model | DBRef | None],
        document_type: type[Model],
        dbref: bool = False,
        reverse_delete_rule: int = DO_NOTHING,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Model | DBRef] | None = None,
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
        self: ReferenceField[Any, Any], document_type: str, *args: Any, **options: Any
    ) -> None: ...

class CachedReferenceField(Field[Get, Set]):
    """A reference with some of the values that it leads to."""

    @overload
    def __init__(
        self: CachedReferenceField[Model, Model | DBRef | None],
        document_type: type[Model],
        *args: Any,
        default: Default[Model | DBRef],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: CachedReferenceField[Model, Model | DBRef],
        document_type: type[Model],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: CachedReferenceField[Model, Model | DBRef],
        document_type: type[Model],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: CachedReferenceField[Model | None, Model | DBRef | None],
        document_type: type[Model],
        fields: Sequence[str] | None = None,
        auto_sync: bool = True,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Model | DBRef] | None = None,
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
        self: CachedReferenceField[Any, Any], document_type: str, *args: Any, **options: Any
    ) -> None: ...

class LazyReferenceField(Field[Get, Set]):
    """A reference, fetched when it is asked to."""

    @overload
    def __init__(
        self: LazyReferenceField[
            LazyReference[Model],
            LazyReference[Model] | Model | DBRef | ObjectId | UUID | str | int | None,
        ],
        document_type: type[Model],
        *args: Any,
        default: Default[LazyReference[Model] | Model | DBRef | ObjectId | UUID | str | int],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: LazyReferenceField[
            LazyReference[Model],
            LazyReference[Model] | Model | DBRef | ObjectId | UUID | str | int,
        ],
        document_type: type[Model],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: LazyReferenceField[
            LazyReference[Model],
            LazyReference[Model] | Model | DBRef | ObjectId | UUID | str | int,
        ],
        document_type: type[Model],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: LazyReferenceField[
            LazyReference[Model] | None,
            LazyReference[Model] | Model | DBRef | ObjectId | UUID | str | int | None,
        ],
        document_type: type[Model],
        passthrough: bool = False,
        dbref: bool = False,
        reverse_delete_rule: int = DO_NOTHING,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[LazyReference[Model] | Model | DBRef | ObjectId | UUID | str | int]
        | None = None,
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
        self: LazyReferenceField[Any, Any], document_type: str, *args: Any, **options: Any
    ) -> None: ...

class GenericReferenceField(Field[Get, Set]):
    """A reference to a document of any model."""

    @overload
    def __init__(
        self: GenericReferenceField[Document, Document | DBRef | None],
        *args: Any,
        default: Default[Document | DBRef],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: GenericReferenceField[Document, Document | DBRef],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: GenericReferenceField[Document, Document | DBRef],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: GenericReferenceField[Document | None, Document | DBRef | None],
        db_field: str | None = None,
        required: bool = False,
        default: Default[Document | DBRef] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class GenericLazyReferenceField(GenericReferenceField[Get, Set]):
    """A reference to a document of any model, fetched when it is asked to."""

    @overload
    def __init__(
        self: GenericLazyReferenceField[
            LazyReference[Document], LazyReference[Document] | Document | DBRef | None
        ],
        *args: Any,
        default: Default[LazyReference[Document] | Document | DBRef],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: GenericLazyReferenceField[
            LazyReference[Document], LazyReference[Document] | Document | DBRef
        ],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: GenericLazyReferenceField[
            LazyReference[Document], LazyReference[Document] | Document | DBRef
        ],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: GenericLazyReferenceField[
            LazyReference[Document] | None, LazyReference[Document] | Document | DBRef | None
        ],
        db_field: str | None = None,
        required: bool = False,
        default: Default[LazyReference[Document] | Document | DBRef] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...
