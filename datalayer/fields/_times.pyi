"""Fields of points in time and days."""

from datetime import date, datetime
from typing import Any, Literal, overload

from typing_extensions import TypeVar

from datalayer.fields._field import (
    Choices,
    Default,
    Field,
    UniqueWith,
    Validation,
)
from datalayer.fields._text import StringField

MomentGet = TypeVar("MomentGet", covariant=True, default=datetime | None)
MomentSet = TypeVar("MomentSet", contravariant=True, default=datetime | None)
DayGet = TypeVar("DayGet", covariant=True, default=date | None)
DaySet = TypeVar("DaySet", contravariant=True, default=date | None)
PreciseGet = TypeVar("PreciseGet", covariant=True, default=datetime | None)
PreciseSet = TypeVar("PreciseSet", contravariant=True, default=datetime | str | None)
UtcGet = TypeVar("UtcGet", covariant=True, default=datetime | None)
UtcSet = TypeVar("UtcSet", contravariant=True, default=date | str | None)

class DateTimeField(Field[MomentGet, MomentSet]):
    """A point in time, as it was given."""

    @overload
    def __init__(
        self: DateTimeField[datetime, datetime | None],
        *args: Any,
        default: Default[datetime],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: DateTimeField[datetime, datetime],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: DateTimeField[datetime, datetime],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: DateTimeField[datetime | None, datetime | None],
        db_field: str | None = None,
        required: bool = False,
        default: Default[datetime] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class DateField(DateTimeField[DayGet, DaySet]):
    """A day."""

    @overload
    def __init__(
        self: DateField[date, date | None],
        *args: Any,
        default: Default[date],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: DateField[date, date], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: DateField[date, date], *args: Any, primary_key: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: DateField[date | None, date | None],
        db_field: str | None = None,
        required: bool = False,
        default: Default[date] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class ComplexDateTimeField(StringField[PreciseGet, PreciseSet]):
    """A point in time with microseconds, stored as text."""

    @overload
    def __init__(
        self: ComplexDateTimeField[datetime, datetime | str | None],
        *args: Any,
        default: Default[datetime | str],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: ComplexDateTimeField[datetime, datetime | str],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: ComplexDateTimeField[datetime, datetime | str],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: ComplexDateTimeField[datetime | None, datetime | str | None],
        separator: str = ",",
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[datetime | str] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class UTCDateTimeField(DateTimeField[UtcGet, UtcSet]):
    """A point in time, aware and in UTC."""

    @overload
    def __init__(
        self: UTCDateTimeField[datetime, date | str | None],
        *args: Any,
        default: Default[date | str],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: UTCDateTimeField[datetime, date | str],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: UTCDateTimeField[datetime, date | str],
        *args: Any,
        primary_key: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: UTCDateTimeField[datetime | None, date | str | None],
        db_field: str | None = None,
        required: bool = False,
        default: Default[date | str] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...
