"""From the dict ``DATALAYER`` of Django's settings, or Django-MongoEngine's, to datalayer's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings as django_settings

from datalayer.contrib.django.redaction import concealed
from datalayer.errors import ConfigurationError
from datalayer.failures.tracebacks import takes_secrets
from datalayer.settings import Settings
from datalayer.settings.mongoengine.connect_arguments import variables_of_connects, with_plain_keys

_ALIASES = "DATALAYER_ALIASES"
_OLDER_KEY = "MONGODB_DATABASES"
_STATUS_TOKEN = "DATALAYER_STATUS_TOKEN"  # noqa: S105 - a variable's name


@takes_secrets
def read_settings(*, only: str | None = None, **overrides: Any) -> Settings:
    """The settings from ``overrides``, the dict ``DATALAYER``, the environment and ``.env``, in
    this order of precedence. Called like ``Settings.from_env``.

    Raises:
        ConfigurationError: with all problems at once.
    """
    given = given_in_django()
    problems = list(_wrong_keys(given))
    values = {str(k): v for k, v in given.items() if not _wrong_key(k)} | overrides
    try:
        settings = Settings.from_env(only=only, **values)
    except ConfigurationError as exc:
        raise ConfigurationError([*problems, *exc.problems]) from None
    if problems:
        raise ConfigurationError(problems)
    return settings


def given_in_django() -> dict[Any, Any]:
    """What the dict ``DATALAYER`` holds, with lists of names as the variables have them; beside
    it, what Django-MongoEngine's ``MONGODB_DATABASES`` says of other databases.

    Raises:
        ConfigurationError: where one of them is no dict, and for what can't be carried over.
    """
    given = getattr(django_settings, "DATALAYER", {})
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            "DATALAYER must be a dict of variables with their values; for example "
            'DATALAYER = {"MONGODB_URI": "mongodb://localhost:27017/app"}'
        )
    own = {
        name: ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        for name, value in given.items()
    }
    older = _older_setting()
    aliases = [str(each[_ALIASES]) for each in (older, own) if each.get(_ALIASES)]
    return {**older, **own, **({_ALIASES: ",".join(aliases)} if aliases else {})}


def _older_setting() -> dict[str, str]:
    databases = getattr(django_settings, _OLDER_KEY, None) or {}
    if not isinstance(databases, Mapping) or not all(
        isinstance(each, Mapping) for each in databases.values()
    ):
        raise ConfigurationError(f"{_OLDER_KEY} must be a dict of aliases with a dict for each")
    problems: list[str] = []
    connects = ((str(alias), with_plain_keys(each)) for alias, each in databases.items())
    variables = variables_of_connects(connects, _OLDER_KEY, problems)
    if problems:
        raise ConfigurationError(problems)
    return variables


def conceal_secrets() -> None:
    """Have the dict ``DATALAYER`` shown without secrets from now on, whoever shows it."""
    given = getattr(django_settings, "DATALAYER", None)
    if isinstance(given, Mapping):
        django_settings.DATALAYER = concealed(given)


def status_token() -> str | None:
    """The token in ``DATALAYER``: who sends it may see the details of the health views. ``None``
    where there is none, or an empty one."""
    token = str(given_in_django().get(_STATUS_TOKEN) or "").strip()
    return token or None


def _wrong_keys(given: Mapping[Any, Any]) -> Iterator[str]:
    for name in given:
        if _wrong_key(name):
            hint = f"; write {name.upper()!r}" if isinstance(name, str) else ""
            yield f"the key {name!r} is no variable's name, which is written in capitals{hint}"


def _wrong_key(name: object) -> bool:
    return not isinstance(name, str) or name != name.upper()
