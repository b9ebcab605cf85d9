"""Which databases of a server may an alias's operations go to, besides the alias's own? What is
checked of a name, which may come from a request, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from contextvars import copy_context
from dataclasses import dataclass

from datalayer.context.places import Place, places
from datalayer.errors import TenantError

_OF_THE_SERVER = frozenset({"admin", "config", "local"})
_REFUSED_BY_THE_SERVER = re.compile(r'[/\\. "$*<>:|?\x00-\x1f\x7f]')
_MOST_BYTES = 63
_SHOWN = 40


@dataclass(frozen=True)
class TenantDatabases:
    """Which databases an alias's operations may be sent to."""

    pattern: re.Pattern[str] | None = None
    """The whole name has to match it."""
    known: Callable[[str], object] | Collection[str] | None = None
    """Those that there are, or a function that says whether there is one."""


def check_database(
    name: str, alias: str, own: Mapping[str, str], allowed: TenantDatabases | None
) -> None:
    """Refuse ``name`` unless operations of ``alias`` may be sent to that database.

    ``own`` has the databases of the aliases on its server, by alias.

    Raises:
        TenantError: with the reason.
    """
    problem = _problem_of(name) or _taken(name, own)
    if problem is None and allowed is not None:
        problem = _not_allowed(name, allowed)
    if problem is not None:
        raise TenantError(
            f"operations of {alias!r} can't go to the database {_shown(name)}: {problem}",
            alias=alias,
            database=name,
        )


def _problem_of(name: str) -> str | None:
    if not name:
        return "a database's name is not empty"
    if name.casefold() in _OF_THE_SERVER:
        return "it is one of the server's own"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "it is text that isn't Unicode"
    if size > _MOST_BYTES:
        return f"a name has at most {_MOST_BYTES} bytes, and this one {size:,}"
    found = _REFUSED_BY_THE_SERVER.search(name)
    return f"a name can't contain {found[0]!r}" if found else None


def _taken(name: str, own: Mapping[str, str]) -> str | None:
    for alias, database in own.items():
        if database.casefold() == name.casefold():  # servers take no two such names
            return f"it is {alias!r}'s own, where operations are sent by naming the alias alone"
    return None


def _not_allowed(name: str, allowed: TenantDatabases) -> str | None:
    if allowed.pattern is not None and allowed.pattern.fullmatch(name) is None:
        return "it doesn't match the pattern that db.tenants() was given"
    known = allowed.known
    if known is None:
        return None
    # Asked as if no block was around it: it may look into a collection of the application's own.
    is_known = copy_context().run(_asked, known, name) if callable(known) else name in known
    return None if is_known else "db.tenants() was told of none that is called so"


def _asked(known: Callable[[str], object], name: str) -> object:
    places.variable.set(None)
    return known(name)


def _shown(name: str) -> str:
    return ascii(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")


def told(place: Place) -> str:
    """How errors name a place."""
    if place.database is None:
        return f"the own database of {place.alias!r}"
    return f"the database {place.database!r} of {place.alias!r}"
