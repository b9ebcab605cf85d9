"""Finds and reads the file `.env`, as editors and shells of all systems write it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from decouple import RepositoryEnv

_MARK = "\ufeff"
"""The byte-order mark that some editors write at the start of a file, and that is in the middle
where such files were joined."""
_NAME = re.compile(rf"{_MARK}*(?:export\s+)?{_MARK}*(\w+)")


@dataclass(frozen=True)
class Line:
    """A line that is neither empty nor a comment."""

    number: int
    text: str = field(repr=False)

    @property
    def key(self) -> str:
        """What stands before the first '='."""
        return self.text.partition("=")[0].strip()

    @property
    def name(self) -> str | None:
        """The variable that the line sets; ``None`` where it sets none."""
        found = _NAME.fullmatch(self.key) if "=" in self.text else None
        return found.group(1) if found else None


@dataclass(frozen=True)
class DotEnv:
    """What a file sets, and what is wrong with it. No message repeats a value."""

    path: Path
    lines: tuple[Line, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_readable: bool = True

    def problems(self, known: Collection[str]) -> Iterator[str]:
        """Lines that name one of the variables that are ``known``, and set none.

        Other programs' lines are theirs.
        """
        if not self.is_readable:
            yield f"the file {self.path} can't be read; it must be readable UTF-8 text"
        for line in self.lines:
            if line.name is None:
                first = re.findall(r"\w+", line.key)[:2]  # as in NAME: value, or set NAME=value
                for name in sorted(set(first).intersection(known)):
                    yield (
                        f"line {line.number} of {self.path} names {name} and does not set it; "
                        f"write {name}=value"
                    )

    def warnings(self, known: Collection[str]) -> Iterator[str]:
        """Those of ``known`` that are set several times."""
        numbers: dict[str, list[str]] = {}
        for line in self.lines:
            if line.name is not None and line.name in known:
                numbers.setdefault(line.name, []).append(str(line.number))
        for name in sorted(numbers):
            if len(numbers[name]) > 1:
                yield (
                    f"{name} is set on the lines {', '.join(numbers[name])} of {self.path}; the "
                    "last one counts, remove the others"
                )


def read_dot_env() -> DotEnv | None:
    """The nearest `.env` from the working directory upwards; ``None`` where there is none."""
    path = _find()
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs: dict[str, str] = RepositoryEnv(str(path), "utf-8-sig").data
    except (OSError, UnicodeError):
        return DotEnv(path, is_readable=False)
    if "\0" in text:  # UTF-16 without a mark
        return DotEnv(path, is_readable=False)
    stripped = (Line(number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    lines = tuple(line for line in stripped if line.text and not line.text.startswith("#"))
    values = {line.name: pairs[line.key] for line in lines if line.name is not None}
    return DotEnv(path, lines, values)


def _find() -> Path | None:
    # Decouple's own search prefers a settings.ini, which may be another program's.
    try:
        folder = Path.cwd()
    except FileNotFoundError:
        return None
    candidates = (place / ".env" for place in (folder, *folder.parents))
    return next((path for path in candidates if os.path.isfile(path)), None)
