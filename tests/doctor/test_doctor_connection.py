"""The judgements on connection issues: from facts to findings, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from doctor_facts import HELLO, SESSION, facts, host, session, settings, severities, worst
from pymongo.common import MIN_SUPPORTED_WIRE_VERSION

from datalayer.doctor.facts import Address, Network, Refusal, Unknown
from datalayer.doctor.judgements.authentication import judge_authentication
from datalayer.doctor.judgements.network import judge_network
from datalayer.doctor.judgements.options import judge_options
from datalayer.doctor.judgements.server import judge_server
from datalayer.doctor.judgements.settings import judge_problems, judge_settings, judge_warnings
from datalayer.failures.connecting import Diagnosis
from datalayer.settings import Settings

REMOTE = "mongodb://db.example.com:27017/app?tls=true"


# Settings


def test_each_problem_of_the_settings_is_an_error_with_its_remedy() -> None:
    found = list(judge_problems(["MONGODB_URI is not set; for example X", "A is odd"]))
    assert [(each.severity, each.saw) for each in found] == [
        ("error", "MONGODB_URI is not set"),
        ("error", "A is odd"),
    ]
    assert found[0].advice == "for example X"
    assert "datalayer config" in found[1].advice


def test_two_aliases_on_one_database_are_a_warning() -> None:
    both = Settings(databases=dict.fromkeys(("default", "archive"), "mongodb://h:1/app"))
    assert worst(remark for _, remark in judge_settings(both)) == [
        ("warning", "default and archive are the same database, app, so their collections mix")
    ]


def test_two_databases_of_one_server_are_a_note() -> None:
    both = Settings(databases={"default": "mongodb://h:1/app", "other": "mongodb://h:1/two"})
    assert [severity for severity, _ in worst(r for _, r in judge_settings(both))] == ["note"]


def test_two_servers_are_fine() -> None:
    both = Settings(databases={"default": "mongodb://h:1/app", "other": "mongodb://i:1/app"})
    assert worst(remark for _, remark in judge_settings(both)) == []


def test_a_warning_of_the_settings_is_told_with_its_alias() -> None:
    open_line = Settings(databases={"default": "mongodb://db.example.com/app"})
    found = list(judge_warnings(open_line))
    assert [(alias, remark.severity, remark.advice) for alias, remark in found] == [
        ("default", "warning", "add tls=true")
    ]


# Network


@pytest.mark.parametrize(
    ("broken", "saw"),
    [
        (host("h:1", resolution="unknown", addresses=(), response=None), "does not resolve"),
        (host("h:1", resolution="timeout", addresses=(), response=None), "not looked up in time"),
        (host("h:1", "refused"), "h:1 refuses connections (127.0.0.1)"),
        (host("h:1", "timeout"), "h:1 does not answer at all (127.0.0.1)"),
        (host("h:1", "unreachable"), "there is no way to h:1 (127.0.0.1)"),
        (host("h:1", response="silent"), "accepts connections and never answers"),
        (host("h:1", response="closed"), "closes them without an answer"),
        (host("h:1", response="foreign"), "is not a MongoDB server"),
        (host("h:1", response="plain_only"), "answers without TLS only"),
        (host("h:1", response="tls_only"), "answers a TLS handshake only"),
        (host("h:1", response="wants_certificate"), "asks for a client certificate"),
        (host("h:1", response="tls_failed"), "does not complete the TLS handshake"),
        (host("h:1", response="untrusted", detail="it is odd"), "h:1 can't be trusted: it is odd"),
    ],
)
def test_a_host_that_cannot_be_used_is_an_error_that_says_how_it_fails(
    broken: Any, saw: str
) -> None:
    (remark,) = judge_network(facts(network=Network((broken,))))
    assert remark.severity == "error"
    assert saw in remark.saw
    assert remark.advice


def test_one_of_several_hosts_away_is_a_warning() -> None:
    network = Network((host(), host("h:1", "refused")))
    assert severities(judge_network(facts(network=network))) == ["warning", "ok"]


def test_an_unreachable_first_ipv6_address_is_a_warning_that_names_the_one_that_works() -> None:
    addresses = (Address("2001:db8::1", True, "unreachable"), Address("10.0.0.5", False, "open"))
    network = Network((host("h:1", addresses=addresses),))
    warning = next(r for r in judge_network(facts(network=network)) if r.severity == "warning")
    assert "2001:db8::1 first, an IPv6 address" in warning.saw
    assert "write 10.0.0.5 in the URI" in warning.advice
    assert "family: 4" in warning.advice


@pytest.mark.parametrize(
    ("days", "severity"), [(0, "warning"), (13, "warning"), (14, "note"), (29, "note"), (30, "ok")]
)
def test_a_certificate_is_told_before_it_expires(days: int, severity: str) -> None:
    network = Network((host(certificate_days=days),))
    assert severities(judge_network(facts(network=network)))[0] == severity


def test_a_certificate_that_an_option_lets_pass_is_a_warning() -> None:
    network = Network((host(detail="its certificate is self-signed"),))
    assert severities(judge_network(facts(network=network))) == ["warning", "ok"]


def test_a_primary_under_a_name_unknown_here_is_an_error() -> None:
    hello = {**HELLO, "primary": "mongo1:27017"}
    member = host("mongo1:27017", resolution="unknown", addresses=(), response=None)
    (error, _) = judge_network(facts(network=Network((host(hello=hello),), (member,))))
    assert error.severity == "error"
    assert "names mongo1:27017 as its primary" in error.saw
    assert "rs.conf()" in error.advice


def test_another_member_that_cannot_be_reached_is_a_warning() -> None:
    network = Network((host(),), (host("mongo2:27017", "refused"),))
    assert severities(judge_network(facts(network=network))) == ["warning", "ok"]


# The server


def test_a_set_with_a_primary_and_a_quiet_start_is_fine() -> None:
    assert severities(judge_server(facts())) == ["ok", "ok"]


def test_a_set_without_a_primary_is_an_error() -> None:
    network = Network((host(hello={"setName": "rs0", "secondary": True}),))
    assert severities(judge_server(facts(network=network)))[0] == "error"


def test_a_set_that_was_never_initiated_is_an_error() -> None:
    (error, *_) = judge_server(facts(network=Network((host(hello={"isreplicaset": True}),))))
    assert (error.severity, "rs.initiate()" in error.advice) == ("error", True)


def test_a_standalone_server_is_a_note() -> None:
    (note, *_) = judge_server(facts(network=Network((host(hello={"maxWireVersion": 17}),))))
    assert (note.severity, "no transactions" in note.saw) == ("note", True)


def member(name: str, state: str, behind: float = 0) -> dict[str, Any]:
    moment = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=behind)
    return {"name": name, "stateStr": state, "optimeDate": moment}


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (member("b:1", "SECONDARY", 10), []),
        (
            member("b:1", "SECONDARY", 11),
            [("warning", "the member b:1 is 11 s behind the primary")],
        ),
        (member("b:1", "RECOVERING"), [("warning", "the member b:1 is in the state RECOVERING")]),
    ],
)
def test_a_member_that_is_late_or_away_is_a_warning(
    second: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    state = {"members": [member("a:1", "PRIMARY"), second]}
    assert worst(judge_server(facts(server=session(replica_set=state)))) == told


@pytest.mark.parametrize(
    ("uri", "severity"), [("mongodb://127.0.0.1/app", "note"), (REMOTE, "warning")]
)
def test_start_up_warnings_weigh_less_on_this_machine(uri: str, severity: str) -> None:
    lines = ('{"msg": "Access control is off", "attr": {"path": "canary"}}', "not JSON")
    found = worst(judge_server(facts(uri=uri, server=session(startup_warnings=lines))))
    assert found == [(severity, "the server warned at its start: Access control is off")]


def test_what_a_privilege_is_lacking_for_is_skipped() -> None:
    denied = session(startup_warnings=Unknown("needs the privilege getLog (role clusterMonitor)"))
    assert worst(judge_server(facts(server=denied))) == [
        ("skipped", "the server's log: needs the privilege getLog (role clusterMonitor)")
    ]


def test_a_failed_heartbeat_is_a_warning() -> None:
    failed = {"b:1": Diagnosis("refused", "it refuses", "look")}
    assert worst(judge_server(facts(server=session(failed_heartbeats=failed)))) == [
        ("warning", "the last heartbeat to b:1 failed: it refuses")
    ]


# Options


@pytest.mark.parametrize(
    ("fields", "severity", "saw"),
    [
        ({"socket_timeout_ms": 19_999}, "note", "socket timeout"),
        ({"connect_timeout_ms": 20_000}, "warning", "opening a connection may take 20000 ms"),
        ({"server_selection_timeout_ms": 20_001}, "note", "server selection may take 20001 ms"),
    ],
)
def test_timeouts_that_get_in_each_others_way_are_told(
    fields: dict[str, Any], severity: str, saw: str
) -> None:
    ((found, text),) = worst(judge_options(facts(**fields)))
    assert (found, saw in text) == (severity, True)


@pytest.mark.parametrize(
    ("option", "severity"),
    [
        ("w=1", "warning"),
        ("w=0", "warning"),
        ("retryWrites=false", "warning"),
        ("retryReads=false", "note"),
        ("heartbeatFrequencyMS=60001", "note"),
    ],
)
def test_an_option_that_weakens_the_connection_is_told(option: str, severity: str) -> None:
    found = judge_options(facts(uri=f"mongodb://h/app?{option}", allow_unacknowledged=True))
    assert [each for each, _ in worst(found)] == [severity]


@pytest.mark.parametrize(
    "option", ["w=majority", "w=2", "retryWrites=true", "heartbeatFrequencyMS=60000"]
)
def test_a_sensible_option_is_fine(option: str) -> None:
    assert worst(judge_options(facts(uri=f"mongodb://h/app?{option}"))) == []


def test_w_1_is_accepted_for_data_that_may_be_lost() -> None:
    assert worst(judge_options(facts(uri="mongodb://h/app?w=1", required=False))) == []


def test_another_replica_set_than_the_uris_is_an_error() -> None:
    assert worst(judge_options(facts(uri="mongodb://h/app?replicaSet=other"))) == [
        ("error", "the URI asks for the replica set other, and the server is a member of rs0")
    ]


@pytest.mark.parametrize(("members", "severity"), [(1, "note"), (3, "warning")])
def test_a_direct_connection_to_a_replica_set_is_told(members: int, severity: str) -> None:
    hello = {**HELLO, "hosts": [f"h{number}:1" for number in range(members)]}
    found = judge_options(
        facts(uri="mongodb://h/app?directConnection=true", network=Network((host(hello=hello),)))
    )
    assert [each for each, _ in worst(found)] == [severity]


def test_one_host_of_three_in_the_uri_is_a_note() -> None:
    hello = {**HELLO, "hosts": ["a:1", "b:1", "c:1"]}
    (note,) = [r for r in judge_options(facts(network=Network((host(hello=hello),)))) if r.advice]
    assert (note.severity, note.advice) == ("note", "name them all: a:1,b:1,c:1")


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        ({"maxWireVersion": MIN_SUPPORTED_WIRE_VERSION - 1}, ["error"]),
        ({"maxWireVersion": MIN_SUPPORTED_WIRE_VERSION}, []),
        ({"minWireVersion": 99, "maxWireVersion": 99}, ["error"]),
    ],
)
def test_a_server_outside_the_drivers_versions_is_an_error(
    versions: dict[str, int], told: list[str]
) -> None:
    network = Network((host(hello={**HELLO, **versions}),))
    assert [each for each, _ in worst(judge_options(facts(network=network)))] == told


# Authentication


@pytest.mark.parametrize(
    ("refusal", "saw", "advice"),
    [
        (Refusal(18, "app", ("app",), ("app", "admin")), "the password is wrong", "quote_plus"),
        (
            Refusal(18, "app", ("admin",), ("app", "admin")),
            "the user is not in app, but in admin",
            "add authSource=admin",
        ),
        (
            Refusal(18, "app", (), ("app", "admin")),
            "the user is unknown; it was looked for in app, admin",
            "correct the user name",
        ),
        (Refusal(18, "$external", (), ()), "the server refused the credentials", "authMechanism"),
        (Refusal(334, "app", ("app",), ("app",)), "does not offer", "remove authMechanism"),
        (Refusal(999, "app", ("app",), ("app",)), "refused the session (error 999)", "log"),
    ],
)
def test_a_refusal_says_which_part_of_the_credentials_is_wrong(
    refusal: Refusal, saw: str, advice: str
) -> None:
    (error,) = judge_authentication(facts(server=refusal))
    assert error.severity == "error"
    assert saw in error.saw
    assert advice in error.advice


def let_in(actions: list[str], *roles: str, collection: str = "", database: str = "app") -> Any:
    resource = {"db": database, "collection": collection}
    info = {
        "authenticatedUsers": [{"user": "app", "db": "admin"}],
        "authenticatedUserRoles": [{"role": role, "db": "admin"} for role in roles],
        "authenticatedUserPrivileges": [{"resource": resource, "actions": actions}],
    }
    return session(connection_status={"authInfo": info})


WORK = ["find", "insert", "update", "remove"]
PREPARE = ["createCollection", "createIndex"]


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (SESSION, []),
        (let_in([*WORK, *PREPARE]), ["note"]),
        (let_in(WORK), ["warning"]),
        (let_in(["find", *PREPARE, "collMod"]), ["error"]),
        (let_in([*WORK, *PREPARE, "collMod"], collection="users"), ["error", "warning"]),
        (let_in([*WORK, *PREPARE, "collMod"], database="other"), ["error", "warning"]),
        (let_in([*WORK, *PREPARE, "collMod"], database=""), []),
        (let_in([*WORK, *PREPARE, "collMod"], "root"), ["warning"]),
    ],
)
def test_privileges_are_compared_with_what_the_application_needs(
    server: Any, told: list[str]
) -> None:
    assert [severity for severity, _ in worst(judge_authentication(facts(server=server)))] == told


def test_a_user_that_prepares_nothing_needs_no_right_to_create_indexes() -> None:
    found = judge_authentication(facts(server=let_in(WORK), auto_index=False, auto_create=False))
    assert [severity for severity, _ in worst(found)] == ["note"]


NOBODY = {"authInfo": {"authenticatedUsers": []}}


@pytest.mark.parametrize(
    ("uri", "severity"), [("mongodb://127.0.0.1/app", "note"), (REMOTE, "warning")]
)
def test_a_server_without_access_control_weighs_less_on_this_machine(
    uri: str, severity: str
) -> None:
    found = judge_authentication(facts(uri=uri, server=session(connection_status=NOBODY)))
    assert severities(found) == [severity]


def test_missing_credentials_are_an_error() -> None:
    server = session(connection_status=NOBODY, collections=Unknown("needs the privilege"))
    assert worst(judge_authentication(facts(server=server))) == [
        ("error", "the server wants credentials, and the URI holds none")
    ]


def test_the_defaults_make_options_that_agree() -> None:
    assert settings().operation_timeout_ms == 20_000
    assert severities(judge_options(facts())) == ["ok"]
