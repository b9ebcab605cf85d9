"""Keyword arguments of ``mongoengine.connect``, as Flask-MongoEngine and Django-MongoEngine take
them for each alias, in datalayer's variables.

All that a URI can say is carried over; the rest is a problem that names the key, never its value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from datalayer.settings.mongoengine.connect_options import options_of
from datalayer.settings.uri.rules import PASSWORD_MECHANISMS
from datalayer.settings.variables import BUILT_IN_ALIASES, prefix_of

_Problem = Callable[[str], None]


def variables_of_connects(
    connects: Iterable[tuple[str, Mapping[str, Any]]], origin: str, problems: list[str]
) -> dict[str, str]:
    """A URI for each alias, and the names of further aliases.

    ``connects`` are aliases with their keyword arguments; ``origin`` is the setting that holds
    them, for the problems.
    """
    variables: dict[str, str] = {}
    further: list[str] = []
    for alias, arguments in connects:
        name = f"{prefix_of(alias)}URI"
        if name in variables:
            problems.append(f"{origin} has the alias {alias!r} twice; keep one")
            continue
        found: list[str] = []
        variables[name] = _uri(arguments, found.append)
        problems.extend(f"{origin}, alias {alias!r}: {problem}" for problem in found)
        if alias not in BUILT_IN_ALIASES:
            further.append(alias)
    if further:
        variables["DATALAYER_ALIASES"] = ",".join(further)
    return variables


def with_plain_keys(arguments: Mapping[Any, Any]) -> dict[str, Any]:
    """Keyword arguments by names in small letters, without Flask's prefix ``MONGODB_``.

    ``None`` counts as not given.
    """
    return {
        str(name).lower().removeprefix("mongodb_"): value
        for name, value in arguments.items()
        if value is not None
    }


def _uri(settings: Mapping[str, Any], problem: _Problem) -> str:
    database = settings.get("name") or settings.get("db") or ""
    options = dict(options_of(settings, problem))
    host = settings.get("host") or "localhost"
    hosts = [host] if isinstance(host, str) else list(host)
    if _is_mock(settings, hosts, problem):
        return f"mongomock://{quote(str(database) or _database_in(hosts[0]), safe='')}"
    if any("://" in each for each in hosts):
        if len(hosts) > 1:
            problem("has several hosts and one of them is a URI; write all into one URI")
        return _completed(hosts[0], str(database), settings, options, problem)
    if not database:
        problem("names no database; write db (MongoEngine took 'test' without a word)")
    place = ",".join(_with_port(each, settings.get("port", 27017)) for each in hosts)
    credentials = _credentials(settings)
    if credentials and _is_looked_up(options):
        options["authSource"] = "admin"
    return _joined("mongodb", credentials, place, quote(str(database), safe=""), options)


def _completed(
    text: str,
    database: str,
    settings: Mapping[str, Any],
    options: Mapping[str, str],
    problem: _Problem,
) -> str:
    """A URI given as the host. What it says goes before what stands beside it."""
    scheme, _, rest = text.partition("://")
    credentials, _, tail = rest.rpartition("@")
    address, _, query = tail.partition("?")
    place, _, name = address.partition("/")
    if not name and not database:
        problem("names no database; write its name into the URI, or db beside it")
    said = {pair.partition("=")[0].lower() for pair in query.split("&")}
    beside = {key: value for key, value in options.items() if key.lower() not in said}
    credentials = credentials or _credentials(settings)
    looked_up = _is_looked_up(beside) and not said & {"authsource", "authmechanism"}
    if credentials and looked_up and not name and scheme == "mongodb":
        beside["authSource"] = "admin"
    return _joined(scheme, credentials, place, name or quote(database, safe=""), beside, query)


def _is_looked_up(options: Mapping[str, str]) -> bool:
    """Whether the driver looks the user up in ``admin`` where no database is told: a URI that
    names one has it look there."""
    mechanism = options.get("authMechanism", "DEFAULT")
    return "authSource" not in options and mechanism in PASSWORD_MECHANISMS


def _joined(
    scheme: str,
    credentials: str,
    place: str,
    database: str,
    options: Mapping[str, str],
    query: str = "",
) -> str:
    at = f"{credentials}@" if credentials else ""
    pairs = [query] if query else []
    pairs += [f"{name}={quote_plus(value)}" for name, value in options.items()]
    asked = f"?{'&'.join(pairs)}" if pairs else ""
    return f"{scheme}://{at}{place}/{database}{asked}"


def _is_mock(settings: Mapping[str, Any], hosts: Iterable[str], problem: _Problem) -> bool:
    client = settings.get("mongo_client_class")
    if client is not None and not str(getattr(client, "__module__", "")).startswith("mongomock"):
        problem("mongo_client_class can't be carried over: datalayer has a client of its own")
    asked = settings.get("is_mock") or any(each.startswith("mongomock://") for each in hosts)
    return bool(asked or client is not None)


def _database_in(host: str) -> str:
    return host.partition("://")[2].rpartition("/")[2] or "test"


def _credentials(settings: Mapping[str, Any]) -> str:
    user, password = settings.get("username"), settings.get("password")
    if not user:
        return ""
    secret = f":{quote_plus(str(password))}" if password else ""
    return f"{quote_plus(str(user))}{secret}"


def _with_port(host: str, port: Any) -> str:
    if host.startswith("/"):  # a socket
        return quote(host, safe="")
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"
    has_port = ":" in host.rpartition("]")[2]
    return host if has_port else f"{host}:{port}"
