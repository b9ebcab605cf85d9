"""The options among the keyword arguments of ``mongoengine.connect``, as a URI has them.

Names that PyMongo has given up and objects that mean the same as a text are taken. Whatever no
URI can say is a problem that names the key and what to write instead, never the value.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from datalayer.settings.uri.options import OPTIONS, READ_PREFERENCES, is_boolean

PLACE = frozenset(
    {"alias", "db", "host", "is_mock", "mongo_client_class", "name", "password", "port"}
    | {"username"}
)
"""Not options: where the database is, and who asks."""
SAYS_NOTHING = frozenset({"connect", "is_slave", "slaves", "socketkeepalive", "socket_keepalive"})
"""What may stay, or be left out: it changes nothing here."""

_Problem = Callable[[str], None]
_Pairs = Iterator[tuple[str, str]]

_PROPER_NAMES = {name.lower(): name for name in OPTIONS}
_OTHER_NAMES = {
    "authentication_mechanism": "authMechanism",
    "authentication_source": "authSource",
    "j": "journal",
    "read_preference": "readPreference",
    "secondaryacceptablelatencyms": "localThresholdMS",
    "ssl_ca_certs": "tlsCAFile",
    "ssl_certfile": "tlsCertificateKeyFile",
    "ssl_crlfile": "tlsCRLFile",
    "ssl_pem_passphrase": "tlsCertificateKeyFilePassword",
    "uuid_representation": "uuidRepresentation",
    "wtimeout": "wTimeoutMS",
}
_INSTEAD = {
    "authoidcallowedhosts": "leave it out; the driver allows Atlas and this machine",
    "auto_encryption_opts": "encrypt and decrypt the values with pymongo's ClientEncryption",
    "auto_start_request": "leave it out; PyMongo has none of it any more",
    "document_class": "leave it out, and read dictionaries with objects.as_pymongo()",
    "driver": "name the application with appname in the URI",
    "event_listeners": "register them with pymongo.monitoring.register() before connecting, or "
    "listen with db.database.on()",
    "max_staleness": "write maxStalenessSeconds into the URI",
    "network_timeout": "write socketTimeoutMS, in milliseconds",
    "server_selector": "choose servers with readPreference and readPreferenceTags in the URI",
    "slave_okay": "write readPreference=secondaryPreferred",
    "srv_host_validator": "write srvAllowedHostsSuffix into the URI",
    "ssl_keyfile": "put key and certificate into one file, and name that in tlsCertificateKeyFile",
    "tag_sets": "write readPreferenceTags into the URI",
    "type_registry": "convert values in the to_mongo and to_python of a field of your own",
    "tzinfo": "times are read in UTC; show them with astimezone()",
    "use_greenlets": "leave it out; gevent is noticed by itself",
}
_ELSE = (
    "what MONGODB_URI can't say goes into Settings(databases=...), given to "
    "DataLayer(settings=...), or has no counterpart"
)
_UUIDS = {
    0: "unspecified", 3: "pythonLegacy", 4: "standard", 5: "javaLegacy", 6: "csharpLegacy",
}  # fmt: skip


def options_of(settings: Mapping[str, Any], problem: _Problem) -> _Pairs:
    """The options of the URI by their proper names; ``settings`` has keys in small letters."""
    for key, value in settings.items():
        if key in PLACE or key in SAYS_NOTHING:
            continue
        if key in _TRANSLATED:
            yield from _TRANSLATED[key](value, problem)
            continue
        name = _OTHER_NAMES.get(key) or _PROPER_NAMES.get(key)
        text = None if name is None else _text(name, value)
        if name is not None and text is not None:
            yield name, text
        else:
            problem(f"{key} can't be carried over: {_advice(key, name)}")


def _advice(key: str, name: str | None) -> str:
    if name == "readPreference":
        return "write it, readPreferenceTags and maxStalenessSeconds into the URI"
    if name is not None:
        return f"write {name} into the URI: it must be {OPTIONS[name].expected}"
    if key in _INSTEAD:
        return _INSTEAD[key]
    near = get_close_matches(key.replace("_", ""), TAKEN, 1, 0.8)
    return (
        f"did you mean {_PROPER_NAMES.get(near[0], near[0])}? Otherwise {_ELSE}" if near else _ELSE
    )


def _text(name: str, value: Any) -> str | None:
    """The value as a URI has it; ``None`` for what none can hold."""
    if name in _VALUES:
        return _VALUES[name](value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if is_boolean(name) and isinstance(value, (int, str)):
        return {"1": "true", "0": "false"}.get(str(value), str(value).strip().lower())
    return str(value) if isinstance(value, (str, int)) else None


def _mode(preference: Any) -> str | None:
    """The name of a read preference; ``None`` where it holds more than that."""
    if isinstance(preference, str):
        return preference
    if isinstance(preference, int) and 0 <= preference < len(READ_PREFERENCES):
        return READ_PREFERENCES[preference]
    tags, staleness = (getattr(preference, name, None) for name in ("tag_sets", "max_staleness"))
    if tags not in (None, [{}], ({},)) or staleness not in (None, -1):
        return None
    mode: str | None = getattr(preference, "mongos_mode", None)
    return mode


def _tags(value: Any) -> str | None:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
        value = value[0]
    return _pairs(value)


def _pairs(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{_plain(each)}" for name, each in value.items())
    return value if isinstance(value, str) else None


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _list(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    is_list = isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value)
    return ",".join(value) if is_list else None


def _uuids(value: Any) -> str | None:
    return value if isinstance(value, str) else _UUIDS.get(value)


def _name_of(value: Any) -> str | None:
    return value if isinstance(value, str) else getattr(value, "name", None)


_VALUES: dict[str, Callable[[Any], str | None]] = {
    "authMechanismProperties": _pairs,
    "compressors": _list,
    "datetime_conversion": _name_of,
    "readPreference": _mode,
    "readPreferenceTags": _tags,
    "uuidRepresentation": _uuids,
}


def _certificates(value: Any, problem: _Problem) -> _Pairs:
    # ssl.CERT_NONE; of the others, on a client, both verify the server.
    if str(getattr(value, "name", value)).upper() in ("0", "CERT_NONE", "NONE"):
        yield "tlsAllowInvalidCertificates", "true"
    elif str(getattr(value, "name", value)).upper() not in (
        "1", "2", "CERT_OPTIONAL", "CERT_REQUIRED",
    ):  # fmt: skip
        problem("ssl_cert_reqs can't be carried over: leave it out, servers are verified")


def _host_names(value: Any, problem: _Problem) -> _Pairs:
    if str(value).lower() in ("false", "0"):
        yield "tlsAllowInvalidHostnames", "true"


def _server_api(value: Any, problem: _Problem) -> _Pairs:
    # Version 1 is all there is; without strictness it changes no answer.
    if getattr(value, "strict", None) or getattr(value, "deprecation_errors", None):
        problem(
            "server_api can't be carried over with strict or deprecation_errors: leave it out, "
            "and hold commands to the stable API in a test that sets them on a MongoClient"
        )
    yield from ()


def _listeners(value: Any, problem: _Problem) -> _Pairs:
    if value:
        problem(f"event_listeners can't be carried over: {_INSTEAD['event_listeners']}")
    yield from ()


_TRANSLATED: dict[str, Callable[[Any, _Problem], _Pairs]] = {
    "event_listeners": _listeners,
    "server_api": _server_api,
    "ssl_cert_reqs": _certificates,
    "ssl_match_hostname": _host_names,
}
TAKEN: tuple[str, ...] = (
    *PLACE, *SAYS_NOTHING, *_PROPER_NAMES, *_OTHER_NAMES, *_TRANSLATED,
)  # fmt: skip
"""The keys that are understood, in small letters."""
