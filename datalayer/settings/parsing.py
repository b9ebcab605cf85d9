"""From texts with their sources to the settings of one database, collecting every problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from datalayer.settings.database_settings import DatabaseSettings, contradictions, with_uri_options
from datalayer.settings.uri import ParsedUri, parse, redact
from datalayer.settings.uri.rules import turned_off_checks, uses_tls
from datalayer.settings.value_types import Value, as_text
from datalayer.settings.variables import DATABASE_VARIABLES, ApplicationFields, Variable


@dataclass(frozen=True)
class Given:
    """A text that somebody has set, and where."""

    text: str = field(repr=False)
    source: str


@dataclass(frozen=True)
class Row:
    """One line of ``datalayer config``: no secret in it."""

    alias: str
    """Empty for variables that concern all databases."""
    variable: str
    value: str
    source: str
    """``default``, ``.env``, ``environment``, ``override``, ``code`` or ``URI``."""


@dataclass
class Findings:
    """What came up while reading; filled step by step."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class GivenDatabase:
    """What is given for one database, before it is checked."""

    alias: str
    given: Mapping[str, Given]
    """By field."""
    names: Mapping[str, str]
    """What messages call each field: its variable, or the alias and the field."""
    application: ApplicationFields


def build_database(database: GivenDatabase, findings: Findings) -> DatabaseSettings | None:
    """The settings of one database; ``None`` after adding to the problems."""
    before = len(findings.problems)
    uri = _read_uri(database, findings)
    values: dict[str, Any] = {}
    for variable in DATABASE_VARIABLES:
        if variable.field != "uri":
            given = database.given.get(variable.field)
            default = variable.default_for(database.alias, database.application.profile)
            name = database.names[variable.field]
            values[variable.field] = read_given(variable, name, given, default, findings)
    if uri is None or len(findings.problems) > before:
        return None
    final = _fit_minimum(database, uri, with_uri_options(values, uri))
    findings.warnings.extend(_overruled(database, uri, values, final))
    findings.problems.extend(contradictions(final, uri, database.names))
    if database.given["uri"].source != "default":  # else it is MONGODB_URI's server, checked there
        check_transport(uri, database.names["uri"], database.application.require_tls, findings)
    if len(findings.problems) > before:
        return None
    findings.rows.extend(_rows(database, uri, final))
    return DatabaseSettings(alias=database.alias, uri=uri.text, **final)


def read_given(
    variable: Variable,
    name: str,
    given: Given | None,
    default: Value | None,
    findings: Findings,
) -> Value | None:
    """The value of a variable; the default after adding to the problems."""
    if given is None:
        return default
    try:
        return variable.type.read(given.text)
    except ValueError as exc:
        example = variable.example if default is None else as_text(default)
        findings.problems.append(f"{name} {exc}; for example {name}={example}")
        return default


def _read_uri(database: GivenDatabase, findings: Findings) -> ParsedUri | None:
    given, name = database.given.get("uri"), database.names["uri"]
    variable = DATABASE_VARIABLES[0]
    if given is None:
        return None
    if not given.text.strip():
        findings.problems.append(f"{name} is empty; for example {name}={variable.example}")
        return None
    uri, problems = parse(given.text)
    findings.problems.extend(f"{name} {text}" for text in problems)
    return uri


def _fit_minimum(
    database: GivenDatabase, uri: ParsedUri, values: dict[str, Any]
) -> dict[str, Any]:
    """Where only the maximum was chosen, the default minimum follows it down."""
    chosen = "min_pool_size" in database.given or "minPoolSize" in dict(uri.options)
    if not chosen:
        values["min_pool_size"] = min(values["min_pool_size"], values["max_pool_size"])
    return values


def _overruled(
    database: GivenDatabase, uri: ParsedUri, values: Mapping[str, Any], final: Mapping[str, Any]
) -> Iterator[str]:
    chosen = dict(uri.options)
    for variable in DATABASE_VARIABLES:
        name = variable.field
        if variable.option in chosen and name in database.given and values[name] != final[name]:
            yield (
                f"{database.names['uri']} sets {variable.option} to another value than "
                f"{database.names[name]}; the URI's is used, remove one of them"
            )


def check_transport(uri: ParsedUri, name: str, require_tls: bool, findings: Findings) -> None:
    """Add what leaves the connection open to others: problems under ``require_tls``, else
    warnings."""
    options = dict(uri.options)
    found = [
        f"{name} sets {option}=true, so nobody verifies that the server is the right one; "
        "remove it and name the server's authority with tlsCAFile"
        for option in turned_off_checks(options)
    ]
    if uri.leaves_this_machine and not uses_tls(options, srv=uri.srv):
        found.append(
            f"{name} connects without TLS to another machine, so data and passwords can be "
            "read on the way; add tls=true"
        )
    if require_tls:
        findings.problems.extend(f"{text} (DATALAYER_REQUIRE_TLS is on)" for text in found)
    else:
        findings.warnings.extend(found)


def _rows(database: GivenDatabase, uri: ParsedUri, values: Mapping[str, Any]) -> Iterator[Row]:
    chosen = dict(uri.options)
    for variable in DATABASE_VARIABLES:
        name = variable.field
        given = database.given.get(name)
        source = given.source if given is not None else "default"
        if variable.option in chosen:
            source = "URI"
        text = redact(uri.text) if name == "uri" else as_text(values[name])
        yield Row(database.alias, database.names[name], text, source)
