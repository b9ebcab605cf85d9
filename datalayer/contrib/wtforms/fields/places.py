"""A place on a map, as two numbers."""

from __future__ import annotations

from typing import Any, ClassVar

from markupsafe import Markup
from wtforms import fields
from wtforms.utils import unset_value
from wtforms.widgets import html_params

_NAMES = ("longitude", "latitude")


class _TwoNumbers:
    """Two inputs, called after the field: ``<name>-longitude`` and ``<name>-latitude``."""

    def __call__(self, field: Any, **kwargs: Any) -> Markup:
        kwargs.pop("id", None)
        shown = Markup("")
        for name, text in zip(_NAMES, field.texts, strict=True):
            key = f"{field.name}-{name}"
            own = {"id": key, "name": key, "type": "number", "step": "any", "value": text}
            label = field.gettext(name.capitalize())
            shown += Markup("<label>{} <input {}></label> ").format(
                label,
                Markup(html_params(**{**kwargs, **own})),  # noqa: S704 - escaped by WTForms
            )
        return shown


class PlaceField(fields.Field):
    """Longitude and latitude, in degrees: ``data`` is a list of both."""

    widget: ClassVar[Any] = _TwoNumbers()
    texts: tuple[str, ...] = ("", "")
    data: Any

    def process(self, formdata: Any, data: Any = unset_value, extra_filters: Any = None) -> None:
        """Take both numbers."""
        super().process(None, data, extra_filters)
        sent = [formdata.get(f"{self.name}-{name}") for name in _NAMES] if formdata else []
        if any(each is not None for each in sent):
            self.texts = tuple(str(each or "").strip() for each in sent)
            self.raw_data = [" ".join(self.texts).strip()]
            self.data = None
            try:
                self.data = self._pair()
            except ValueError as exc:
                self.process_errors.append(exc.args[0])

    def process_data(self, value: Any) -> None:
        """Take a pair of numbers, or GeoJSON."""
        pair = value.get("coordinates") if isinstance(value, dict) else value
        self.data = pair
        self.texts = tuple(map(str, pair)) if pair else ("", "")

    def _pair(self) -> list[float] | None:
        if not any(self.texts):
            return None
        if not all(self.texts):
            raise ValueError(self.gettext("Longitude and latitude go together."))
        try:
            return [float(each) for each in self.texts]
        except ValueError as exc:
            raise ValueError(self.gettext("Not a valid number.")) from exc
