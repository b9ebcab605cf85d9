"""Points in time, typed as the clock of one time zone shows them."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from wtforms import fields, widgets

_FORMAT = "%Y-%m-%dT%H:%M:%S"


class PointInTimeField(fields.DateTimeLocalField):
    """A point in time: typed and shown in ``timezone`` (UTC unless given), kept in UTC.

    ``timezone`` is a ``tzinfo`` or a name such as ``"Europe/Berlin"``. A text with an offset
    (``2024-01-31T12:00+02:00``) says its own. A time that the clock skips is refused; of one that
    it shows twice the first is meant. What is sent back as it was shown stays as it is, to the
    millisecond. ``is_aware=False`` gives times without a zone, in UTC.
    """

    widget = widgets.DateTimeLocalInput()

    def __init__(
        self,
        label: Any = None,
        validators: Any = None,
        *,
        timezone: tzinfo | str = UTC,
        is_aware: bool = True,
        format: str = _FORMAT,
        **kwargs: Any,
    ) -> None:
        super().__init__(label, validators, format=format, **{"render_kw": {"step": 1}, **kwargs})
        self.type = "DateTimeLocalField"
        self.timezone = ZoneInfo(timezone) if isinstance(timezone, str) else timezone
        self.is_aware = is_aware

    def _value(self) -> str:
        return " ".join(map(str, self.raw_data)) if self.raw_data else self._shown(self.data)

    def _shown(self, value: Any) -> str:
        if not isinstance(value, datetime):
            return ""
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return moment.astimezone(self.timezone).strftime(self.format[0])

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Take the point in time that the text stands for."""
        if not valuelist:
            return
        text, self.data = " ".join(map(str, valuelist)).strip(), None
        if not text:
            return
        if text == self._shown(self.object_data):
            self.data = self.object_data
            return
        try:
            moment = self._moment(text).astimezone(UTC)
        except (OverflowError, ValueError) as exc:
            raise ValueError(self.gettext("Not a valid datetime value.")) from exc
        self.data = moment if self.is_aware else moment.replace(tzinfo=None)

    def _moment(self, text: str) -> datetime:
        try:
            typed = datetime.fromisoformat(text)
        except ValueError:
            typed = datetime.strptime(text, self.strptime_format[0])
        if typed.tzinfo is not None:
            return typed
        moment = typed.replace(tzinfo=self.timezone)
        if moment.astimezone(UTC).astimezone(self.timezone).replace(tzinfo=None) != typed:
            raise ValueError("the clock skips this time")
        return moment
