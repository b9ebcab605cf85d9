"""What all fields are to a type checker."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Self, TypeAlias, overload

from typing_extensions import TypeVar

Get = TypeVar("Get", covariant=True, default=Any)
Set = TypeVar("Set", contravariant=True, default=Any)
Value = TypeVar("Value")

Default: TypeAlias = Value | Callable[[], Value]
Choices: TypeAlias = Iterable[Any] | Callable[[], Iterable[Any]] | None
UniqueWith: TypeAlias = str | Sequence[str] | None
Validation: TypeAlias = Callable[[Any], Any] | None

class Field(Generic[Get, Set]):
    """An attribute of documents: reading it gives ``Get``, assigning takes ``Set``."""

    name: str
    db_field: str
    required: bool
    default: Any
    unique: bool
    unique_with: UniqueWith
    primary_key: bool
    validation: Validation
    choices: Any
    null: bool
    sparse: bool
    owner_document: Any
    def __init__(
        self,
        db_field: str | None = None,
        required: bool = False,
        default: Any = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **kwargs: Any,
    ) -> None: ...
    @overload
    def __get__(self, instance: None, owner: Any) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: Any) -> Get: ...
    def __set__(self, instance: object, value: Set) -> None: ...
    def error(
        self, message: str = "", errors: Any = None, field_name: str | None = None
    ) -> Any: ...
    def to_python(self, value: Any) -> Any: ...
    def to_mongo(self, value: Any) -> Any: ...
    def validate(self, value: Any, clean: bool = True) -> None: ...
    def prepare_query_value(self, op: str | None, value: Any) -> Any: ...
    def set_auto_dereferencing(self, value: bool) -> None: ...

BaseField = Field

class ComplexBaseField(Field[Get, Set]):
    """A field of several values."""

    field: Field[Any, Any] | None
    def __init__(self, field: Field[Any, Any] | None = None, **kwargs: Any) -> None: ...
