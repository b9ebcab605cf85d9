"""The least privileges that an application needs: a role and a user for each database, as commands
for the server and as a script for mongosh. Connects to nothing and knows no password."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from datalayer.settings import DatabaseSettings
from datalayer.settings.uri import parse

WORK = ("find", "insert", "update", "remove")
"""What an application does with documents."""
_PREPARE = (  # AUTO_CREATE, AUTO_INDEX and `datalayer indexes diff|sync`
    "listCollections",
    "listIndexes",
    "createCollection",
    "createIndex",
    "dropIndex",
    "collMod",
)
_LOOK = ("collStats", "dbStats")  # doctor, and the figures of a collection
# For doctor and top. Not inprog, which shows what other users are doing.
_MONITOR = ("getLog", "hostInfo", "replSetGetStatus", "serverStatus")
_EXTERNAL = "$external"


@dataclass(frozen=True)
class Grant:
    """What one alias's user is allowed."""

    alias: str
    hosts: tuple[str, ...]
    database: str
    user: str
    """From the URI, or a name to give it where it has none or shares one with another alias."""
    auth_database: str
    """Where the user is created: the URI's ``authSource``."""
    is_new: bool
    """Whether ``user`` is another than the URI's, so that the URI has to be changed."""
    monitoring: bool

    @property
    def role(self) -> str:
        """The name of the role, which belongs to ``database``."""
        return f"datalayer_{self.alias}"

    @property
    def privileges(self) -> list[dict[str, Any]]:
        """On the collections of its own database, and on nothing else."""
        actions = [*WORK, *_PREPARE, *_LOOK, *(["indexStats"] if self.monitoring else [])]
        return [{"resource": {"db": self.database, "collection": ""}, "actions": actions}]

    @property
    def roles(self) -> list[dict[str, str]]:
        """The roles of the user."""
        own = [{"role": self.role, "db": self.database}]
        return [*own, {"role": _MONITOR_ROLE, "db": "admin"}] if self.monitoring else own


_MONITOR_ROLE = "datalayer_monitor"
_MONITOR_PRIVILEGES = [{"resource": {"cluster": True}, "actions": list(_MONITOR)}]


def grants(databases: Mapping[str, DatabaseSettings], *, monitoring: bool = False) -> list[Grant]:
    """One user for each database on a real server, with a role of its own.

    ``monitoring`` adds what lets ``datalayer doctor`` and ``datalayer top`` show the server's own
    figures. An alias that has another's user gets one of its own: a user of two databases reads
    both.
    """
    found: list[Grant] = []
    for settings in databases.values():
        if settings.kind == "mongodb":
            taken = {(each.auth_database, each.user) for each in found}
            found.append(_grant(settings, taken, monitoring=monitoring))
    return found


def as_commands(granted: Iterable[Grant]) -> list[dict[str, Any]]:
    """``createRole`` and ``createUser``, in order, each with the alias whose server it is for and
    the database to run it in. ``pwd`` holds a placeholder."""
    commands: list[dict[str, Any]] = []
    monitored: set[tuple[str, ...]] = set()  # where the common role is made already
    for each in granted:
        here = {"alias": each.alias, "hosts": list(each.hosts)}
        if each.monitoring and each.hosts not in monitored:
            monitored.add(each.hosts)
            body = _role(_MONITOR_ROLE, _MONITOR_PRIVILEGES)
            commands.append({**here, "database": "admin", "command": body})
        body = _role(each.role, each.privileges)
        commands.append({**here, "database": each.database, "command": body})
        commands.append({**here, "database": each.auth_database, "command": _user(each)})
    return commands


def as_script(granted: Iterable[Grant]) -> str:
    """A script for mongosh that makes roles and users. It asks for the passwords, and may run more
    than once."""
    parts = [_PREAMBLE]
    for each in granted:
        parts.append(f"// {each.alias}: database {each.database} on {', '.join(each.hosts)}")
        if each.is_new:
            parts.append(f"// a user of its own: write it into the URI of {each.alias}")
        if each.monitoring:
            parts.append(_call("role", "admin", _MONITOR_ROLE, _MONITOR_PRIVILEGES))
        parts.append(_call("role", each.database, each.role, each.privileges))
        asks = each.auth_database != _EXTERNAL
        parts.append(_call("user", each.auth_database, each.user, each.roles, asks) + "\n")
    return "\n".join(parts)


_PREAMBLE = """\
// Run by an administrator of users: mongosh "mongodb://HOST/admin" --username ADMIN --file FILE
// Where the databases are on several servers, run each part on its own server. A user that exists
// keeps its password and its other roles: take away those that it does not need.
function role(database, name, privileges) {
  const place = db.getSiblingDB(database);
  const holds = { privileges: privileges, roles: [] };
  if (place.getRole(name) === null) {
    place.createRole({ role: name, ...holds });
  } else {
    place.updateRole(name, holds);
  }
}
function user(database, name, roles, asks) {
  const place = db.getSiblingDB(database);
  if (place.getUser(name) !== null) {
    place.grantRolesToUser(name, roles);
    return;
  }
  if (asks) {
    print("the password of " + name + ":");
  }
  place.createUser({ user: name, roles: roles, ...(asks ? { pwd: passwordPrompt() } : {}) });
}
"""


def _grant(settings: DatabaseSettings, taken: set[tuple[str, str]], *, monitoring: bool) -> Grant:
    uri, _ = parse(settings.secret_uri())
    assert uri is not None, "settings hold a correct URI"  # noqa: S101 - for the type checker
    options = dict(uri.options)
    mechanism = options.get("authMechanism", "DEFAULT")
    external = mechanism not in ("DEFAULT", "SCRAM-SHA-1", "SCRAM-SHA-256")
    source = _EXTERNAL if external else options.get("authSource", settings.database)
    name = unquote_plus(uri.user_info.partition(":")[0])
    user = name or f"{settings.database}_app"
    if (source, user) in taken:
        user = f"{user}_{settings.alias}"
    return Grant(
        alias=settings.alias,
        hosts=settings.hosts,
        database=settings.database,
        user=user,
        auth_database=source,
        is_new=user != name,
        monitoring=monitoring,
    )


def _role(name: str, privileges: list[dict[str, Any]]) -> dict[str, Any]:
    return {"createRole": name, "privileges": privileges, "roles": []}


def _user(grant: Grant) -> dict[str, Any]:
    body: dict[str, Any] = {"createUser": grant.user, "roles": grant.roles}
    if grant.auth_database == _EXTERNAL:
        return body
    return {**body, "pwd": f"<password of {grant.user}>"}


def _call(function: str, *arguments: Any) -> str:
    return f"{function}({', '.join(map(json.dumps, arguments))});"
