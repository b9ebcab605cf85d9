"""Variables that are set and not read: which of them nearly are ours, and what to tell of them.

Nothing here repeats a value. Others' variables are left alone: images set MONGODB_VERSION,
Kubernetes sets MONGODB_SERVICE_HOST, and hosting services set DATABASE_URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache

from datalayer.settings.mongoengine.flat_keys import FLAT_KEYS, unheeded
from datalayer.settings.parsing import Given
from datalayer.settings.variables import (
    DATABASE_VARIABLES,
    GLOBAL_VARIABLES,
    known_variables,
    prefix_of,
    variables_of,
)

_HOLDS_URI = re.compile(r"\s*['\"]?(mongodb(\+srv)?|embedded|mongomock)://", re.IGNORECASE)
_NAMES_URI = re.compile(r"(\w+?)_?(?:URI|URL)")
_NAMES_ADDRESS = re.compile(
    r"URLS?|DSN|HOSTS?|HOSTNAME|SERVERS?|ADDRESS|CONNECTION_STRING|PORT|USER(NAME)?|PASSWORD"
    r"|DB|NAME|DB_?NAME|DATABASE|DATABASE_?NAME"
)
_PARTS = ("HOST", "HOSTNAME", "PASSWORD", "PORT", "USERNAME", "DATABASE")
_OTHERS = frozenset({"DATABASE", "DB", "MONGO"})
"""What the names of variables of many other tools begin with, as in DATABASE_URL."""


def misspelt(
    found: Mapping[str, Given], aliases: tuple[str, ...], overrides: Iterable[str]
) -> Iterator[str]:
    """A problem for each name with one of our prefixes that nearly is one of our variables."""
    known = known_variables(aliases)
    prefixes = ("DATALAYER_", *map(prefix_of, aliases))
    arguments = {name.upper(): name for name in overrides}
    for name in sorted(set(found) - known):
        if name in arguments:
            near = get_close_matches(name, known, 1, 0.6)
            hint = f"; did you mean {near[0].lower()}?" if near else ""
            yield f"the keyword argument {arguments[name]} is not a setting{hint}"
            continue
        meant = _meant_by(name, prefixes, known)
        if meant is not None and not (name.upper() == meant and meant in found):
            yield f"{_shown(name)} is not a variable of datalayer; did you mean {meant}?"


def stand_in(variable: str, found: Mapping[str, Given], aliases: tuple[str, ...]) -> str | None:
    """The name under which the URI that belongs to ``variable`` seems to be instead."""
    prefix = variable.removesuffix("URI")
    for name in sorted(set(found) - known_variables(aliases)):
        matched = _NAMES_URI.fullmatch(name.upper())
        similar = matched is not None and _is_nearly(matched.group(1), prefix)
        if (similar or name.upper().startswith(prefix)) and _HOLDS_URI.match(found[name].text):
            return _shown(name)
    return None


def unread(found: Mapping[str, Given], aliases: tuple[str, ...]) -> Iterator[str]:
    """A warning for each variable that is not read and seems to be meant for datalayer."""
    known = known_variables(aliases)
    yield from unheeded(found)
    uris = {variables_of(alias)["uri"] for alias in aliases}
    used = {found[name].text.strip() for name in uris if name in found}
    endings = _endings(aliases)
    for name in sorted(set(found) - known):
        text = found[name].text.strip()
        if not re.fullmatch(r"\w+", name):
            continue
        if _NAMES_URI.fullmatch(name.upper()) and _HOLDS_URI.match(text):
            if text not in used:
                yield f"{name} holds a MongoDB URI and is not read; {_advice(name, uris, found)}"
        elif (uri := _address_of(name, uris)) is not None:
            if uri not in found and "://" not in text:  # Kubernetes sets NAME_PORT=tcp://...
                yield f"{name} is not read: where the database is, {uri} alone says"
        elif name not in FLAT_KEYS and (told := _slip(name, uris, endings, aliases)):
            yield told


def _slip(
    name: str, uris: set[str], endings: Mapping[str, list[str]], aliases: tuple[str, ...]
) -> str | None:
    """What to tell of a variable that nearly is one, of ours or of those that others had."""
    if part := _slip_in_address(name, uris):
        return (
            f"{name} is not read; did you mean {part}? That is not read either: where the "
            f"database is, and who asks, {_address_of(part, uris)} alone says"
        )
    if meant := _with_other_prefix(name, endings) or _without_a_word(name, aliases):
        return f"{name} is not read; did you mean {meant}?"
    return f"{name} is not a variable of datalayer" if name.startswith("DATALAYER_") else None


def looks_like(name: str, known: Iterable[str], skip: int = 0) -> str | None:
    """Which of ``known`` the name was probably meant to be; the first ``skip`` letters aside.

    Underscores don't count. A difference of more than two letters is no slip, but leaving out
    the end is one, where most of the name is there.
    """

    def likeness(other: str) -> float:
        one, two = name[skip:].replace("_", ""), other[skip:].replace("_", "")
        if other.startswith(name) and len(one) * 2 > len(two):
            return 1.0 - (len(two) - len(one)) / 1000
        if abs(len(one) - len(two)) > 2:
            return 0.0
        return SequenceMatcher(None, one, two, autojunk=False).ratio()

    best = max(known, key=likeness, default=None)
    return best if best is not None and likeness(best) >= 0.8 else None


def _shown(name: str) -> str:
    """``name`` with what is no ASCII escaped: an invisible letter is seen then."""
    return ascii(name)[1:-1]


def _meant_by(name: str, prefixes: Iterable[str], known: Iterable[str]) -> str | None:
    upper = name.upper()
    if re.search(r"\W", upper):
        letters = re.sub(r"\W|_", "", upper)
        return next((other for other in known if other.replace("_", "") == letters), None)
    for prefix in prefixes:
        if upper.startswith(prefix):
            own = sorted(other for other in known if other.startswith(prefix))
            return looks_like(upper, own, len(prefix))
    return None


def _advice(name: str, uris: Iterable[str], found: Mapping[str, Given]) -> str:
    """What to do with a variable that holds a URI."""
    near = looks_like(name.upper(), sorted(uris))
    if near is not None and not _differ_in_number(name, near):
        return f"{near} is" if near in found else f"did you mean {near}?"
    matched = _NAMES_URI.fullmatch(name.upper())
    prefix = matched.group(1) if matched is not None else "NAME"
    return f"for a further database, set DATALAYER_ALIASES={prefix.lower()} and {prefix}_URI"


def _address_of(name: str, uris: Iterable[str]) -> str | None:
    """The variable of the URI for which ``name`` seems to be a part of the address."""
    for uri in uris:
        prefix = uri.removesuffix("URI")
        if name.startswith(prefix) and _NAMES_ADDRESS.fullmatch(name[len(prefix) :]):
            return uri
    return None


def _slip_in_address(name: str, uris: Iterable[str]) -> str | None:
    """The name of a part of the address that ``name`` is but for a slip."""
    for prefix in (uri.removesuffix("URI") for uri in uris):
        if name.startswith(prefix):
            return looks_like(name, [prefix + part for part in _PARTS], len(prefix))
    return None


@lru_cache(maxsize=32)
def _endings(aliases: tuple[str, ...]) -> dict[str, list[str]]:
    """The prefixes of our variables, by what follows them. Short words are others', too."""
    endings: dict[str, list[str]] = {
        variable.name.removeprefix("DATALAYER_"): ["DATALAYER_"] for variable in GLOBAL_VARIABLES
    }
    prefixes = [prefix_of(alias) for alias in aliases]
    endings |= {v.name: prefixes for v in DATABASE_VARIABLES if "_" in v.name}
    return endings


