"""Fields of numbers, and of yes and no."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal, overload

from bson import Decimal128
from typing_extensions import TypeVar

from datalayer.fields._field import (
    Choices,
    Default,
    Field,
    UniqueWith,
    Validation,
)

IntGet = TypeVar("IntGet", covariant=True, default=int | None)
IntSet = TypeVar("IntSet", contravariant=True, default=int | None)
FloatGet = TypeVar("FloatGet", covariant=True, default=float | None)
FloatSet = TypeVar("FloatSet", contravariant=True, default=float | None)
DecimalGet = TypeVar("DecimalGet", covariant=True, default=Decimal | None)
DecimalSet = TypeVar("DecimalSet", contravariant=True, default=Decimal | None)
MoneyGet = TypeVar("MoneyGet", covariant=True, default=Decimal | None)
MoneySet = TypeVar("MoneySet", contravariant=True, default=Decimal | Decimal128 | int | str | None)
BoolGet = TypeVar("BoolGet", covariant=True, default=bool | None)
BoolSet = TypeVar("BoolSet", contravariant=True, default=bool | None)

class IntField(Field[IntGet, IntSet]):
    """A whole number of 64 bits."""

    @overload
    def __init__(
        self: IntField[int, int | None],
        *args: Any,
        default: Default[int],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: IntField[int, int], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: IntField[int, int], *args: Any, primary_key: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: IntField[int | None, int | None],
        min_value: int | None = None,
        max_value: int | None = None,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[int] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class LongField(IntField[IntGet, IntSet]):
    """``IntField`` by its older name."""

    @overload
    def __init__(
        self: LongField[int, int | None],
        *args: Any,
        default: Default[int],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: LongField[int, int], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: LongField[int, int], *args: Any, primary_key: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: LongField[int | None, int | None],
        min_value: int | None = None,
        max_value: int | None = None,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[int] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class FloatField(Field[FloatGet, FloatSet]):
    """A binary fraction."""

    @overload
    def __init__(
        self: FloatField[float, float | None],
        *args: Any,
        default: Default[float],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: FloatField[float, float], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: FloatField[float, float], *args: Any, primary_key: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: FloatField[float | None, float | None],
        min_value: float | None = None,
        max_value: float | None = None,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[float] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class DecimalField(Field[DecimalGet, DecimalSet]):
    """A decimal number, stored as a float or as text."""

    @overload
    def __init__(
        self: DecimalField[Decimal, Decimal | None],
        *args: Any,
        default: Default[Decimal],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: DecimalField[Decimal, Decimal], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: DecimalField[Decimal, Decimal],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: DecimalField[Decimal | None, Decimal | None],
        min_value: Decimal | float | None = None,
        max_value: Decimal | float | None = None,
        force_string: bool = False,
        precision: int = 2,
        rounding: str = ROUND_HALF_UP,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Decimal] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class Decimal128Field(Field[DecimalGet, DecimalSet]):
    """A decimal number, stored as one."""

    @overload
    def __init__(
        self: Decimal128Field[Decimal, Decimal | None],
        *args: Any,
        default: Default[Decimal],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: Decimal128Field[Decimal, Decimal],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: Decimal128Field[Decimal, Decimal],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: Decimal128Field[Decimal | None, Decimal | None],
        min_value: Decimal | float | None = None,
        max_value: Decimal | float | None = None,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Decimal] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class MoneyField(Decimal128Field[MoneyGet, MoneySet]):
    """An amount of money."""

    @overload
    def __init__(
        self: MoneyField[Decimal, Decimal | Decimal128 | int | str | None],
        *args: Any,
        default: Default[Decimal | Decimal128 | int | str],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: MoneyField[Decimal, Decimal | Decimal128 | int | str],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: MoneyField[Decimal, Decimal | Decimal128 | int | str],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: MoneyField[Decimal | None, Decimal | Decimal128 | int | str | None],
        min_value: Decimal | int | None = None,
        max_value: Decimal | int | None = None,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Decimal | Decimal128 | int | str] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class BooleanField(Field[BoolGet, BoolSet]):
    """True or false."""

    @overload
    def __init__(
        self: BooleanField[bool, bool | None],
        *args: Any,
        default: Default[bool],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: BooleanField[bool, bool], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: BooleanField[bool, bool], *args: Any, primary_key: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: BooleanField[bool | None, bool | None],
        db_field: str | None = None,
        required: bool = False,
        default: Default[bool] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...
