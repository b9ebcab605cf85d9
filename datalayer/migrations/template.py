"""What does a new migration's file look like?"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from datalayer.connections.registry import registry
from datalayer.errors import ConfigurationError, MigrationError
from datalayer.migrations.files import find, place_of

_TEXT = '''"""{title}."""

from datalayer.migrations import Migration


def apply(m: Migration) -> None:
    """What changes."""


def undo(m: Migration) -> None:
    """The way back. Without this function, the migration can't be undone."""
'''


def empty(title: str) -> str:
    """The text of a file that does nothing yet."""
    return _TEXT.format(title=title)


def new(name: str, *, package: str | None = None, text: Callable[[str], str] = empty) -> Path:
    """Write the file of a new migration with the next number, for a person to complete, and
    return its path. The folder is made where it isn't there.

    ``name`` says in a few words what it does: ``rename login``. ``package`` is as for ``status``.
    ``text`` makes the file's text of its title: ``datalayer.migrations.drift`` drafts one.

    Raises:
        ConfigurationError: where no folder can be made for that package.
        MigrationError: where no name of a file can be made of ``name``, and for files that are
            not as they should be.
    """
    words = re.findall(r"[a-z0-9]+", name.lower())
    if not words or re.search(r"[^\w\s.,:;'/-]", name, re.ASCII):
        raise MigrationError(
            f"a migration can't be called {name!r}; say in a few words of plain letters what it "
            "does, as in rename_login"
        )
    if package is None:
        configured = registry.settings
        package = "migrations" if configured is None else configured.migrations
    place = place_of(package)
    try:
        place.path.mkdir(parents=True, exist_ok=True)
        number = max((file.number for file in find(place)), default=0) + 1
        path = place.path / f"{number:04}_{'_'.join(words)}.py"
        with path.open("x", encoding="utf-8") as file:
            file.write(text(" ".join(words).capitalize()))
    except OSError as exc:
        raise ConfigurationError(
            f"no file can be written in {place.path}: {exc.strerror}; DATALAYER_MIGRATIONS says "
            "where migrations are"
        ) from exc
    return path
