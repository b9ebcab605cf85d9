"""Profiles: what a user shows of himself, and where he is."""

from __future__ import annotations

from datetime import date

from mongoengine import CASCADE
from mongoengine.errors import ValidationError

from datalayer.documents import BusinessDocument, EmbeddedDocument, QuerySet
from datalayer.fields import (
    BooleanField,
    DateField,
    EmbeddedDocumentField,
    PointField,
    ReferenceField,
    StringField,
)
from datalayer.models.business.user import User


class Preferences(EmbeddedDocument):
    """What a user likes to have it like."""

    language = StringField(max_length=35, default="en")  # the longest tag that BCP 47 foresees
    time_zone = StringField(max_length=64, default="UTC")
    theme = StringField(choices=("system", "light", "dark"), default="system")
    email_notifications = BooleanField(default=True)


class Profile(BusinessDocument):
    """The one profile of a user; deleted with the user."""

    user = ReferenceField(User, required=True, unique=True, reverse_delete_rule=CASCADE)
    display_name = StringField(required=True, min_length=1, max_length=80)
    about = StringField(max_length=2000)
    birth_date = DateField()
    location = PointField()
    preferences = EmbeddedDocumentField(Preferences, default=Preferences)

    meta = {"collection": "profiles"}

    @classmethod
    def of(cls, user: User) -> Profile | None:
        """The profile of ``user``."""
        found: Profile | None = cls.objects(user=user).first()
        return found

    @classmethod
    def near(cls, longitude: float, latitude: float, kilometres: float) -> QuerySet[Profile]:
        """The profiles within ``kilometres`` of a point in degrees, the nearest first."""
        return cls.objects(
            location__near=[longitude, latitude], location__max_distance=kilometres * 1000
        )

    def clean(self) -> None:
        """Check the date of birth and the coordinates, and tidy the name."""
        super().clean()
        if isinstance(self.display_name, str):
            self.display_name = " ".join(self.display_name.split())
        if isinstance(self.birth_date, date) and not date(1900, 1, 1) <= self.birth_date:
            raise ValidationError("a birth date is not before 1900", field_name="birth_date")
        if isinstance(self.birth_date, date) and self.birth_date > date.today():
            raise ValidationError("a birth date is in the past", field_name="birth_date")
        _check_coordinates(self.location)


def _check_coordinates(location: object) -> None:
    point = location.get("coordinates") if isinstance(location, dict) else location
    if not isinstance(point, (list, tuple)) or len(point) != 2:
        return  # the field itself complains
    if not all(isinstance(degrees, (int, float)) for degrees in point):
        return
    longitude, latitude = point
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise ValidationError(
            "a location is [longitude, latitude], from -180 to 180 and from -90 to 90 degrees",
            field_name="location",
        )
