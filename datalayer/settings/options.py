"""The options that a MongoDB URI may hold for PyMongo, what their values may be, and which of
them contradict each other.

The driver only warns of an unknown option or a bad value and goes on without it. Here both are
problems. Texts name options of the table only, and never repeat what the URI holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import unquote_plus

from datalayer.settings.variables import DATABASE_VARIABLES, Variable

__all__ = [
    "OPTIONS",
    "SECRET_OPTIONS",
    "check_together",
    "read_options",
    "turned_off_checks",
    "uses_tls",
]

SECRET_OPTIONS = ("authMechanismProperties", "proxyPassword", "tlsCertificateKeyFilePassword")

_READ_PREFERENCES = ("primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest")
_MECHANISMS = (
    "DEFAULT",
    "GSSAPI",
    "MONGODB-AWS",
    "MONGODB-OIDC",
    "MONGODB-X509",
    "PLAIN",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
)
_COMPRESSORS = ("snappy", "zlib", "zstd")
_PROPERTIES = (
    "AWS_SESSION_TOKEN",
    "CANONICALIZE_HOST_NAME",
    "ENVIRONMENT",
    "SERVICE_HOST",
    "SERVICE_NAME",
    "SERVICE_REALM",
    "TOKEN_RESOURCE",
)


@dataclass(frozen=True)
class _Form:
    """What a value must look like, in words and as a test."""

    expected: str
    accepts: Callable[[str], bool]


def _one_of(*choices: str) -> _Form:
    return _Form("one of " + ", ".join(choices), lambda value: value in choices)


def _whole(lowest: int, highest: int, unit: str = "") -> _Form:
    def accepts(value: str) -> bool:
        return bool(re.fullmatch(r"-?[0-9]{1,10}", value)) and lowest <= int(value) <= highest

    return _Form(f"a whole number{unit} from {lowest} to {highest}, in plain digits", accepts)


def _each_of(*choices: str) -> _Form:
    return _Form(
        "some of " + ", ".join(choices) + ", separated by commas",
        lambda value: all(part in choices for part in value.split(",")),
    )


def _is_tag_set(value: str) -> bool:
    return not value or all(tag.count(":") == 1 for tag in value.split(","))


def _is_write_concern(value: str) -> bool:
    if re.fullmatch(r"[0-9]+", value):
        return len(value) <= 2 and int(value) <= 50
    return bool(re.match(r"[^\W\d]", value))


def _are_properties(value: str) -> bool:
    pairs = [part.partition(":") for part in value.split(",")]
    return all(
        name in _PROPERTIES and content and _is_property(name, content)
        for name, _, content in pairs
    )


def _is_property(name: str, content: str) -> bool:
    if name == "CANONICALIZE_HOST_NAME":
        return content in ("true", "false", "none", "forward", "forwardAndReverse")
    if name == "ENVIRONMENT":
        return content in ("azure", "gcp", "k8s", "test")
    return True


def _is_domain(value: str) -> bool:
    return bool(re.fullmatch(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", value))


_BOOLEAN = _one_of("true", "false")
_MILLISECONDS = _whole(1, 86_400_000, " of milliseconds")
_TEXT = _Form("a text that is not empty", bool)
_NAME_OF_CLIENT = _Form(
    "a text of 1 to 128 bytes", lambda value: 0 < len(value.encode("utf-8")) <= 128
)


def _is_readable(path: str) -> bool:
    # Asks for the file's state only: opening a pipe here would wait for its writer.
    return "\0" not in path and os.path.isfile(path) and os.access(path, os.R_OK)


_FILE = _Form("the path of a file that this process may read", _is_readable)


def _as_variable(variable: Variable) -> _Form:
    def accepts(value: str) -> bool:
        try:
            variable.read(value)
        except ValueError:
            return False
        return value == value.strip()

    return _Form(variable.expected, accepts)


OPTIONS: Mapping[str, _Form] = {
    **{v.option: _as_variable(v) for v in DATABASE_VARIABLES if v.option},
    "appName": _NAME_OF_CLIENT,
    "authMechanism": _one_of(*_MECHANISMS),
    "authMechanismProperties": _Form(
        "NAME:value pairs, separated by commas, with names of " + ", ".join(_PROPERTIES),
        _are_properties,
    ),
    "authSource": _TEXT,
    "compressors": _each_of(*_COMPRESSORS),
    "connect": _BOOLEAN,
    "datetime_conversion": _one_of("DATETIME", "DATETIME_CLAMP", "DATETIME_MS", "DATETIME_AUTO"),
    "directConnection": _BOOLEAN,
    "enableOverloadRetargeting": _BOOLEAN,
    "fsync": _BOOLEAN,
    "heartbeatFrequencyMS": _whole(500, 86_400_000, " of milliseconds"),
    "journal": _BOOLEAN,
    "loadBalanced": _BOOLEAN,
    "localThresholdMS": _whole(0, 86_400_000, " of milliseconds"),
    "maxAdaptiveRetries": _whole(0, 1000),
    "maxConnecting": _whole(1, 1000),
    "maxIdleTimeMS": _MILLISECONDS,
    # The driver refuses less than 90 s at the first read (server selection specification).
    "maxStalenessSeconds": _Form(
        "-1 (no limit) or a whole number of seconds from 90",
        lambda value: value == "-1" or _whole(90, 100_000_000).accepts(value),
    ),
    "readConcernLevel": _one_of("local", "available", "majority", "linearizable", "snapshot"),
    "readPreference": _one_of(*_READ_PREFERENCES),
    "readPreferenceTags": _Form("name:value pairs, separated by commas", _is_tag_set),
    "replicaSet": _TEXT,
    "retryReads": _BOOLEAN,
    "retryWrites": _BOOLEAN,
    "serverMonitoringMode": _one_of("auto", "stream", "poll"),
    "srvAllowedHostsSuffix": _Form("a domain of at least two parts", _is_domain),
    "srvMaxHosts": _whole(0, 1000),
    "srvServiceName": _TEXT,
    "ssl": _BOOLEAN,
    "tls": _BOOLEAN,
    "tlsAllowInvalidCertificates": _BOOLEAN,
    "tlsAllowInvalidHostnames": _BOOLEAN,
    "tlsCAFile": _FILE,
    "tlsCRLFile": _FILE,
    "tlsCertificateKeyFile": _FILE,
    "tlsCertificateKeyFilePassword": _TEXT,
    "tlsDisableOCSPEndpointCheck": _BOOLEAN,
    "tlsInsecure": _BOOLEAN,
    "tz_aware": _BOOLEAN,
    "unicode_decode_error_handler": _one_of("strict", "replace", "ignore"),
    "uuidRepresentation": _one_of(
        "standard", "unspecified", "pythonLegacy", "javaLegacy", "csharpLegacy"
    ),
    "w": _Form("a number of servers from 0 to 50, majority, or a name", _is_write_concern),
    "wTimeoutMS": _whole(0, 86_400_000, " of milliseconds"),
    "waitQueueMultiple": _whole(0, 1000),
    "zlibCompressionLevel": _whole(-1, 9),
}
"""Every option by its proper name, with the form of its value."""

_BY_LOWER_NAME = {name.lower(): name for name in OPTIONS}


def read_options(query: str, problems: list[str]) -> tuple[tuple[str, str], ...]:
    """The options of a URI's query as (proper name, decoded value); adds what is wrong.

    ``readPreferenceTags`` may come several times, every other option once.
    """
    if not query:
        return ()
    if "&" in query and ";" in query:
        problems.append("separates its options by both '&' and ';'; use '&'")
        return ()
    found: list[tuple[str, str]] = []
    for number, pair in enumerate(query.split(";" if ";" in query else "&"), 1):
        option = _read_option(number, pair, problems)
        if option is None:
            continue
        if option[0] != "readPreferenceTags" and option[0] in dict(found):
            problems.append(f"gives the option {option[0]} twice; keep one")
        found.append(option)
    return tuple(found)


def _read_option(number: int, pair: str, problems: list[str]) -> tuple[str, str] | None:
    written, equals, raw = pair.partition("=")
    if not equals or "=" in raw:
        problems.append(
            f"has an option (number {number}) that is not name=value; "
            "an '=' inside a value is written %3D"
        )
        return None
    name = _BY_LOWER_NAME.get(written.lower())
    if name is None:
        near = get_close_matches(written.lower(), _BY_LOWER_NAME, 1, 0.6)
        hint = f"; did you mean {_BY_LOWER_NAME[near[0]]}?" if near else "; remove it"
        problems.append(f"has an option (number {number}) that PyMongo does not know{hint}")
        return None
    # The driver decodes tags after it has split them.
    value = raw if name == "readPreferenceTags" else unquote_plus(raw)
    if not OPTIONS[name].accepts(value):
        problems.append(_bad_value(name))
    return name, value


def _bad_value(name: str) -> str:
    text = f"gives the option {name} a wrong value; it must be {OPTIONS[name].expected}"
    if name == "maxPoolSize":
        text += " (0 would mean a pool without limit)"
    return text


@dataclass(frozen=True)
class _Facts:
    """What the rules on contradictions look at."""

    options: Mapping[str, str]
    srv: bool
    hosts: int
    user: bool
    password: bool

    def has(self, name: str) -> bool:
        return name in self.options

    def on(self, name: str) -> bool:
        return self.options.get(name) == "true"


_INSECURE = ("tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames")
_IMPLIED_BY_INSECURE = (
    "tlsAllowInvalidCertificates",
    "tlsAllowInvalidHostnames",
    "tlsDisableOCSPEndpointCheck",
)
_EXTERNAL = ("GSSAPI", "MONGODB-AWS", "MONGODB-OIDC", "MONGODB-X509")


def check_together(
    options: tuple[tuple[str, str], ...], *, srv: bool, hosts: int, user: bool, password: bool
) -> Iterator[str]:
    """What is wrong with options of correct values in their combination."""
    facts = _Facts(dict(options), srv, hosts, user, password)
    yield from _topology_problems(facts)
    yield from _concern_problems(facts)
    yield from _tls_problems(facts)
    yield from _credential_problems(facts)


def _topology_problems(facts: _Facts) -> Iterator[str]:
    direct, balanced = facts.on("directConnection"), facts.on("loadBalanced")
    if direct and (facts.hosts > 1 or facts.srv):
        yield "combines directConnection=true with several hosts or mongodb+srv; keep one of them"
    if balanced and (facts.hosts > 1 or direct or facts.has("replicaSet")):
        yield (
            "combines loadBalanced=true with several hosts, directConnection or replicaSet; "
            "a load balancer is one host without either"
        )
    limited = facts.options.get("srvMaxHosts", "0") != "0"
    if limited and (balanced or facts.has("replicaSet")):
        yield "combines srvMaxHosts with loadBalanced or replicaSet; remove srvMaxHosts"
    if not facts.srv:
        for name in ("srvMaxHosts", "srvServiceName", "srvAllowedHostsSuffix"):
            if facts.has(name):
                yield f"has {name}, which belongs to mongodb+srv:// only; remove it"


def _concern_problems(facts: _Facts) -> Iterator[str]:
    if facts.options.get("readPreference", "primary") == "primary":
        for name in ("readPreferenceTags", "maxStalenessSeconds"):
            if facts.options.get(name, "-1") not in ("-1", ""):
                yield f"has {name}, which needs a readPreference other than primary; add one"
    if facts.on("journal") and facts.on("fsync"):
        yield "sets both journal and fsync to true; keep journal"
    if facts.options.get("w", "1").strip("0") == "" and facts.on("journal"):
        yield "combines w=0 with journal=true; use w=majority"


def _tls_problems(facts: _Facts) -> Iterator[str]:
    if facts.has("tls") and facts.has("ssl") and facts.on("tls") != facts.on("ssl"):
        yield "sets tls and ssl differently; keep tls"
    if facts.has("tlsInsecure") and any(facts.has(name) for name in _IMPLIED_BY_INSECURE):
        yield f"combines tlsInsecure with one of {', '.join(_IMPLIED_BY_INSECURE)}; keep one"
    elif facts.has("tlsAllowInvalidCertificates") and facts.has("tlsDisableOCSPEndpointCheck"):
        yield "combines tlsAllowInvalidCertificates with tlsDisableOCSPEndpointCheck; keep one"
    if facts.has("tlsCRLFile") and any(
        facts.on(name)
        for name in ("tlsInsecure", "tlsAllowInvalidCertificates", "tlsDisableOCSPEndpointCheck")
    ):
        yield "combines tlsCRLFile with an option that turns such checks off; keep one"
    switched_off = facts.options.get("tls", facts.options.get("ssl")) == "false"
    if switched_off and _implies_tls(facts.options):
        yield "sets tls=false together with other tls options; set tls=true or remove them"


def _credential_problems(facts: _Facts) -> Iterator[str]:
    mechanism = facts.options.get("authMechanism", "DEFAULT" if facts.user else None)
    if mechanism is None:
        return
    if not facts.user and mechanism not in ("MONGODB-AWS", "MONGODB-OIDC", "MONGODB-X509"):
        yield f"asks for authMechanism={mechanism}, which needs a user name: user:password@host"
    needs_password = mechanism in ("DEFAULT", "SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN")
    if facts.user and not facts.password and (needs_password or mechanism == "MONGODB-AWS"):
        yield "has a user name without a password; write user:password@host"
    if facts.password and mechanism in ("MONGODB-X509", "MONGODB-OIDC"):
        yield f"has a password, which authMechanism={mechanism} does not use; remove it"
    if mechanism in _EXTERNAL and facts.options.get("authSource", "$external") != "$external":
        yield f"needs authSource=$external (or none) for authMechanism={mechanism}"
    if mechanism == "MONGODB-OIDC":
        yield from _oidc_problems(facts)


def _oidc_problems(facts: _Facts) -> Iterator[str]:
    text = facts.options.get("authMechanismProperties", "")
    properties = dict(part.split(":", 1) for part in text.split(",") if ":" in part)
    environment = properties.get("ENVIRONMENT")
    if environment is None:
        yield "needs authMechanismProperties=ENVIRONMENT:… for authMechanism=MONGODB-OIDC"
    if environment in ("azure", "gcp") and not properties.get("TOKEN_RESOURCE"):
        yield "needs TOKEN_RESOURCE in authMechanismProperties for that ENVIRONMENT"
    if environment == "test" and facts.user:
        yield "has a user name, which the OIDC environment 'test' does not use; remove it"


def _implies_tls(options: Mapping[str, str]) -> bool:
    # As the driver does: any of these files, and any of these switches set to false.
    files = ("tlsCAFile", "tlsCRLFile", "tlsCertificateKeyFile", "tlsCertificateKeyFilePassword")
    if any(options.get(name) for name in files):
        return True
    return any(options.get(name) == "false" for name in (*_INSECURE, *_IMPLIED_BY_INSECURE))


def uses_tls(options: Mapping[str, str], *, srv: bool) -> bool:
    """Whether the driver will use TLS."""
    switch = options.get("tls", options.get("ssl"))
    if switch is None:
        return srv or _implies_tls(options)
    return switch == "true"


def turned_off_checks(options: Mapping[str, str]) -> tuple[str, ...]:
    """The options that switch off the verification of the server."""
    return tuple(name for name in _INSECURE if options.get(name) == "true")
