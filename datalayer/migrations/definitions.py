"""What does a migration's file say? Imports it, and puts the migrations in order."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.abc import ExecutionLoader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from inspect import signature
from types import ModuleType
from typing import Any, cast

from datalayer.context.decorators import runs_later
from datalayer.errors import MigrationError
from datalayer.failures.connecting import kind_of
from datalayer.importing import import_named, working_directory_last
from datalayer.migrations.files import File, Place

_SIGNALS = 128
"""What the exit codes of processes are counted from that a signal has ended."""


@dataclass(frozen=True)
class Definition:
    """One migration: its file, and what that says."""

    file: File
    apply: Callable[[Any], object]
    undo: Callable[[Any], object] | None
    requires: tuple[str, ...]
    """The names of those that have to be applied before."""
    transaction: tuple[str, ...]
    """The aliases that it writes to in one transaction; empty where it has none."""

    @property
    def name(self) -> str:
        """The file's, without ``.py``."""
        return self.file.name

    @property
    def number(self) -> int:
        """The file's."""
        return self.file.number

    def function(self, direction: str) -> Callable[[Any], object]:
        """``apply`` or ``undo``; where there is no way back, one that does nothing."""
        wanted = self.apply if direction == "apply" else self.undo
        return wanted or bool


def define(files: Sequence[File]) -> tuple[Definition, ...]:
    """Import ``files``, and put them in the order in which they are applied: by their numbers,
    but that each comes after those that it requires.

    Raises:
        MigrationError: for a file that can't be imported or lacks something, and where what it
            requires isn't there, or requires it in turn.
    """
    befores = ["", *(file.name for file in files)]
    return in_order([_definition(*each) for each in zip(files, befores, strict=False)])


def in_order(definitions: Sequence[Definition]) -> tuple[Definition, ...]:
    """``definitions``, each after those that it requires, and otherwise by their numbers."""
    left = {each.name: each for each in sorted(definitions, key=lambda each: each.number)}
    for each in left.values():
        unknown = [name for name in each.requires if name not in left]
        if unknown:
            raise MigrationError(
                f"{each.name} requires {unknown[0]!r}, and there is no such migration; correct "
                "`requires` in its file"
            )
    ordered: list[Definition] = []
    while left:
        ready = next((one for one in left.values() if not left.keys() & set(one.requires)), None)
        if ready is None:
            raise MigrationError(
                f"{', '.join(left)} require each other in a circle; correct `requires` in one of "
                "their files"
            )
        ordered.append(left.pop(ready.name))
    return tuple(ordered)


@lru_cache(maxsize=4096)
def _definition(file: File, before: str) -> Definition:
    module = _imported(file)
    apply, undo = (getattr(module, name, None) for name in ("apply", "undo"))
    if not _takes_one(apply) or not (undo is None or _takes_one(undo)):
        raise MigrationError(
            f"{file.name} has no function apply(m); what it changes has to be one, and undo(m), "
            "where it has a way back, another"
        )
    for function in filter(None, (apply, undo)):
        if runs_later(function):
            raise MigrationError(
                f"{function.__name__}(m) of {file.name} is a generator or a coroutine function, "
                "whose body does not run when it is called; make a plain function of it"
            )
    default = (before,) if before else ()
    return Definition(
        file,
        cast("Callable[[Any], object]", apply),
        undo,
        requires=_names(file, module, "requires", default),
        transaction=_names(file, module, "transaction", ()),
    )


def _takes_one(function: Any) -> bool:
    """Whether it can be called with ``m`` alone."""
    try:
        signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # written in C, and says nothing of what it takes
        return callable(function)
    return True


def _names(file: File, module: ModuleType, what: str, default: tuple[str, ...]) -> tuple[str, ...]:
    names = getattr(module, what, default)
    if not isinstance(names, tuple | list) or not all(isinstance(each, str) for each in names):
        raise MigrationError(
            f"`{what}` of {file.name} is no tuple of names; write it with a comma behind each, as "
            f'in {what} = ("{"default" if what == "transaction" else "0001_rename_login"}",)'
        )
    return tuple(names)


class _Loader(ExecutionLoader):
    """Makes a module of the very text that a file's checksum is of."""

    def __init__(self, file: File) -> None:
        self._file = file

    def get_source(self, fullname: str) -> str:
        """Its text."""
        return self._file.text

    def get_filename(self, fullname: str) -> str:
        """Where it is, for tracebacks."""
        return str(self._file.path)


def _imported(file: File) -> ModuleType:
    name, loader = f"{file.place.package}.{file.name}", _Loader(file)
    spec = ModuleSpec(name, loader, origin=str(file.path))
    spec.has_location = True
    module = module_from_spec(spec)
    try:
        with working_directory_last():
            _import_package(file.place)
            sys.modules[name] = module
            loader.exec_module(module)
    except (Exception, SystemExit) as exc:
        sys.modules.pop(name, None)
        raise MigrationError(
            f"{file.name} can't be imported: {_why(exc, file)}; correct {file.path}"
        ) from exc
    return module


def _import_package(place: Place) -> None:
    if place.is_package:
        import_named(place.package)
    elif place.package not in sys.modules:
        spec = ModuleSpec(place.package, None, is_package=True)
        spec.submodule_search_locations = [str(place.path)]
        sys.modules[place.package] = module_from_spec(spec)


def _why(exc: BaseException, file: File) -> str:
    missing = exc.name if isinstance(exc, ModuleNotFoundError) else None
    return f"there is no module {missing!r}" if missing else what_failed(exc, file)


def ends_the_process(exc: BaseException) -> bool:
    """Whether ``exc`` is how a signal ends this process, rather than a file's ``sys.exit()``."""
    return isinstance(exc, SystemExit) and isinstance(exc.code, int) and exc.code > _SIGNALS


def what_failed(exc: BaseException, file: File) -> str:
    """The kind of an error, and in which line of ``file`` it came up; not its text, which may
    hold values of documents."""
    line = exc.lineno if isinstance(exc, SyntaxError) and exc.filename == str(file.path) else None
    for frame in traceback.extract_tb(exc.__traceback__):
        if frame.filename == str(file.path):
            line = frame.lineno
    return kind_of(exc) + (f" in line {line}" if line else "")
