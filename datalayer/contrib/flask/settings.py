"""From Flask's ``app.config`` to datalayer's settings, and what is misspelt there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datalayer.contrib.flask.mongodb_settings import (
    OLDER_KEY,
    problems_of_flat_keys,
    variables_of_mongodb_settings,
)
from datalayer.errors import ConfigurationError
from datalayer.failures.tracebacks import takes_secrets
from datalayer.settings import Settings
from datalayer.settings.mongoengine.flat_keys import FLAT_KEYS
from datalayer.settings.parsing import Given
from datalayer.settings.sources import gather, read_aliases
from datalayer.settings.unknown_variables import misspelt, stand_in
from datalayer.settings.variables import (
    BUILT_IN_ALIASES,
    prefix_of,
    variables_of,
    variables_of_settings,
)

_ALIASES = "DATALAYER_ALIASES"


@takes_secrets
def settings_from(config: Mapping[str, Any], **overrides: Any) -> Settings:
    """The settings from keyword arguments, ``config``, the environment and ``.env``, in this
    order of precedence.

    ``config`` is ``app.config``: each variable of datalayer may stand there, as text, number,
    boolean or (``DATALAYER_ALIASES``) list. ``MONGODB_SETTINGS``, as flask-mongoengine takes it,
    is understood too. A key that is ``None`` counts as not given.

    Raises:
        ConfigurationError: with all problems at once.
    """
    problems: list[str] = []
    older = variables_of_mongodb_settings(config.get(OLDER_KEY), problems)
    problems.extend(_said_twice(older, config))
    outside = gather(None, {})
    aliases = _aliases(config, older, outside)
    given = {**older, **_variables_in(config, aliases)}
    if aliases:
        given[_ALIASES] = ",".join(aliases)
    problems.extend(_names_nobody_knows(config, given, aliases, outside))
    if problems:
        raise ConfigurationError(dict.fromkeys(problems))
    merged = {name.lower(): value for name, value in given.items()}
    merged.update((name, value) for name, value in overrides.items() if value is not None)
    return Settings.from_env(**merged)


def _aliases(
    config: Mapping[str, Any], older: Mapping[str, str], outside: Mapping[str, Given]
) -> list[str]:
    """The further aliases: those of ``app.config``, else of the environment, and the older
    setting's."""
    named = config.get(_ALIASES)
    if named is None:
        named = outside[_ALIASES].text if _ALIASES in outside else ""
    if isinstance(named, (list, tuple)):
        named = ",".join(map(str, named))
    texts = [part.strip() for part in f"{named},{older.get(_ALIASES, '')}".split(",")]
    return [name for name in dict.fromkeys(texts) if name]


def _all_aliases(further: list[str]) -> tuple[str, ...]:
    # Those that can't be used are reported by Settings.from_env.
    return (*BUILT_IN_ALIASES, *read_aliases(",".join(further), []))


def _variables_in(config: Mapping[str, Any], aliases: list[str]) -> dict[str, Any]:
    known = variables_of_settings(_all_aliases(aliases)) - {_ALIASES}
    return {name: config[name] for name in known if config.get(name) is not None}


def _names_nobody_knows(
    config: Mapping[str, Any],
    given: Mapping[str, Any],
    aliases: list[str],
    outside: Mapping[str, Given],
) -> Iterator[str]:
    """A problem for each key that looks misspelt, or holds a URI that would not be read, and for
    flask-mongoengine's flat keys."""
    keys = {
        name: Given(value if isinstance(value, str) else "", "app.config")
        for name, value in config.items()
        if isinstance(name, str) and name != OLDER_KEY
    }
    every = _all_aliases(aliases)
    for problem in misspelt(keys, every, ()):
        yield f"app.config: {problem}"
    for alias in every:
        variable = variables_of(alias)["uri"]
        near = stand_in(variable, keys, every)
        if near and near not in FLAT_KEYS and variable not in {*given, *outside}:
            yield f"app.config: {near} is not read; did you mean {variable}?"
    uri = f"{prefix_of('default')}URI"
    named = {name: config[name] for name in keys if config[name] is not None}
    uri_of_all = given.get(uri) or (outside[uri].text if uri in outside else None)
    known = variables_of_settings(_all_aliases(aliases))
    with_uri = named if uri_of_all is None else {**named, uri: uri_of_all}
    yield from problems_of_flat_keys(with_uri, known, has_uri=uri_of_all is not None)


def _said_twice(older: Mapping[str, str], config: Mapping[str, Any]) -> Iterator[str]:
    for name in older:
        if name != _ALIASES and config.get(name) is not None:
            yield f"app.config has {name}, and {OLDER_KEY} for the same database; remove one"
