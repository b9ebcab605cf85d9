"""Which migrations are there? Finds their files, and tells whether one was edited."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import invalidate_caches
from importlib.util import decode_source, find_spec
from pathlib import Path

from datalayer.errors import ConfigurationError, MigrationError
from datalayer.failures.connecting import kind_of
from datalayer.importing import working_directory_last

_NAME = re.compile(r"[0-9]{4,9}_[a-z0-9_]+")
_PACKAGE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_PRIVATE = "datalayer_migrations_in_"
"""What the modules of a folder that is no package begin with, so that they are in nobody's way."""


@dataclass(frozen=True)
class Place:
    """Where an application's migrations are."""

    name: str
    """As the setting says it."""
    path: Path
    package: str
    """What the modules in it are parts of: the package, or a name of our own for a folder."""

    @property
    def is_package(self) -> bool:
        """Whether Python finds it by its name."""
        return not self.package.startswith(_PRIVATE)


@dataclass(frozen=True)
class File:
    """One migration's file, as it was when it was found."""

    number: int
    name: str
    """The file's, without ``.py``."""
    place: Place
    text: str = field(repr=False)

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.place.path / f"{self.name}.py"

    @property
    def checksum(self) -> str:
        """Tells one text from another, whatever their ends of lines are."""
        return hashlib.sha256(self.text.rstrip("\n").encode()).hexdigest()


def place_of(name: str) -> Place:
    """The folder that ``DATALAYER_MIGRATIONS`` names, whether it is there or not.

    A name with a ``/`` in it, and one of a folder in the working directory, is that folder; any
    other is looked for as a package.

    Raises:
        ConfigurationError: where it can be neither, or the package around it can't be imported.
    """
    folder = Path(name)
    if not _PACKAGE.fullmatch(name) or ("." not in name and folder.is_dir()):
        return _folder(name, folder)
    parent, _, last = name.rpartition(".")
    invalidate_caches()  # the package may have been made a moment ago
    try:
        with working_directory_last():
            found = find_spec(name)
            around = find_spec(parent) if parent and found is None else None
    except (Exception, SystemExit) as exc:
        missing = exc.name if isinstance(exc, ModuleNotFoundError) else None
        why = f"there is no module {missing!r}" if missing else kind_of(exc)
        raise ConfigurationError(
            f"the migrations of {name!r} can't be imported: {why}; correct DATALAYER_MIGRATIONS"
        ) from exc
    # A folder that lies anywhere on Python's path is a package of a kind; it is meant only where
    # the name says in which package it is.
    if found is not None and found.submodule_search_locations and (parent or found.has_location):
        return Place(name, _only(name, found.submodule_search_locations), name)
    if around is not None and around.submodule_search_locations:
        return Place(name, _only(parent, around.submodule_search_locations) / last, name)
    return _folder(name, folder)


def _only(name: str, folders: Iterable[str]) -> Path:
    first, *others = dict.fromkeys(folders)
    if others:
        raise ConfigurationError(
            f"the package {name!r} lies in several folders ({', '.join([first, *others])}), and "
            "migrations are in one; give it an __init__.py where they are"
        )
    return Path(first)


def _folder(name: str, folder: Path) -> Place:
    path = folder.absolute()
    mark = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    return Place(name, path, f"{_PRIVATE}{mark}")


def find(place: Place) -> tuple[File, ...]:
    """The migrations in ``place``, by their numbers, which are 1, 2, 3 and so on.

    A file that doesn't begin with a digit is none: what migrations share may lie beside them.

    Raises:
        ConfigurationError: where there is no such folder.
        MigrationError: for a file whose name is none of a migration, for two of one number, a
            number that is missing, and a file that is no text of Python's.
    """
    try:
        paths = sorted(each for each in place.path.iterdir() if _is_meant(each))
    except OSError as exc:
        raise ConfigurationError(
            f"there is no package or folder of migrations {place.name!r} here that this user may "
            f"read ({kind_of(exc)}); `datalayer migrations new NAME` makes one, and "
            "DATALAYER_MIGRATIONS says where others are"
        ) from exc
    for path in paths:
        if not _NAME.fullmatch(path.stem) or not int(path.stem.partition("_")[0]):
            raise MigrationError(
                f"{path.name!r} is no name of a migration: that is a number of four digits from "
                "0001 on and words of small letters, as in 0001_rename_login.py; rename the file"
            )
    files = [_read(place, path) for path in paths]
    files.sort(key=lambda each: (each.number, each.name))
    for expected, file in enumerate(files, 1):
        if file.number < expected:
            raise MigrationError(
                f"{files[expected - 2].name} and {file.name} have the same number; give the one "
                "that is applied nowhere yet the next one"
            )
        if file.number > expected:
            raise MigrationError(
                f"there is no migration {expected:04}, but a {file.name}; bring the missing file "
                "back, or number the later ones without a gap"
            )
    return tuple(files)


def _is_meant(path: Path) -> bool:
    return path.suffix == ".py" and path.name[0].isdigit() and path.is_file()


def _read(place: Place, path: Path) -> File:
    try:
        text = decode_source(path.read_bytes())
    except (OSError, SyntaxError, UnicodeDecodeError, LookupError) as exc:
        raise MigrationError(
            f"the migration {path.stem} can't be read: {kind_of(exc)}; it has to be a text in "
            "UTF-8 that this user may read"
        ) from exc
    return File(int(path.stem.partition("_")[0]), path.stem, place, text)
