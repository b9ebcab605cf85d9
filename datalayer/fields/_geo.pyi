"""Fields of places: read as they were assigned or stored, GeoJSON or coordinates."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, overload

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

Position: TypeAlias = dict[str, Any] | Sequence[float]
Positions: TypeAlias = dict[str, Any] | Sequence[Sequence[float]]
Rings: TypeAlias = dict[str, Any] | Sequence[Sequence[Sequence[float]]]
ManyRings: TypeAlias = dict[str, Any] | Sequence[Sequence[Sequence[Sequence[float]]]]

class GeoJsonBaseField(Field[Get, Set]):
    """A place as GeoJSON has it."""

    def __init__(self, auto_index: bool = True, *args: Any, **kwargs: Any) -> None: ...

PointGet = TypeVar("PointGet", covariant=True, default=Sequence[float] | None)
PointSet = TypeVar("PointSet", contravariant=True, default=Sequence[float] | None)
PositionGet = TypeVar("PositionGet", covariant=True, default=Position | None)
PositionSet = TypeVar("PositionSet", contravariant=True, default=Position | None)
PositionsGet = TypeVar("PositionsGet", covariant=True, default=Positions | None)
PositionsSet = TypeVar("PositionsSet", contravariant=True, default=Positions | None)
RingsGet = TypeVar("RingsGet", covariant=True, default=Rings | None)
RingsSet = TypeVar("RingsSet", contravariant=True, default=Rings | None)
ManyRingsGet = TypeVar("ManyRingsGet", covariant=True, default=ManyRings | None)
ManyRingsSet = TypeVar("ManyRingsSet", contravariant=True, default=ManyRings | None)

class GeoPointField(Field[PointGet, PointSet]):
    """A longitude and a latitude, in a flat index."""

    @overload
    def __init__(
        self: GeoPointField[Sequence[float], Sequence[float] | None],
        *args: Any,
        default: Default[Sequence[float]],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: GeoPointField[Sequence[float], Sequence[float]],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: GeoPointField[Sequence[float] | None, Sequence[float] | None],
        db_field: str | None = None,
        required: bool = False,
        default: Default[Sequence[float]] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class PointField(GeoJsonBaseField[PositionGet, PositionSet]):
    """A point, as GeoJSON or as its coordinates."""

    @overload
    def __init__(
        self: PointField[Position, Position | None],
        *args: Any,
        default: Default[Position],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: PointField[Position, Position], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: PointField[Position | None, Position | None],
        auto_index: bool = True,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Position] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class LineStringField(GeoJsonBaseField[PositionsGet, PositionsSet]):
    """A line, as GeoJSON or as its coordinates."""

    @overload
    def __init__(
        self: LineStringField[Positions, Positions | None],
        *args: Any,
        default: Default[Positions],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: LineStringField[Positions, Positions],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: LineStringField[Positions | None, Positions | None],
        auto_index: bool = True,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Positions] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class PolygonField(GeoJsonBaseField[RingsGet, RingsSet]):
    """A polygon, as GeoJSON or as its coordinates."""

    @overload
    def __init__(
        self: PolygonField[Rings, Rings | None],
        *args: Any,
        default: Default[Rings],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: PolygonField[Rings, Rings], *args: Any, required: Literal[True], **options: Any
    ) -> None: ...
    @overload
    def __init__(
        self: PolygonField[Rings | None, Rings | None],
        auto_index: bool = True,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Rings] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class MultiPointField(GeoJsonBaseField[PositionsGet, PositionsSet]):
    """Points, as GeoJSON or as their coordinates."""

    @overload
    def __init__(
        self: MultiPointField[Positions, Positions | None],
        *args: Any,
        default: Default[Positions],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: MultiPointField[Positions, Positions],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: MultiPointField[Positions | None, Positions | None],
        auto_index: bool = True,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Positions] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class MultiLineStringField(GeoJsonBaseField[RingsGet, RingsSet]):
    """Lines, as GeoJSON or as their coordinates."""

    @overload
    def __init__(
        self: MultiLineStringField[Rings, Rings | None],
        *args: Any,
        default: Default[Rings],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: MultiLineStringField[Rings, Rings],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: MultiLineStringField[Rings | None, Rings | None],
        auto_index: bool = True,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[Rings] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...

class MultiPolygonField(GeoJsonBaseField[ManyRingsGet, ManyRingsSet]):
    """Polygons, as GeoJSON or as their coordinates."""

    @overload
    def __init__(
        self: MultiPolygonField[ManyRings, ManyRings | None],
        *args: Any,
        default: Default[ManyRings],
        null: Literal[False] = False,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: MultiPolygonField[ManyRings, ManyRings],
        *args: Any,
        required: Literal[True],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: MultiPolygonField[ManyRings | None, ManyRings | None],
        auto_index: bool = True,
        *,
        db_field: str | None = None,
        required: bool = False,
        default: Default[ManyRings] | None = None,
        unique: bool = False,
        unique_with: UniqueWith = None,
        primary_key: bool = False,
        validation: Validation = None,
        choices: Choices = None,
        null: bool = False,
        sparse: bool = False,
        **metadata: Any,
    ) -> None: ...
