"""Fields that hold points, lines and areas, as they are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mongoengine.base.fields import GeoJsonBaseField
from mongoengine.fields import GeoPointField

from datalayer.documents.json_schema.place import Place
from datalayer.documents.json_schema.single_values import NUMBER, Schema

_LEVELS = {"LineString": 1, "MultiPoint": 1, "Polygon": 2, "MultiLineString": 2, "MultiPolygon": 3}


def levels_of(field: Any) -> int:
    """How many lists there are around a point in the coordinates of a GeoJSON field."""
    return _LEVELS.get(field._type, 0)


def _geojson(field: Any, place: Place) -> Schema:
    if field._type.endswith("Polygon"):
        place.leave_out("rings", "whether a ring ends where it begins")
    coordinates = _point(field, place)
    for _ in range(levels_of(field)):
        coordinates = {"bsonType": "array", "items": coordinates, "minItems": 1}
    return {
        "bsonType": "object",
        "properties": {"type": {"enum": [field._type]}, "coordinates": coordinates},
        "required": ["type", "coordinates"],
        "additionalProperties": False,
    }


def _point(field: Any, place: Place) -> Schema:
    place.leave_out("coordinates", "validate() takes booleans for numbers")
    numbers = {"bsonType": list(NUMBER)}
    return {"bsonType": "array", "items": numbers, "minItems": 2, "maxItems": 2}


GEOMETRY: Mapping[type, Callable[[Any, Place], Schema]] = {
    GeoJsonBaseField: _geojson,
    GeoPointField: _point,
}
"""By the class: a function of a field and its place that gives the schema of its values."""
