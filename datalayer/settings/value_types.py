"""What the value of a setting may be: a number, a switch, one of several words. The variables and
the options of a URI are read by these same types."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Value = str | int | float | bool | Path

TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True)
class ValueType:
    """What a value must be, in words and as a function.

    No message repeats the text that was given, which may be a secret in the wrong place.
    """

    expected: str
    """In words, to follow 'must be'."""
    parse: Callable[[str], Value]
    """The value that a text stands for; raises ``ValueError`` with what to add to the words."""
    example: str = ""
    unit: str = ""
    lowest: float | None = None
    """The lowest number that is taken; ``None`` where the value is no number."""

    def read(self, text: str) -> Value:
        """The value that ``text`` stands for, blanks around it aside.

        Raises:
            ValueError: saying what to write instead, in words that follow the setting's name.
        """
        text = text.strip()
        if not text:
            raise ValueError(f"is empty; it must be {self.expected}")
        try:
            return self.parse(text)
        except ValueError as exc:
            raise ValueError(f"must be {self.expected}{exc}") from None

    def accepts(self, text: str) -> bool:
        """Whether ``text`` is a value as it is, blanks around it included."""
        try:
            self.parse(text)
        except ValueError:
            return False
        return True


def matching(expected: str, accepts: Callable[[str], bool], example: str = "") -> ValueType:
    """A text that stays as it is, and is taken where ``accepts`` says so."""

    def parse(text: str) -> str:
        if not accepts(text):
            raise ValueError
        return text

    return ValueType(expected, parse, example)


def one_of(*choices: str) -> ValueType:
    """One of several words."""
    return matching("one of " + ", ".join(choices), lambda value: value in choices)


def whole(unit: str, lowest: int, highest: int, *, zero_means: str = "") -> ValueType:
    """A whole number; ``zero_means`` says what 0 would do, where it is below the lowest."""
    return _number(r"-?[0-9]{1,12}", int, "a whole number", unit, lowest, highest, zero_means)


def decimal(unit: str, lowest: float, highest: float) -> ValueType:
    """A number that may have a fraction."""
    form = r"-?[0-9]{1,12}(\.[0-9]{1,6})?"
    return _number(form, float, "a decimal number", unit, lowest, highest)


def milliseconds(lowest: int = 1) -> ValueType:
    """A whole number of milliseconds, up to a day."""
    return whole("milliseconds", lowest, 86_400_000)


def _number(
    form: str,
    convert: Callable[[str], int | float],
    noun: str,
    unit: str,
    lowest: float,
    highest: float,
    zero_means: str = "",
) -> ValueType:
    of_unit = f" of {unit}" if unit else ""

    def parse(text: str) -> int | float:
        if not re.fullmatch(form, text) or (lowest >= 0 and text.startswith("-")):
            raise ValueError(", in plain digits and without a unit")
        number = convert(text)
        if not lowest <= number <= highest:
            raise ValueError(f"; 0 would mean {zero_means}" if zero_means and not number else "")
        return number

    expected = f"{noun}{of_unit} from {as_text(lowest)} to {as_text(highest)}"
    return ValueType(expected, parse, unit=unit, lowest=lowest)


def as_text(value: Value) -> str:
    """A value as it is written in the environment."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _switch(text: str) -> bool:
    if text.lower() not in TRUE | _FALSE:
        raise ValueError
    return text.lower() in TRUE


def _directory(text: str) -> Path:
    if " #" in text or text[0] in "'\"":
        raise ValueError(
            ", without quotation marks or a comment behind it; a comment has a line of its own"
        )
    return Path(text)


BOOLEAN = ValueType("true or false (also 1/0, yes/no, on/off)", _switch)
DIRECTORY = ValueType("the path of a directory", _directory, "/var/lib/app/spool")
MODULES = matching(
    "the name of a package or the path of a folder",
    lambda text: " #" not in text and text[0] not in "'\"",
    "shop.migrations",
)
NAMES = matching("names separated by commas", lambda text: True, "archive,reports")
DATABASE_URI = matching(
    "a URI with the name of a database",
    lambda text: True,
    "mongodb://user:password@db.example.com:27017/app?authSource=admin",
)