def _with_other_prefix(name: str, endings: Mapping[str, list[str]]) -> str | None:
    """The variable that ``name`` is but for a slip in its prefix."""
    for at in (at for at, letter in enumerate(name) if letter == "_"):
        for prefix in endings.get(name[at + 1 :], ()):
            if _is_nearly(name[:at], prefix):
                return prefix + name[at + 1 :]
    return None


def _without_a_word(name: str, aliases: Iterable[str]) -> str | None:
    """The variable of a database that ``name`` is but for words that are left out."""
    for prefix in map(prefix_of, aliases):
        words = set(name.removeprefix(prefix).split("_"))
        if name.startswith(prefix) and len(words) > 1:
            for variable in DATABASE_VARIABLES:
                if words <= set(variable.name.split("_")):
                    return prefix + variable.name
    return None


def _is_nearly(word: str, prefix: str) -> bool:
    """Whether ``word`` is ``prefix`` but for a slip."""
    meant = prefix.rstrip("_")
    if word.replace("_", "") == meant:
        return True
    if word in _OTHERS or _differ_in_number(word, meant):
        return False
    return looks_like(word, [meant]) is not None


def _differ_in_number(one: str, other: str) -> bool:
    """Whether only a number tells one name from the other, as with the database after DATABASE1.

    That is no slip.
    """
    return re.sub(r"\d+", "#", one) == re.sub(r"\d+", "#", other)
