"""Fields of keys, bytes, members of enumerations, and of anything."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, overload
from uuid import UUID

from bson import ObjectId
from typing_extensions import TypeVar

from datalayer.fields._field import (
    Choices,
    Default,
    Field,
    Get,
    Set,
    UniqueWith,
    Validation,
)

Member = TypeVar("Member", bound=Enum)
IdGet = TypeVar("IdGet", covariant=True, default=ObjectId | None)
IdSet = TypeVar("IdSet", contravariant=True, default=ObjectId | None)
UuidGet = TypeVar("UuidGet", covariant=True, default=UUID | None)
UuidSet = TypeVar("UuidSet", contravariant=True, default=UUID | None)
BytesGet = TypeVar("BytesGet", covariant=True, default=bytes | None)
BytesSet = TypeVar("BytesSet", contravariant=True, default=bytes | bytearray | None)
RawGet = TypeVar("RawGet", covariant=True, default=dict[str, Any] | None)
RawSet = TypeVar("RawSet", contravariant=True, default=Mapping[str, Any] | None)

class ObjectIdField(Field[IdGet, IdSet]):
    """An ``ObjectId``."""

    @overload
    def __init__(
        self: ObjectIdField[ObjectId, ObjectId | None],
        *args: Any,
        default: Default[ObjectId],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: ObjectIdField[ObjectId, ObjectId],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: ObjectIdField[ObjectId, ObjectId],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: ObjectIdField[ObjectId | None, ObjectId | None],
        db_field: str | None = None,
        required: bool = False,
        default: Default[ObjectId] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class UUIDField(Field[UuidGet, UuidSet]):
    """A UUID."""

    @overload
    def __init__(
        self: UUIDField[UUID, UUID | None],
        *args: Any,
        default: Default[UUID],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: UUIDField[UUID, UUID], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: UUIDField[UUID, UUID], *args: Any, primary_key: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: UUIDField[UUID | None, UUID | None],
        binary: bool = True,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[UUID] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class BinaryField(Field[BytesGet, BytesSet]):
    """Bytes."""

    @overload
    def __init__(
        self: BinaryField[bytes, bytes | bytearray | None],
        *args: Any,
        default: Default[bytes | bytearray],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: BinaryField[bytes, bytes | bytearray],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: BinaryField[bytes, bytes | bytearray],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: BinaryField[bytes | None, bytes | bytearray | None],
        max_bytes: int | None = None,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[bytes | bytearray] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class EnumField(Field[Get, Set]):
    """A member of an enumeration."""

    @overload
    def __init__(
        self: EnumField[Member, Member | str | int | None],
        enum: type[Member],
        *args: Any,
        default: Default[Member | str | int],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: EnumField[Member, Member | str | int],
        enum: type[Member],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: EnumField[Member, Member | str | int],
        enum: type[Member],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: EnumField[Member | None, Member | str | int | None],
        enum: type[Member],
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Member | str | int] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class RawDictField(Field[RawGet, RawSet]):
    """A mapping that is stored as it is."""

    @overload
    def __init__(
        self: RawDictField[dict[str, Any], Mapping[str, Any] | None],
        *args: Any,
        default: Default[Mapping[str, Any]],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: RawDictField[dict[str, Any], Mapping[str, Any]],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: RawDictField[dict[str, Any], Mapping[str, Any]],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: RawDictField[dict[str, Any] | None, Mapping[str, Any] | None],
        *,
        max_bytes: int | None = None,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Mapping[str, Any]] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class DynamicField(Field[Any, Any]):
    """Whatever the database can store."""
