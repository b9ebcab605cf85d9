"""Finds and reads the file `.env`, as editors and shells of all systems write it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from decouple import RepositoryEnv

__all__ = ["Contents", "read_dot_env"]

_MARK = "\ufeff"
"""The byte-order mark that some editors write at the start of a file, and that is in the middle
where such files were joined."""
_NAME = re.compile(rf"{_MARK}*(?:export\s+)?{_MARK}*(\w+)")


@dataclass(frozen=True)
class Contents:
    """What the file sets, and what is wrong with it. No message repeats a value."""

    values: dict[str, str]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Line:
    number: int
    text: str

    @property
    def key(self) -> str:
        """What stands before the first '='."""
        return self.text.partition("=")[0].strip()

    @property
    def name(self) -> str | None:
        """The variable that the line sets; ``None`` where it sets none."""
        found = _NAME.fullmatch(self.key) if "=" in self.text else None
        return found.group(1) if found else None


def read_dot_env(known: Iterable[str]) -> Contents:
    """The nearest `.env` from the working directory upwards; nothing where there is none.

    ``known`` are the variables for which a line that can't be understood is a problem: other
    programs' lines are theirs.
    """
    path = _find()
    if path is None:
        return Contents({})
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs: dict[str, str] = RepositoryEnv(str(path), "utf-8-sig").data
    except (OSError, UnicodeError):
        return _unreadable(path)
    if "\0" in text:  # UTF-16 without a mark
        return _unreadable(path)
    stripped = (_Line(number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    lines = [line for line in stripped if line.text and not line.text.startswith("#")]
    return Contents(
        {line.name: pairs[line.key] for line in lines if line.name is not None},
        tuple(_problems(path, lines, known)),
        tuple(_repetitions(path, lines, known)),
    )


def _find() -> Path | None:
    # Decouple's own search prefers a settings.ini, which may be another program's.
    try:
        folder = Path.cwd()
    except FileNotFoundError:
        return None
    candidates = (place / ".env" for place in (folder, *folder.parents))
    return next((path for path in candidates if os.path.isfile(path)), None)


def _unreadable(path: Path) -> Contents:
    return Contents({}, (f"the file {path} can't be read; it must be readable UTF-8 text",))


def _problems(path: Path, lines: Iterable[_Line], known: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if line.name is None:
            first = re.findall(r"\w+", line.key)[:2]  # as in NAME: value, or set NAME=value
            for name in sorted(set(first).intersection(known)):
                yield (
                    f"line {line.number} of {path} names {name} and does not set it; "
                    f"write {name}=value"
                )


def _repetitions(path: Path, lines: Iterable[_Line], known: Iterable[str]) -> Iterator[str]:
    numbers: dict[str, list[str]] = {}
    for line in lines:
        if line.name is not None:
            numbers.setdefault(line.name, []).append(str(line.number))
    for name in sorted(set(numbers).intersection(known)):
        if len(numbers[name]) > 1:
            yield (
                f"{name} is set on the lines {', '.join(numbers[name])} of {path}; the last one "
                "counts, remove the others"
            )
