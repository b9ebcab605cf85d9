"""The values that a model allows, by the texts that stand for them in a form."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

from wtforms import fields
from wtforms.fields.choices import SelectChoice

_BLANK = ""


class Options:
    """Allowed values with their labels; the text of a value is what ``str`` makes of it, of a
    member of an enumeration what it makes of the member's value."""

    def __init__(self, choices: Iterable[Any]) -> None:
        pairs = [each if _is_pair(each) else (each, _label_of(each)) for each in choices]
        self.by_text = {_text_of(value): value for value, _ in pairs}
        self.labels = {_text_of(value): str(label) for value, label in pairs}

    def __call__(self, text: Any) -> Any:
        """The value that ``text`` stands for, or a value itself; ``None`` for an empty text.

        Raises:
            ValueError: for anything else.
        """
        if text is None or (text == _BLANK and _BLANK not in self.by_text):
            return None
        if isinstance(text, (dict, list)) or _text_of(text) not in self.by_text:
            raise ValueError("not a valid choice")
        return self.by_text[_text_of(text)]

    def listed(self, blank: str | None) -> list[SelectChoice]:
        """The choices of a field, after one without a value that is called ``blank``."""
        first = [] if blank is None else [SelectChoice(_BLANK, blank)]
        return first + [SelectChoice(text, label) for text, label in self.labels.items()]


def yes_or_no(*, choices: Iterable[Any] | None = None, **kwargs: Any) -> Any:
    """Yes, no, or nothing said, for a value that may be missing."""
    shown = choices or [(_BLANK, "---"), ("yes", "yes"), ("no", "no")]
    return _YesOrNoField(coerce=_said, choices=_as_choices(shown), **kwargs)


def one_of(
    allowed: Iterable[Any],
    *,
    is_required: bool = False,
    radio: bool = False,
    blank_text: str = "---",
    choices: Any = None,
    **kwargs: Any,
) -> Any:
    """A field for one of ``allowed``, with other ``choices`` to show perhaps. A required one
    without a value has to be chosen, too."""
    needs_blank = not radio and (not is_required or kwargs.get("default") is None)
    blank = blank_text if needs_blank else None
    kind = fields.RadioField if radio else fields.SelectField
    return kind(**arguments(allowed, blank=blank, choices=choices, **kwargs))


def some_of(allowed: Iterable[Any], **kwargs: Any) -> Any:
    """A field for any number of ``allowed``."""
    return fields.SelectMultipleField(**arguments(allowed, **kwargs))


def arguments(
    allowed: Iterable[Any], *, blank: str | None = None, choices: Any = None, **kwargs: Any
) -> dict[str, Any]:
    """The arguments for a field of WTForms' for ``allowed``, with other ``choices`` to show
    perhaps, after one without a value that is called ``blank``."""
    options = Options(allowed)
    shown = _as_choices(choices or options.listed(blank))
    # What isn't allowed is refused by the options themselves.
    return {"coerce": options, "choices": shown, "validate_choice": False, **kwargs}


class _YesOrNoField(fields.SelectField):
    def iter_choices(self) -> Iterable[Any]:
        # WTForms compares with ==, and for Python no is 0.
        return [
            each._replace(selected=self.coerce(each.value) is self.data)
            for each in super().iter_choices()
        ]


def _said(text: Any) -> bool | None:
    word = str(text).lower()
    if word in ("", "none", "null"):
        return None
    if word in ("yes", "y", "true"):
        return True
    if word in ("no", "n", "false"):
        return False
    raise ValueError("neither yes nor no")


def _as_choices(choices: Any) -> Any:
    """As WTForms wants them: pairs are deprecated there."""
    if callable(choices) or isinstance(choices, dict):
        return choices
    return [
        SelectChoice(_text_of(each[0]), str(each[1])) if _is_pair(each) else each
        for each in choices
    ]


def _is_pair(choice: Any) -> bool:
    return isinstance(choice, (list, tuple)) and len(choice) == 2


def _text_of(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _label_of(value: Any) -> str:
    return value.name.replace("_", " ").capitalize() if isinstance(value, Enum) else str(value)
