"""The models that the recorder's tests store, and what its programs share with them."""

from __future__ import annotations

from typing import Any

from mongoengine.fields import IntField, StringField

from datalayer import AnalyticsDocument
from datalayer.documents import UTCDateTimeField
from datalayer.recorder.spool.frames import VERSION_1


class Click(AnalyticsDocument):
    number = IntField()
    text = StringField()
    meta = {"collection": "clicks"}


class Visit(AnalyticsDocument):
    number = IntField(unique=True)
    meta = {"collection": "visits", "timestamps": False}


class Animal(AnalyticsDocument):
    number = IntField()
    meta = {"collection": "animals", "allow_inheritance": True, "timestamps": False}


class Cat(Animal):
    pass


class Seat(AnalyticsDocument):
    number = IntField()
    meta = {"collection": "seats", "timestamps": False, "versioned": True}


class Broken(AnalyticsDocument):
    meta = {"collection": "broken"}

    def to_mongo(self, *args: Any, **kwargs: Any) -> Any:
        raise ValueError("canary")


class Reading(AnalyticsDocument):
    at = UTCDateTimeField(required=True)
    number = IntField()
    meta = {
        "collection": "readings",
        "timestamps": False,
        "timeseries": {"timeField": "at", "granularity": "seconds"},
    }


def framed(kind: int, written_at: float, header: bytes, documents: list[bytes]) -> bytes:
    """The bytes of a frame of version 1."""
    return VERSION_1.framed(0, kind, written_at, header, documents)
