"""The settings of all databases, from the environment or from code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from datalayer.errors import ConfigurationError
from datalayer.failures.tracebacks import takes_secrets
from datalayer.settings.database_settings import DatabaseSettings
from datalayer.settings.parsing import (
    Findings,
    Given,
    GivenDatabase,
    Row,
    build_database,
    check_transport,
    read_given,
)
from datalayer.settings.recorder_settings import RecorderSettings, recorder_settings
from datalayer.settings.sources import gather, read_aliases
from datalayer.settings.unknown_variables import looks_like, misspelt, stand_in, unread
from datalayer.settings.uri import parse, with_database
from datalayer.settings.uri.secret_uri import whole
from datalayer.settings.value_types import Value, as_text
from datalayer.settings.variables import (
    BUILT_IN_ALIASES,
    DATABASE_VARIABLES,
    GLOBAL_VARIABLES,
    MIGRATIONS_AT_CONNECT,
    PROFILES,
    RECORDER_VARIABLES,
    ApplicationFields,
    known_variables,
    variables_of,
)

_FIELDS = tuple(variable.field for variable in DATABASE_VARIABLES)
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True, init=False, repr=False)
class Settings(Mapping[str, DatabaseSettings]):
    """The settings of every database, by alias: ``settings["default"]``.

    ``databases`` gives for each alias a URI, a dict of fields of ``DatabaseSettings`` (``uri``
    and those that differ from the defaults), or a ``DatabaseSettings``. ``profile="job"``
    raises the default operation deadline from 20 to 120 seconds; ``require_tls`` refuses what
    otherwise is a warning. ``migrations`` and ``migrations_at_connect`` are what the variables of
    these names are.

    Raises:
        ConfigurationError: with all problems at once.
    """

    databases: Mapping[str, DatabaseSettings]
    recorder: RecorderSettings
    """How ``datalayer.recorder`` keeps and sends events."""
    migrations: str
    """The package, or the folder, of the application's migrations."""
    migrations_at_connect: str
    """What ``connect_all`` does about pending ones: ``ignore``, ``warn`` or ``require``."""
    warnings: tuple[str, ...] = field(compare=False)
    """What works and should be changed, such as a connection without TLS to another machine."""
    rows: tuple[Row, ...] = field(compare=False)
    """Every setting with its value and its source, secrets hidden."""

    @takes_secrets
    def __init__(
        self,
        databases: Mapping[str, str | Mapping[str, Any] | DatabaseSettings],
        *,
        profile: str = "web",
        require_tls: bool = False,
        recorder: RecorderSettings | None = None,
        migrations: str = "migrations",
        migrations_at_connect: str = "ignore",
    ) -> None:
        findings = Findings()
        if profile not in PROFILES:
            findings.problems.append(f"profile must be {' or '.join(PROFILES)}")
        if migrations_at_connect not in MIGRATIONS_AT_CONNECT:
            findings.problems.append(
                f"migrations_at_connect must be {' or '.join(MIGRATIONS_AT_CONNECT)}"
            )
        if not isinstance(databases, Mapping):
            raise ConfigurationError("databases must be a dict of aliases with their URIs")
        if not databases:
            findings.problems.append("databases is empty; give at least one alias with its URI")
        application = ApplicationFields(
            profile=profile,
            require_tls=require_tls,
            migrations=migrations,
            migrations_at_connect=migrations_at_connect,
        )
        built = {
            alias: _from_code(alias, value, application, findings)
            for alias, value in databases.items()
        }
        self._fill(built, application, recorder or RecorderSettings(), findings)

    @classmethod
    @takes_secrets
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        only: str | None = None,
        **overrides: Value | None,
    ) -> Settings:
        """The settings from keyword arguments (``mongodb_uri=...``), the environment, and the
        nearest ``.env`` from the working directory upwards, in this order of precedence.

        With ``environ`` given, only that mapping and the keyword arguments count. Arguments
        that are ``None`` count as not given. With ``only``, the settings of that alias alone
        are read, and those of the others may be missing or wrong.

        Raises:
            ConfigurationError: with all problems at once, each with the variable's name.
        """
        findings = Findings()
        found = gather(environ, overrides, findings)
        application, aliases, recorder = _read_globals(found, findings)
        findings.problems.extend(misspelt(found, aliases, overrides))
        findings.warnings.extend(unread(found, aliases))
        built = {}
        for alias in aliases if only is None else {only} & set(aliases):
            names = variables_of(alias)
            given = {name: found[v] for name, v in names.items() if v in found}
            if "uri" not in given:
                uri = _default_uri(alias, found, aliases, findings, alone=only is not None)
                if uri is not None:
                    given["uri"] = Given(uri, "default")
            built[alias] = build_database(
                GivenDatabase(alias, given, names, application), findings
            )
        settings = object.__new__(cls)
        settings._fill(built, application, recorder, findings)
        return settings

    def _fill(
        self,
        databases: Mapping[str, DatabaseSettings | None],
        application: ApplicationFields,
        recorder: RecorderSettings,
        findings: Findings,
    ) -> None:
        # A database is None where its problems are among the findings.
        if findings.problems:
            raise ConfigurationError(dict.fromkeys(findings.problems))
        self.__dict__.update(
            databases=MappingProxyType(dict(databases)),
            recorder=recorder,
            migrations=application.migrations,
            migrations_at_connect=application.migrations_at_connect,
            warnings=tuple(dict.fromkeys(findings.warnings)),
            rows=tuple(findings.rows),
        )

    def __getitem__(self, alias: str) -> DatabaseSettings:
        return self.databases[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self.databases)

    def __len__(self) -> int:
        return len(self.databases)

    def __hash__(self) -> int:
        return hash(frozenset(self.databases.values()))

    def __repr__(self) -> str:
        return f"Settings({dict(self.databases)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        application = ApplicationFields(
            migrations=self.migrations, migrations_at_connect=self.migrations_at_connect
        )
        findings = Findings(warnings=list(self.warnings), rows=list(self.rows))
        return _restore, (dict(self.databases), application, self.recorder, findings)

    def __copy__(self) -> Settings:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Settings:
        return self


