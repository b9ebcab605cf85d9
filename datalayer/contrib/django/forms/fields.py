"""Form fields for what documents hold and Django's forms lack: lists, mappings, places, ids."""

from __future__ import annotations

import copy
import math
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from bson import ObjectId, json_util
from bson.errors import BSONError, InvalidId
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from datalayer.documents.extended_json import JSON_OPTIONS


class LinesField(forms.Field):
    """A list of single values, one a line, each of which ``item`` cleans; empty lines are left
    out."""

    widget = forms.Textarea
    default_error_messages = {"item": "Line %(line)d: %(problem)s"}

    def __init__(self, item: forms.Field, *, max_items: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.item, self.max_items = item, max_items

    def __deepcopy__(self, memo: Any) -> Any:
        copied = super().__deepcopy__(memo)
        copied.item = copy.deepcopy(self.item, memo)
        return copied

    def prepare_value(self, value: Any) -> Any:
        """A list as lines; what was typed stays as it is."""
        if isinstance(value, str) or value is None:
            return value
        return "\n".join(str(self.item.prepare_value(each)) for each in value)

    def to_python(self, value: Any) -> list[Any]:
        """The list of cleaned values."""
        found, problems = [], []
        lines = value.splitlines() if isinstance(value, str) else list(value or ())
        for number, line in enumerate(lines, 1):
            text = line.strip() if isinstance(line, str) else line
            if text in (None, ""):
                continue
            try:
                found.append(self.item.clean(text))
            except ValidationError as exc:
                for problem in exc.messages:
                    shown = {"line": number, "problem": problem}
                    problems.append(ValidationError(self.error_messages["item"], "item", shown))
        if problems:
            raise ValidationError(problems)
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether another list was sent."""
        try:
            return bool(self.to_python(data) != list(initial or ()))
        except ValidationError:
            return True


_UNREADABLE = (
    ArithmeticError,
    AttributeError,
    BSONError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What the driver's reader of Extended JSON fails with, besides saying what is wrong."""


class JSONObjectField(forms.CharField):
    """A mapping, or with ``kind=list`` a list, as MongoDB's relaxed Extended JSON: points in time
    and ids come back as what they were."""

    widget = forms.Textarea
    default_error_messages = {
        "invalid": "Write it as JSON.",
        "kind": "Write it as JSON's object, as {…}.",
        "list": "Write it as JSON's list, as […].",
    }

    def __init__(self, *, kind: Any = dict, **options: Any) -> None:
        self.kind = kind
        super().__init__(**{"strip": True, **options, "empty_value": None})

    def prepare_value(self, value: Any) -> Any:
        """What is stored, as text; what was typed stays as it is."""
        if isinstance(value, str) or value is None:
            return value
        return json_util.dumps(value, json_options=JSON_OPTIONS, indent=1, ensure_ascii=False)

    def to_python(self, value: Any) -> Any:
        """The mapping or the list."""
        text = super().to_python(value)
        if text is None:
            return None
        try:
            found = json_util.loads(text, json_options=JSON_OPTIONS)
        except _UNREADABLE:
            raise ValidationError(self.error_messages["invalid"], "invalid") from None
        if self.kind is not object and not isinstance(found, self.kind):
            code = "list" if self.kind is list else "kind"
            raise ValidationError(self.error_messages[code], code)
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether something else was sent, however it is spaced."""
        try:
            return bool(self.to_python(data) != self.to_python(self.prepare_value(initial)))
        except ValidationError:
            return True


class PointField(forms.MultiValueField):
    """A place: longitude and latitude in degrees, in two fields."""

    def __init__(self, **options: Any) -> None:
        options.pop("widget", None)
        parts = (
            forms.FloatField(min_value=-180, max_value=180, localize=options.get("localize")),
            forms.FloatField(min_value=-90, max_value=90, localize=options.get("localize")),
        )
        super().__init__(parts, widget=_PointWidget(), **options)

    def compress(self, data_list: Any) -> Any:
        """Both, as GeoJSON orders them; ``None`` where neither was given."""
        if not data_list:
            return None
        if any(part in self.empty_values for part in data_list):
            raise ValidationError("Longitude and latitude go together.", "incomplete")
        return [float(part) for part in data_list]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether another place was sent."""
        try:
            return bool(self.clean(data) != coordinates_of(initial))
        except ValidationError:
            return True


class _PointWidget(forms.MultiWidget):
    def __init__(self) -> None:
        kinds = {
            part: forms.NumberInput({"step": "any", "aria-label": part})
            for part in ("longitude", "latitude")
        }
        super().__init__(kinds)

    def decompress(self, value: Any) -> list[Any]:
        return coordinates_of(value) or [None, None]


def coordinates_of(place: Any) -> list[float] | None:
    """Longitude and latitude of what a document has as a place."""
    found = place.get("coordinates") if isinstance(place, dict) else place
    if not found or not all(isinstance(part, (int, float)) for part in found):
        return None
    return [float(part) for part in found] if all(map(math.isfinite, found)) else None


class ObjectIdField(forms.Field):
    """MongoDB's own ids: 24 hexadecimal digits."""

    widget = forms.TextInput({"maxlength": 24})
    default_error_messages = {"invalid": "An id has 24 hexadecimal digits."}

    def to_python(self, value: Any) -> Any:
        """The id."""
        if value in self.empty_values or isinstance(value, ObjectId):
            return value or None
        try:
            return ObjectId(str(value).strip())
        except InvalidId:
            raise ValidationError(self.error_messages["invalid"], "invalid") from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether another id was sent."""
        return str(initial or "") != str(data or "").strip()


class MomentField(forms.DateTimeField):
    """A point in time. What a document holds without a time zone is UTC; so is what is typed where
    ``USE_TZ`` is off."""

    def to_python(self, value: Any) -> Any:
        """The moment; one that UTC has no year for is none."""
        moment = super().to_python(value)
        if moment is not None and moment.tzinfo is not None:
            try:
                moment.astimezone(UTC)
            except OverflowError:
                raise ValidationError(self.error_messages["invalid"], "invalid") from None
        return moment

    def prepare_value(self, value: Any) -> Any:
        """The moment in the present time zone of Django."""
        return super().prepare_value(_comparable(value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether another moment was sent; a fraction of a second that is not shown is none."""
        return bool(super().has_changed(_comparable(initial), data))

    def is_as_shown(self, moment: Any, present: Any) -> bool:
        """Whether ``moment`` is what was shown of ``present``."""
        shown = _comparable(present)
        return isinstance(shown, datetime) and bool(moment == shown.replace(microsecond=0))


def _comparable(value: Any) -> Any:
    """A moment as Django's fields give it: aware where ``USE_TZ`` is on, else naive."""
    if not isinstance(value, datetime):
        return value
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    return aware if settings.USE_TZ else aware.astimezone(UTC).replace(tzinfo=None)


class EnumField(forms.TypedChoiceField):
    """The members of an ``Enum``, by their values."""

    def prepare_value(self, value: Any) -> Any:
        """The member's value."""
        return value.value if isinstance(value, Enum) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether another was chosen."""
        return bool(super().has_changed(self.prepare_value(initial), data))


class VersionField(forms.IntegerField):
    """The version of a document that a form was made from, hidden: who saves it finds out whether
    somebody else has changed the document since."""

    widget = forms.HiddenInput

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "required": False})


class SecretField(forms.CharField):
    """A secret, which is never shown; an empty one leaves what is stored as it is."""

    widget = forms.PasswordInput

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"strip": False, **options, "empty_value": None})

    def prepare_value(self, value: Any) -> Any:
        """Nothing."""
        return None

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether one was typed."""
        return bool(data)
