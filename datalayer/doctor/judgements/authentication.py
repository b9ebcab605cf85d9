"""Connection issue 5: do the credentials open the database, and for how much?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from datalayer.doctor.facts import AliasFacts, Refusal, Session, Unknown
from datalayer.doctor.findings import Remark, error, note, ok, skipped, warning
from datalayer.doctor.roles import WORK
from datalayer.failures.server_codes import CREDENTIALS, ServerCode

_PREPARE = ("createCollection", "createIndex")
_ALTER = "collMod"
_TOO_MUCH = frozenset(
    {
        "__system",
        "clusterAdmin",
        "dbAdminAnyDatabase",
        "readWriteAnyDatabase",
        "restore",
        "root",
        "userAdmin",
        "userAdminAnyDatabase",
        "dbOwner",
    }
)


def judge_authentication(facts: AliasFacts) -> Iterator[Remark]:
    """Whether the server lets the user in, and what the user may do."""
    server = facts.server
    if isinstance(server, Refusal):
        yield _refused(server)
    elif not isinstance(server, Session):
        yield skipped(server.why if isinstance(server, Unknown) else "no session could be opened")
    elif isinstance(server.connection_status, Unknown):
        yield skipped(server.connection_status.why)
    else:
        yield from _let_in(facts, server, server.connection_status["authInfo"])


def _refused(refusal: Refusal) -> Remark:
    source, elsewhere = refusal.auth_source, refusal.user_exists_in
    if refusal.code == ServerCode.MechanismUnavailable:
        return error(
            "the server does not offer the authentication mechanism that the URI asks for",
            "remove authMechanism from the URI",
        )
    if refusal.code not in CREDENTIALS:
        return error(
            f"the server refused the session (error {refusal.code})", "look at the server's log"
        )
    if source in elsewhere:
        return error(
            f"the password is wrong: the user exists in the authentication database {source}",
            "correct the password in the URI; special characters are escaped with "
            "urllib.parse.quote_plus",
        )
    if elsewhere:
        return error(
            f"the authSource is wrong: the user is not in {source}, but in {elsewhere[0]}",
            f"add authSource={elsewhere[0]} to the URI",
        )
    if refusal.asked:
        return error(
            f"the user is unknown; it was looked for in {', '.join(refusal.asked)}",
            "correct the user name, or set authSource to the database that the user was "
            "created in",
        )
    return error(
        "the server refused the credentials",
        "check the user, the password, authSource and authMechanism in the URI",
    )


def _let_in(facts: AliasFacts, session: Session, info: dict[str, Any]) -> Iterator[Remark]:
    if not info["authenticatedUsers"]:
        yield _nobody(facts, session)
        return
    database = facts.settings.database
    missing = _missing(info["authenticatedUserPrivileges"], database)
    work = [action for action in WORK if action in missing]
    prepare = [action for action in _PREPARE if action in missing]
    roles = sorted({role["role"] for role in info["authenticatedUserRoles"]} & _TOO_MUCH)
    if work:
        yield error(
            f"the user may not {', '.join(work)} in {database}",
            f"grant it the role readWrite on {database}",
        )
    if prepare and (facts.settings.auto_index or facts.settings.auto_create):
        yield warning(
            f"the user may not {', '.join(prepare)} in {database}, which AUTO_INDEX and "
            "AUTO_CREATE need",
            f"grant it readWrite on {database}, or switch both off and let another user run "
            "`datalayer indexes sync`",
        )
    elif _ALTER in missing and not work:
        yield note(
            f"the user may not {_ALTER} in {database}: `datalayer indexes sync` can't change a "
            "TTL with it",
            f"run that with a user that has dbAdmin on {database}",
        )
    if roles:
        yield warning(
            f"the user may do more than an application needs: it has {', '.join(roles)}",
            f"give the application a user with readWrite on {database} only",
        )
    if not work:
        yield ok(f"the server lets the user in, who may read and write in {database}")


def _nobody(facts: AliasFacts, session: Session) -> Remark:
    if isinstance(session.collections, Unknown):
        return error(
            "the server wants credentials, and the URI holds none",
            "write mongodb://user:password@… with the password escaped by "
            "urllib.parse.quote_plus, and authSource",
        )
    saw = "the server asks nobody for credentials: whoever reaches it reads and writes everything"
    advice = "switch on access control (security.authorization)"
    return warning(saw, advice) if facts.uri.leaves_this_machine else note(saw, advice)


def _missing(privileges: list[dict[str, Any]], database: str) -> set[str]:
    """The actions that the user may not do on every ordinary collection of ``database``."""
    granted: set[str] = set()
    for privilege in privileges:
        resource = privilege["resource"]
        everywhere = resource.get("anyResource") or (
            resource.get("db") in ("", database) and resource.get("collection") == ""
        )
        if everywhere:
            granted.update(privilege["actions"])
    return {*WORK, *_PREPARE, _ALTER} - granted
