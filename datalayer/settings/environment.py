"""Where variables come from: the process's environment, a `.env` file, a mapping, keyword
arguments; and which of their names look misspelt."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from typing import Any

from decouple import RepositoryEnv

from datalayer.settings.builder import Given
from datalayer.settings.variables import (
    DATABASE_VARIABLES,
    FOREIGN_VARIABLES,
    GLOBAL_VARIABLES,
    prefix_of,
)

__all__ = ["gather", "looks_like", "misspelt", "read_aliases", "variables_of"]

_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_BUILT_IN = ("default", "database1")
_RESERVED_PREFIXES = ("DATALAYER", "DATABASE1", "DEFAULT", "MONGODB")


def variables_of(alias: str) -> dict[str, str]:
    """The names of an alias's variables, by field."""
    return {v.field: f"{prefix_of(alias)}{v.name}" for v in DATABASE_VARIABLES}


def gather(
    environ: Mapping[str, str] | None, overrides: Mapping[str, Any], problems: list[str]
) -> dict[str, Given]:
    """Every variable that is set: keyword arguments beat the environment, which beats `.env`.

    With a mapping given, only that and the keyword arguments count.
    """
    found: dict[str, Given] = {}
    if environ is None:
        found.update((k, Given(v, ".env")) for k, v in _dot_env(problems).items())
        environ = os.environ
    found.update((name, Given(str(text), "environment")) for name, text in environ.items())
    found.update(
        (name.upper(), Given(str(value), "override"))
        for name, value in overrides.items()
        if value is not None
    )
    return found


def _dot_env(problems: list[str]) -> dict[str, str]:
    path = _find_dot_env()
    if path is None:
        return {}
    try:
        pairs: dict[str, str] = RepositoryEnv(str(path)).data
    except (OSError, UnicodeError):
        problems.append(f"the file {path} can't be read; it must be readable UTF-8 text")
        return {}
    return {name.removeprefix("export ").strip(): value for name, value in pairs.items()}


def _find_dot_env() -> Path | None:
    # Decouple's own search prefers a settings.ini, which may be another program's.
    try:
        folder = Path.cwd()
    except FileNotFoundError:
        return None
    candidates = (place / ".env" for place in (folder, *folder.parents))
    return next((path for path in candidates if os.path.isfile(path)), None)


def read_aliases(text: str, problems: list[str]) -> tuple[str, ...]:
    """The aliases of ``DATALAYER_ALIASES``; names that can't be used become problems."""
    aliases: list[str] = []
    for number, name in enumerate((part.strip() for part in text.split(",")), 1):
        if not name:
            continue
        why = _why_unusable(name, aliases)
        if why:
            problems.append(
                f"DATALAYER_ALIASES has a name (number {number}) that {why}; "
                "for example DATALAYER_ALIASES=archive,reports"
            )
        else:
            aliases.append(name)
    return tuple(aliases)


def _why_unusable(name: str, others: list[str]) -> str:
    if not _ALIAS.fullmatch(name):
        return "is not made of letters, digits and '_', beginning with a letter"
    if name in _BUILT_IN:
        return "is there without being listed"
    if name.upper() in _RESERVED_PREFIXES:
        return "would share the variables of another database"
    if name.upper() in (other.upper() for other in others):
        return "is given twice, or differs from another in capitals only"
    return ""


def misspelt(
    found: Mapping[str, Given], aliases: Iterable[str], overrides: Iterable[str]
) -> Iterator[str]:
    """A problem for each name with one of our prefixes that nearly is one of our variables.

    Others with these prefixes belong to somebody else: images set MONGODB_VERSION, Kubernetes
    sets MONGODB_SERVICE_HOST.
    """
    aliases = tuple(aliases)
    known = {name for alias in aliases for name in variables_of(alias).values()}
    known |= {variable.name for variable in GLOBAL_VARIABLES} | set(FOREIGN_VARIABLES)
    prefixes = ("DATALAYER_", *(prefix_of(alias) for alias in aliases))
    arguments = {name.upper(): name for name in overrides}
    for name in sorted(set(found) - known):
        if name in arguments:
            near = get_close_matches(name, known, 1, 0.6)
            hint = f"; did you mean {near[0].lower()}?" if near else ""
            yield f"the keyword argument {arguments[name]} is not a setting{hint}"
            continue
        meant = _meant_by(name, prefixes, known)
        if meant is not None and not (name.upper() == meant and meant in found):
            yield f"{name} is not a variable of datalayer; did you mean {meant}?"


def _meant_by(name: str, prefixes: Iterable[str], known: Iterable[str]) -> str | None:
    upper = name.upper()
    for prefix in prefixes:
        if upper.startswith(prefix):
            own = [other for other in known if other.startswith(prefix)]
            return looks_like(upper, own, len(prefix))
    return None


def looks_like(name: str, known: Iterable[str], skip: int = 0) -> str | None:
    """Which of ``known`` the name was probably meant to be; the first ``skip`` letters aside.

    Underscores don't count, and a difference of more than two letters is no slip.
    """

    def likeness(other: str) -> float:
        one, two = name[skip:].replace("_", ""), other[skip:].replace("_", "")
        if abs(len(one) - len(two)) > 2:
            return 0.0
        return SequenceMatcher(None, one, two, autojunk=False).ratio()

    best = max(known, key=likeness, default=None)
    return best if best is not None and likeness(best) >= 0.8 else None
