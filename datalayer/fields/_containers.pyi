"""Fields that hold several values: never ``None``, but empty."""

from typing import Any, Never, TypeAlias, overload

from typing_extensions import TypeVar

from datalayer.fields._field import ComplexBaseField, Field

Item = TypeVar("Item")
ListGet = TypeVar("ListGet", covariant=True, default=list[Any])
ListSet = TypeVar("ListSet", contravariant=True, default=list[Any] | tuple[Any, ...] | None)
DictGet = TypeVar("DictGet", covariant=True, default=dict[str, Any])
DictSet = TypeVar("DictSet", contravariant=True, default=dict[str, Any] | None)
Items: TypeAlias = list[Item] | tuple[Item, ...] | None

class ListField(ComplexBaseField[ListGet, ListSet]):
    """A list."""

    @overload
    def __init__(
        self: ListField[list[Item], Items[Item]],
        field: Field[Item | None, Never],
        *,
        max_length: int | None = None,
        db_field: str | None = None,
        required: bool = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: ListField[list[Any], Items[Any]],
        field: None = None,
        *,
        max_length: int | None = None,
        db_field: str | None = None,
        required: bool = False,
        **options: Any,
    ) -> None: ...

class SortedListField(ListField[ListGet, ListSet]):
    """A list, sorted when it is saved."""

    def __init__(
        self: SortedListField[list[Item], Items[Item]],
        field: Field[Item | None, Never],
        *,
        max_length: int | None = None,
        ordering: str | None = None,
        reverse: bool = False,
        db_field: str | None = None,
        required: bool = False,
        **options: Any,
    ) -> None: ...

class DictField(ComplexBaseField[DictGet, DictSet]):
    """A mapping of text to anything, or to values of one field."""

    @overload
    def __init__(
        self: DictField[dict[str, Item], dict[str, Item] | None],
        field: Field[Item | None, Never],
        *,
        db_field: str | None = None,
        required: bool = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: DictField[dict[str, Any], dict[str, Any] | None],
        field: None = None,
        *,
        db_field: str | None = None,
        required: bool = False,
        **options: Any,
    ) -> None: ...

class MapField(DictField[DictGet, DictSet]):
    """A mapping of text to values of one field."""

    def __init__(
        self: MapField[dict[str, Item], dict[str, Item] | None],
        field: Field[Item | None, Never],
        *,
        db_field: str | None = None,
        required: bool = False,
        **options: Any,
    ) -> None: ...