def _restore(
    databases: dict[str, DatabaseSettings],
    application: ApplicationFields,
    recorder: RecorderSettings,
    findings: Findings,
) -> Settings:
    settings = object.__new__(Settings)
    settings._fill(databases, application, recorder, findings)
    return settings


def _read_globals(
    found: Mapping[str, Given], findings: Findings
) -> tuple[ApplicationFields, tuple[str, ...], RecorderSettings]:
    """What holds for all databases, the aliases, and the recorder's settings."""
    named = found.get("DATALAYER_ALIASES")
    further = read_aliases(named.text if named else "", findings.problems)
    values: dict[str, Any] = {"DATALAYER_ALIASES": ",".join(further)}
    for variable in GLOBAL_VARIABLES:
        name, given = variable.name, found.get(variable.name)
        if name not in values:
            values[name] = read_given(variable, name, given, variable.default, findings)
        text = "" if values[name] is None else as_text(values[name])
        findings.rows.append(Row("", name, text, given.source if given else "default"))
    recorder = {v.field: values.pop(v.name) for v in RECORDER_VARIABLES}
    application = {v.field: values[v.name] for v in GLOBAL_VARIABLES if v.name in values}
    return (
        ApplicationFields(**application),
        (*BUILT_IN_ALIASES, *further),
        recorder_settings(recorder, findings.problems),
    )


def _default_uri(
    alias: str,
    found: Mapping[str, Given],
    aliases: tuple[str, ...],
    findings: Findings,
    *,
    alone: bool,
) -> str | None:
    """The URI where none was set: for ``database1`` on the server of ``MONGODB_URI``."""
    main = found.get("MONGODB_URI")
    variable = variables_of(alias)["uri"]
    near = stand_in(variable, found, aliases)
    if alias == "database1" and not (alone and main is None):
        if near is not None and not any(near in problem for problem in findings.problems):
            findings.problems.append(
                f"{near} is set and is not read; did you mean {variable}? Without that, analytics "
                "would go to the server of MONGODB_URI"
            )
        uri = parse(main.text)[0] if main is not None else None
        if uri is None or uri.is_redacted:
            return None  # MONGODB_URI's own problem
        return with_database(uri, "database1").text
    example = f"{variable}={DATABASE_VARIABLES[0].example}"
    near = near or looks_like(variable, sorted(set(found) - known_variables(aliases)))
    hint = f" ({near} is set; did you mean {variable}?)" if near else ""
    findings.problems.append(f"{variable} is not set{hint}; for example {example}")
    return None


def _from_code(
    alias: str, value: object, application: ApplicationFields, findings: Findings
) -> DatabaseSettings | None:
    if not isinstance(alias, str) or not _ALIAS.fullmatch(alias):
        findings.problems.append(
            "databases has an alias that is not made of letters, digits, '_', '-' and '.'; "
            "for example databases={'default': 'mongodb://localhost:27017/app'}"
        )
        return None
    names = {name: f"{alias}.{name}" for name in _FIELDS}
    if isinstance(value, DatabaseSettings):
        return _ready_made(alias, value, names, application, findings)
    if isinstance(value, str):
        value = {"uri": value}
    elif not isinstance(value, Mapping):
        findings.problems.append(f"{alias} must be a URI, a dict or a DatabaseSettings")
        return None
    for name in value:
        if name not in _FIELDS:
            near = looks_like(str(name), _FIELDS)
            hint = f"; did you mean {near}?" if near else f"; there are {', '.join(_FIELDS)}"
            findings.problems.append(f"{alias} has a field that is not a setting{hint}")
    if value.get("uri") is None:
        findings.problems.append(
            f"{alias}.uri is not set; for example {DATABASE_VARIABLES[0].example}"
        )
    given = {
        name: Given(whole(each) if isinstance(each, str) else str(each), "code")
        for name, each in value.items()
        if name in _FIELDS and each is not None
    }
    return build_database(GivenDatabase(alias, given, names, application), findings)


def _ready_made(
    alias: str,
    value: DatabaseSettings,
    names: Mapping[str, str],
    application: ApplicationFields,
    findings: Findings,
) -> DatabaseSettings | None:
    if value.alias != alias:
        findings.problems.append(f"{alias} is given the settings of the alias {value.alias}")
        return None
    check_transport(value._parsed, names["uri"], application.require_tls, findings)
    for name in _FIELDS:
        text = value.redacted_uri if name == "uri" else as_text(getattr(value, name))
        findings.rows.append(Row(alias, names[name], text, "code"))
    return value
