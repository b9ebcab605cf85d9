"""The options that a MongoDB URI may hold for PyMongo, and what their values may be.

The driver only warns of an unknown option or a bad value and goes on without it. Here both are
problems. Texts name options of the table only, and never repeat what the URI holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from urllib.parse import unquote_plus

from datalayer.settings.value_types import ValueType, matching, milliseconds, one_of, whole
from datalayer.settings.variables import DATABASE_VARIABLES

SECRET_OPTIONS = ("authMechanismProperties", "proxyPassword", "tlsCertificateKeyFilePassword")

READ_PREFERENCES = ("primary", "primaryPreferred", "secondary", "secondaryPreferred", "nearest")
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


_BOOLEAN = one_of("true", "false")  # the driver takes no other words
_TEXT = matching("a text that is not empty", bool)
_NAME_OF_CLIENT = matching(
    "a text of 1 to 128 bytes", lambda value: 0 < len(value.encode("utf-8")) <= 128
)


def _is_readable(path: str) -> bool:
    # Asks for the file's state only: opening a pipe here would wait for its writer.
    return "\0" not in path and os.path.isfile(path) and os.access(path, os.R_OK)


_FILE = matching("the path of a file that this process may read", _is_readable)

OPTIONS: Mapping[str, ValueType] = {
    "appname": _NAME_OF_CLIENT,
    "authMechanism": one_of(*_MECHANISMS),
    "authMechanismProperties": matching(
        "NAME:value pairs, separated by commas, with names of " + ", ".join(_PROPERTIES),
        _are_properties,
    ),
    "authSource": _TEXT,
    "compressors": matching(
        "some of " + ", ".join(_COMPRESSORS) + ", separated by commas",
        lambda value: all(part in _COMPRESSORS for part in value.split(",")),
    ),
    "connect": _BOOLEAN,
    "datetime_conversion": one_of("DATETIME", "DATETIME_CLAMP", "DATETIME_MS", "DATETIME_AUTO"),
    "directConnection": _BOOLEAN,
    "enableOverloadRetargeting": _BOOLEAN,
    "fsync": _BOOLEAN,
    "heartbeatFrequencyMS": milliseconds(500),
    "journal": _BOOLEAN,
    "loadBalanced": _BOOLEAN,
    "localThresholdMS": milliseconds(0),
    "maxAdaptiveRetries": whole("", 0, 1000),
    "maxConnecting": whole("", 1, 1000),
    "maxIdleTimeMS": milliseconds(),
    # The driver refuses less than 90 s at the first read (server selection specification).
    "maxStalenessSeconds": matching(
        "-1 (no limit) or a whole number of seconds from 90",
        lambda value: value == "-1" or whole("seconds", 90, 100_000_000).accepts(value),
    ),
    "readConcernLevel": one_of("local", "available", "majority", "linearizable", "snapshot"),
    "readPreference": one_of(*READ_PREFERENCES),
    "readPreferenceTags": matching("name:value pairs, separated by commas", _is_tag_set),
    "replicaSet": _TEXT,
    "retryReads": _BOOLEAN,
    "retryWrites": _BOOLEAN,
    "serverMonitoringMode": one_of("auto", "stream", "poll"),
    "srvAllowedHostsSuffix": matching("a domain of at least two parts", _is_domain),
    "srvMaxHosts": whole("", 0, 1000),
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
    "unicode_decode_error_handler": one_of("strict", "replace", "ignore"),
    "uuidRepresentation": one_of(
        "standard", "unspecified", "pythonLegacy", "javaLegacy", "csharpLegacy"
    ),
    "w": matching("a number of servers from 0 to 50, majority, or a name", _is_write_concern),
    "wTimeoutMS": milliseconds(0),
    "waitQueueMultiple": whole("", 0, 1000),
    "zlibCompressionLevel": whole("", -1, 9),
    **{v.option: v.type for v in DATABASE_VARIABLES if v.option},
}
"""Every option by its proper name, with what its value may be."""

_MOST_OPTIONS = 500
"""More than there are, with many tags; each that is misspelt takes its time to be told."""
_BY_LOWER_NAME = {name.lower(): name for name in OPTIONS}


def is_boolean(name: str) -> bool:
    """Whether the option is true or false."""
    return OPTIONS[name] is _BOOLEAN


def read_options(query: str, problems: list[str]) -> tuple[tuple[str, str], ...]:
    """The options of a URI's query as (proper name, decoded value); adds what is wrong.

    ``readPreferenceTags`` may come several times, every other option once.
    """
    if not query:
        return ()
    if "&" in query and ";" in query:
        problems.append("separates its options by both '&' and ';'; use '&'")
        return ()
    pairs = query.split(";" if ";" in query else "&")
    if len(pairs) > _MOST_OPTIONS:
        problems.append(f"has {len(pairs)} options; write each once, and at most {_MOST_OPTIONS}")
        return ()
    found: list[tuple[str, str]] = []
    for number, pair in enumerate(pairs, 1):
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
    try:
        OPTIONS[name].parse(value)
    except ValueError as exc:
        problems.append(
            f"gives the option {name} a wrong value; it must be {OPTIONS[name].expected}{exc}"
        )
    return name, value
