"""The settings of one database, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from datalayer.errors import ConfigurationError
from datalayer.failures.tracebacks import takes_secrets
from datalayer.settings.uri import Kind, ParsedUri, parse
from datalayer.settings.uri.options import is_boolean
from datalayer.settings.uri.rules import uses_tls
from datalayer.settings.uri.secret_uri import SecretUri, whole
from datalayer.settings.value_types import Value
from datalayer.settings.variables import DATABASE_VARIABLES, DatabaseFields


@dataclass(frozen=True, repr=False)
class DatabaseSettings(DatabaseFields):
    """How one database is reached; built by ``Settings``.

    Two are equal when everything is, credentials included. What shows it (``repr``, ``vars``,
    ``dataclasses.asdict``, ``uri``, a pickle) shows no secret: an unpickled value tells what was
    set, and refuses to connect where its URI had credentials. An option in the URI beats the
    field of the same meaning, and the field then holds the URI's value.

    Raises:
        ConfigurationError: naming every wrong field.
    """

    def __post_init__(self) -> None:
        uri, problems = parse(whole(self.uri))
        if uri is None:
            raise ConfigurationError([f"{self.alias}.uri {text}" for text in problems])
        values = with_uri_options(_checked(self), uri)
        names = {name: f"{self.alias}.{name}" for name in ("uri", *values)}
        wrong = contradictions(values, uri, names)
        if wrong:
            raise ConfigurationError(wrong, alias=self.alias)
        self.__dict__.update(
            values,
            uri=SecretUri(uri.text),
            database=uri.database,
            _parsed=uri.without_secrets(),
        )

    def __repr__(self) -> str:
        shown = {each.name: getattr(self, each.name) for each in fields(self)}
        return f"DatabaseSettings({', '.join(f'{k}={v!r}' for k, v in shown.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        state = {each.name: getattr(self, each.name) for each in fields(self)}
        return _restore, (state, self._parsed)

    def __copy__(self) -> DatabaseSettings:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> DatabaseSettings:
        return self

    @cached_property
    def _parsed(self) -> ParsedUri:
        raise AssertionError("set when the value is made")

    @property
    def kind(self) -> Kind:
        """``mongodb`` for a real server, ``embedded`` or ``mongomock``."""
        return self._parsed.kind

    @property
    def hosts(self) -> tuple[str, ...]:
        """``host:port`` each, or a socket's path; for ``mongodb+srv`` the name to look up.

        Empty for ``embedded`` and ``mongomock``.
        """
        return self._parsed.hosts

    @property
    def redacted_uri(self) -> str:
        """The URI without user name, password and secret options."""
        return str(self.uri)

    def on(self, database: str) -> DatabaseSettings:
        """The same for another database of the server. Whoever logs in is who did before."""
        other = object.__new__(DatabaseSettings)
        other.__dict__.update(self.__dict__, database=database)
        return other

    def secret_uri(self) -> str:
        """The whole URI, with its credentials: for a driver, and never for a log.

        Of an unpickled value it is the redacted one.
        """
        return whole(self.uri)

    @property
    def uses_tls(self) -> bool:
        """Whether the driver speaks TLS with the servers."""
        return uses_tls(dict(self._parsed.options), srv=self._parsed.srv)

    def client_kwargs(self) -> dict[str, Any]:
        """The keyword arguments for ``pymongo.MongoClient``, ``host`` included.

        What the URI sets is left out, because in PyMongo an argument beats the URI. For
        ``embedded`` and ``mongomock`` there is no ``host``, and the URI's options are arguments.

        Raises:
            ConfigurationError: for an unpickled value, whose credentials stayed behind.
        """
        uri = self.secret_uri()
        parsed, _ = parse(uri)
        if parsed is None or parsed.is_redacted:
            raise ConfigurationError(
                f"the settings of {self.alias!r} were unpickled, and credentials are never "
                "pickled; read them where they are used, with Settings.from_env()",
                alias=self.alias,
            )
        arguments: dict[str, Any] = {
            "appname": f"datalayer:{self.alias}",
            "tz_aware": True,
            "uuidRepresentation": "standard",
            "retryWrites": True,
        }
        arguments.update(
            (v.option, getattr(self, v.field)) for v in DATABASE_VARIABLES if v.option is not None
        )
        chosen = _as_arguments(parsed)
        if self.kind == "mongodb":
            rest = {name: value for name, value in arguments.items() if name not in chosen}
            return {"host": uri, **rest}
        return arguments | chosen


def _as_arguments(uri: ParsedUri) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for name, text in uri.options:
        if name == "readPreferenceTags":
            arguments.setdefault(name, []).append(text)
        else:
            # The driver converts all others itself.
            arguments[name] = text == "true" if is_boolean(name) else text
    return arguments


def _restore(state: dict[str, Any], parsed: ParsedUri) -> DatabaseSettings:
    value = object.__new__(DatabaseSettings)
    value.__dict__.update(state, _parsed=parsed)
    return value


DatabaseSettings.__init__ = takes_secrets(DatabaseSettings.__init__)  # type: ignore[method-assign]


def _checked(settings: DatabaseSettings) -> dict[str, Value]:
    values: dict[str, Value] = {}
    problems = []
    for variable in DATABASE_VARIABLES:
        if variable.field != "uri":
            text = str(getattr(settings, variable.field))
            try:
                values[variable.field] = variable.type.read(text)
            except ValueError as exc:
                problems.append(f"{settings.alias}.{variable.field} {exc}")
    if problems:
        raise ConfigurationError(problems, alias=settings.alias)
    return values


def with_uri_options(values: Mapping[str, Any], uri: ParsedUri) -> dict[str, Any]:
    """``values`` with those replaced that the URI sets."""
    chosen = dict(uri.options)
    return dict(values) | {
        v.field: v.type.read(chosen[v.option])
        for v in DATABASE_VARIABLES
        if v.option is not None and v.option in chosen
    }


def contradictions(
    values: Mapping[str, Any], uri: ParsedUri, names: Mapping[str, str]
) -> list[str]:
    """What is wrong with values that are correct each by itself; ``names`` says what to call
    each field."""
    problems = []
    if uri.is_redacted:
        problems.append(
            f"{names['uri']} holds *** in the place of a secret, as logs show it; "
            "put the secret there"
        )
    low, high = values["min_pool_size"], values["max_pool_size"]
    if low > high:
        problems.append(
            f"{names['min_pool_size']} ({low}) is above {names['max_pool_size']} ({high}); "
            "lower the first or raise the second"
        )
    if dict(uri.options).get("w", "1").strip("0") == "" and not values["allow_unacknowledged"]:
        problems.append(
            f"{names['uri']} sets w=0: no server would confirm a write, and writes get lost "
            f"silently; remove it, or set {names['allow_unacknowledged']}=true if that is meant"
        )
    return problems
