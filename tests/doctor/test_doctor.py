"""Examinations of real servers: each of the checks, well and unwell."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import unquote_plus

import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import model_registry
from mongoengine import StringField
from observing import limits_given
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from waiting import wait_until

from datalayer import db, doctor
from datalayer.connections.registry import registry
from datalayer.doctor import CHECKS, Report
from datalayer.doctor.probes import gather as gather_module
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.embedded.binary import find_mongod
from datalayer.settings import Settings

CANARY = "canary-8f2c51"


examine = partial(doctor.examine, timeout=30)  # a busy machine takes more than usual


def one(uri: str, **fields: Any) -> Settings:
    """Settings of a single database."""
    return Settings(databases={"default": {"uri": uri, **fields}})


def told(report: Report, check: str) -> list[tuple[str, str]]:
    """Severity and sight of one check's findings."""
    return [(finding.severity, finding.saw) for finding in report.of(check)]


def severities(report: Report, check: str) -> set[str]:
    return {finding.severity for finding in report.of(check)}


@contextmanager
def listener(answer: bytes) -> Iterator[int]:
    """A port that accepts connections, and always says the same."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


# The whole


def test_a_healthy_database_has_no_error_and_every_check_speaks() -> None:
    # A server of its own: the shared one has seen the connections of a thousand tests, and
    # the doctor rightly remarks on that.
    with EmbeddedMongo(in_memory=True, journal=False) as server:
        uri = server.uri_for("shop")
        report = examine(one(uri))
        assert report.healthy
        assert [check for check in CHECKS if not report.of(check)] == []
        assert {finding.severity for finding in report.findings} <= {"ok", "note", "skipped"}


def test_findings_come_in_the_order_of_the_checks(uri: str) -> None:
    found = [finding.check for finding in examine(one(uri)).findings]
    assert list(dict.fromkeys(found)) == list(CHECKS)


def test_a_report_is_ready_for_json(uri: str) -> None:
    report = examine(one(uri))
    document = json.loads(json.dumps(report.as_dict()))
    assert (document["healthy"], len(document["findings"])) == (True, len(report.findings))
    assert sum(document["counts"].values()) == len(report.findings)


def test_an_examination_writes_nothing(uri: str, database_name: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        client[database_name].users.insert_one({"name": CANARY})
        before = client[database_name].command("dbHash")["md5"], client.list_database_names()
        examine(one(uri))
        after = client[database_name].command("dbHash")["md5"], client.list_database_names()
    assert after == before


def test_the_applications_own_client_is_left_alone(uri: str) -> None:
    with db.connected(one(uri)):
        client = registry.connection("default").client
        examine(one(uri))
        assert registry.connection("default").client is client
        assert db.status()["default"]["connected"] is True


def test_an_examination_leaves_no_connection_behind(uri: str) -> None:
    query = [{"$currentOp": {"allUsers": True, "idleConnections": True}}]
    query.append({"$match": {"appName": "datalayer:doctor"}})
    examine(one(uri))
    with MongoClient[dict[str, Any]](uri) as client:
        wait_until(lambda: not list(client.admin.aggregate(query)))


def test_neither_passwords_nor_contents_are_ever_told(auth_mongod: EmbeddedMongo) -> None:
    uri = auth_mongod.uri_for("app")
    with MongoClient[dict[str, Any]](uri) as client, long_find(client, "app"):
        report = examine(one(uri))
    text = json.dumps(report.as_dict()) + repr(report)
    assert "find on app.canaries" in text
    password = uri.partition("@")[0].rpartition(":")[2]
    assert [word for word in (CANARY, password, unquote_plus(password)) if word in text] == []


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"timeout": -1}, {"processes": 0}])
def test_a_senseless_argument_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        examine({}, **wrong)


# 1 Settings


def test_settings_that_are_right_are_told(uri: str, mongod: EmbeddedMongo) -> None:
    report = examine({"MONGODB_URI": uri, "DATABASE1_URI": mongod.uri_for("d1")})
    assert [finding.alias for finding in report.of("settings")] == ["default", "database1", None]
    assert severities(report, "settings") == {"ok", "note"}


def test_every_problem_of_wrong_settings_is_told_and_the_rest_skipped() -> None:
    report = examine(
        {"MONGODB_URI": f"mongodb://u:{CANARY}/x@h/app", "MONGODB_MAX_POOL_SIZE": "x"}
    )
    assert not report.healthy
    assert severities(report, "settings") == {"error"}
    assert len(report.of("settings")) == 2
    assert {severity for c in list(CHECKS)[1:] for severity in severities(report, c)} == {
        "skipped"
    }
    assert CANARY not in json.dumps(report.as_dict())


def test_missing_settings_are_told_with_an_example() -> None:
    (error,) = examine({}).of("settings")
    assert error.saw == "MONGODB_URI is not set"
    assert "MONGODB_URI=mongodb://user:password@" in error.advice


def test_settings_may_be_read_by_a_function() -> None:
    assert severities(examine(lambda: Settings.from_env({})), "settings") == {"error"}


# 2 Network


def test_a_host_that_answers_is_told(uri: str, mongod: EmbeddedMongo) -> None:
    assert told(examine(one(uri)), "network") == [("ok", f"1 host answered: {mongod.hosts[0]}")]


def test_nothing_reachable_is_an_error_and_the_server_is_not_asked(closed_port: int) -> None:
    report = examine(one(f"mongodb://127.0.0.1:{closed_port}/app"))
    assert told(report, "network") == [
        ("error", f"127.0.0.1:{closed_port} refuses connections (127.0.0.1)")
    ]
    skipped = ("server", "authentication", "pool", "operations", "indexes", "resources", "usage")
    assert {severity for c in skipped for severity in severities(report, c)} == {"skipped"}


def test_an_unknown_host_is_told_apart() -> None:
    assert told(examine(one("mongodb://nowhere.invalid/app")), "network") == [
        ("error", "the name of nowhere.invalid:27017 does not resolve")
    ]


def test_a_server_that_accepts_and_never_answers_is_told_apart(silent_port: int) -> None:
    with limits_given() as limits:
        report = examine(one(f"mongodb://127.0.0.1:{silent_port}/app"), timeout=10)
    assert told(report, "network") == [
        ("error", f"127.0.0.1:{silent_port} accepts connections and never answers")
    ]
    assert max(limits) <= 10


def test_a_server_of_another_kind_is_told_apart() -> None:
    with listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        report = examine(one(f"mongodb://127.0.0.1:{port}/app"))
    assert told(report, "network") == [
        ("error", f"127.0.0.1:{port} answers, but is not a MongoDB server")
    ]


def test_a_server_that_hangs_up_is_told_apart() -> None:
    with listener(b"") as port:
        report = examine(one(f"mongodb://127.0.0.1:{port}/app"))
    assert "closes them without an answer" in told(report, "network")[0][1]


def test_a_resolver_that_hangs_does_not_hold_up_the_examination(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: done.wait(600))
    try:
        report = examine(one("mongodb://db.example.com/app?tls=true"), timeout=1)
    finally:
        done.set()
    assert told(report, "network") == [("error", "db.example.com:27017 was not looked up in time")]


def test_a_first_address_that_is_dead_is_told(
    monkeypatch: pytest.MonkeyPatch, uri: str, mongod: EmbeddedMongo
) -> None:
    """The name resolves to ::1 first, where nothing listens."""
    port = int(mongod.hosts[0].rpartition(":")[2])
    real = socket.getaddrinfo

    def both(host: str, *rest: Any, **options: Any) -> Any:
        if host != "two.example":
            return real(host, *rest, **options)
        return [entry for text in ("::1", "127.0.0.1") for entry in real(text, *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    report = examine(one(f"mongodb://two.example:{port}/app?directConnection=true"))
    assert any(
        severity == "warning" and "resolves to ::1 first, an IPv6 address" in saw
        for severity, saw in told(report, "network")
    )


def test_one_of_two_hosts_away_is_a_warning(mongod: EmbeddedMongo, closed_port: int) -> None:
    report = examine(one(f"mongodb://{mongod.hosts[0]},127.0.0.1:{closed_port}/app"))
    assert severities(report, "network") == {"warning", "ok"}
    assert report.healthy


def test_an_srv_name_that_is_unknown_is_an_error() -> None:
    report = examine(one("mongodb+srv://cluster.nowhere.invalid/app"), timeout=3)
    assert severities(report, "network") == {"error"}


def test_the_hosts_of_an_srv_record_are_probed(
    monkeypatch: pytest.MonkeyPatch, mongod: EmbeddedMongo
) -> None:
    name, _, port = mongod.hosts[0].rpartition(":")
    answer = {"nodelist": [(name, int(port))], "options": {"authSource": "admin"}}
    monkeypatch.setattr(gather_module, "parse_uri", lambda *_args, **_options: answer)
    report = examine(one("mongodb+srv://cluster.example.com/app?tls=false"), timeout=3)
    assert told(report, "network") == [("ok", f"1 host answered: {mongod.hosts[0]}")]


# 2 Network: TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own authority, for localhost only, that expires in ten days."""
    place = tmp_path_factory.mktemp("tls")
    key, crt, both = place / "key", place / "crt", place / "both"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10"]
    command += ["-subj", "/CN=test", "-addext", "subjectAltName=DNS:localhost"]
    done = subprocess.run(
        [*command, "-keyout", key, "-out", crt], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("no openssl that makes certificates")
    both.write_text(key.read_text() + crt.read_text())
    return both


@pytest.fixture(scope="module")
def tls_port(certificate: Path) -> Iterator[int]:
    """The port of a mongod that accepts nothing but TLS."""
    program = certificate.with_name("mongod")
    options = (
        f"--tlsMode allowTLS --tlsCertificateKeyFile {certificate} "
        # MongoDB 7.0 doesn't start without knowing whom it trusts.
        f"--tlsCAFile {certificate} --tlsAllowConnectionsWithoutCertificates"
    )
    program.write_text(f'#!/bin/sh\nexec {quote(str(find_mongod()))} "$@" {options}\n')
    program.chmod(0o755)
    with EmbeddedMongo(mongod=program) as server:
        with MongoClient[dict[str, Any]](server.uri) as client:
            for mode in ("preferTLS", "requireTLS"):
                client.admin.command("setParameter", 1, tlsMode=mode)
        yield int(server.hosts[0].rpartition(":")[2])


def tls_uri(port: int, host: str = "localhost", **options: object) -> str:
    chosen = {"tls": "true", "directConnection": "true", **options}
    query = "&".join(f"{name}={value}" for name, value in chosen.items())
    return f"mongodb://{host}:{port}/app?{query}"


@pytest.mark.linux_server
def test_a_verified_certificate_is_told_before_it_expires(
    tls_port: int, certificate: Path
) -> None:
    report = examine(one(tls_uri(tls_port, tlsCAFile=certificate)))
    assert told(report, "network") == [
        ("warning", f"the certificate of localhost:{tls_port} expires in 9 days"),
        ("ok", f"1 host answered: localhost:{tls_port}"),
    ]
    assert severities(report, "resources") <= {"ok", "skipped"}


@pytest.mark.linux_server
@pytest.mark.parametrize(
    ("host", "trusted", "why"),
    [
        ("localhost", False, "its certificate is self-signed"),
        ("127.0.0.1", True, "its certificate is for another host name"),
    ],
)
def test_a_certificate_that_cannot_be_verified_is_an_error(
    tls_port: int, certificate: Path, host: str, trusted: bool, why: str
) -> None:
    options = {"tlsCAFile": certificate} if trusted else {}
    report = examine(one(tls_uri(tls_port, host, **options)))
    assert told(report, "network") == [("error", f"{host}:{tls_port} can't be trusted: {why}")]


@pytest.mark.linux_server
@pytest.mark.parametrize(
    ("host", "option"),
    [("localhost", "tlsAllowInvalidCertificates"), ("127.0.0.1", "tlsInsecure")],
)
def test_a_check_that_is_turned_off_is_told(tls_port: int, host: str, option: str) -> None:
    report = examine(one(tls_uri(tls_port, host, **{option: "true"})))
    assert severities(report, "network") == {"warning", "ok"}
    assert "warning" in severities(report, "options")


@pytest.mark.linux_server
def test_a_tls_server_behind_a_plain_uri_is_told(tls_port: int) -> None:
    report = examine(one(f"mongodb://localhost:{tls_port}/app"))
    (error,) = report.of("network")
    assert error.saw.endswith("answers a TLS handshake only, and the URI does not ask for TLS")
    assert "tls=true" in error.advice


def test_a_plain_server_behind_a_tls_uri_is_told(mongod: EmbeddedMongo) -> None:
    report = examine(one(f"mongodb://{mongod.hosts[0]}/app?tls=true"))
    (error,) = report.of("network")
    assert error.saw.endswith("answers without TLS only, and the URI asks for TLS")


def test_a_silent_server_behind_a_tls_uri_is_told_within_the_deadline(silent_port: int) -> None:
    with limits_given() as limits:
        report = examine(one(tls_uri(silent_port)), timeout=10)
    assert "never answers" in told(report, "network")[0][1]
    assert max(limits) <= 10


def test_a_server_that_wants_a_client_certificate_is_told(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    told_the_client = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()  # only opened, to see that the port is there
            connection.close()
            connection, _ = server.accept()
            # Kept open beside the failed handshake: a reset would overtake the alert.
            with connection.dup():
                with pytest.raises(ssl.SSLError):
                    context.wrap_socket(connection, server_side=True)
                told_the_client.wait(60)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        report = examine(one(tls_uri(port, tlsCAFile=certificate)), timeout=30)
        told_the_client.set()
        thread.join(60)
    assert told(report, "network") == [
        ("error", f"localhost:{port} asks for a client certificate")
    ]


# 3 The server's state


def test_a_replica_set_with_a_primary_is_told(uri: str) -> None:
    report = examine(one(uri))
    (severity, saw) = told(report, "server")[0]
    assert (severity, "has a primary; MongoDB" in saw) == ("ok", True)
    assert severities(report, "server") <= {"ok", "note"}


def test_a_member_that_is_down_is_told(replset: EmbeddedMongo) -> None:
    down = (replset.primary + 1) % 3
    replset.kill(down)
    settings = one(replset.uri_for("app"))
    wait_until(
        lambda: any(
            f"the member {replset.hosts[down]} is in the state" in saw
            for _, saw in told(examine(settings), "server")
        )
    )
    report = examine(settings)
    assert report.healthy
    assert any("refuses connections" in saw for _, saw in told(report, "network"))


def test_a_set_without_a_primary_is_an_error(replset: EmbeddedMongo) -> None:
    primary = replset.primary
    for member in {0, 1, 2} - {primary}:
        replset.kill(member)
    with MongoClient[dict[str, Any]](replset.member_uri(primary)) as client:
        wait_until(lambda: not client.admin.command("hello")["isWritablePrimary"])
    # Looking for a primary until the end would last longer than a test may.
    report = examine(one(replset.uri_for("app")), timeout=600)
    assert not report.healthy
    assert any(
        severity == "error" and "has no primary" in saw for severity, saw in told(report, "server")
    )
    assert "ok" in severities(report, "resources")  # a secondary can be asked


# 4 Options


def test_options_that_agree_are_told(uri: str) -> None:
    assert told(examine(one(uri)), "options") == [
        ("ok", "the options agree with each other and the server")
    ]


def test_a_direct_connection_to_one_of_three_is_a_warning(replset: EmbeddedMongo) -> None:
    report = examine(one(replset.member_uri(replset.primary, "app")))
    assert severities(report, "options") == {"warning"}


def test_the_wrong_replica_set_is_an_error(mongod: EmbeddedMongo) -> None:
    with limits_given() as limits:
        report = examine(one(f"mongodb://{mongod.hosts[0]}/app?replicaSet=other"), timeout=15)
    assert any(
        severity == "error" and "asks for the replica set other" in saw
        for severity, saw in told(report, "options")
    )
    assert max(limits) <= 15


# 5 Authentication and privileges


@contextmanager
def user(server: EmbeddedMongo, *roles: Any, within: str = "admin") -> Iterator[str]:
    """The credentials of a user with ``roles``, as they stand in a URI."""
    name, password = f"user_{secrets.token_hex(4)}", f"{CANARY}-{secrets.token_hex(4)}"
    with MongoClient[dict[str, Any]](server.uri) as client:
        client[within].command("createUser", name, pwd=password, roles=list(roles))
        try:
            yield f"{name}:{password}"
        finally:
            client[within].command("dropUser", name)


def auth_uri(server: EmbeddedMongo, credentials: str, options: str = "authSource=admin") -> str:
    return f"mongodb://{credentials}@{server.hosts[0]}/app?{options}"


READ_WRITE = {"role": "readWrite", "db": "app"}


def test_a_user_with_just_enough_rights_is_fine(auth_mongod: EmbeddedMongo) -> None:
    with user(auth_mongod, READ_WRITE, {"role": "dbAdmin", "db": "app"}) as credentials:
        report = examine(one(auth_uri(auth_mongod, credentials)))
    assert told(report, "authentication") == [
        ("ok", "the server lets the user in, who may read and write in app")
    ]


def test_what_a_plain_user_may_not_see_is_skipped_and_no_error(auth_mongod: EmbeddedMongo) -> None:
    with user(auth_mongod, READ_WRITE) as credentials:
        report = examine(one(auth_uri(auth_mongod, credentials)))
    assert report.healthy
    needed = {
        finding.check
        for finding in report.findings
        if finding.severity == "skipped" and "needs the privilege" in finding.saw
    }
    assert needed >= {"server", "pool", "operations", "resources", "usage"}


def test_a_root_user_is_more_than_is_needed(auth_mongod: EmbeddedMongo) -> None:
    report = examine(one(auth_mongod.uri_for("app")))
    assert ("warning", "the user may do more than an application needs: it has root") in told(
        report, "authentication"
    )


def test_a_user_that_may_only_read_is_an_error(auth_mongod: EmbeddedMongo) -> None:
    with user(auth_mongod, {"role": "read", "db": "app"}) as credentials:
        report = examine(one(auth_uri(auth_mongod, credentials)))
    assert told(report, "authentication")[0] == (
        "error",
        "the user may not insert, update, remove in app",
    )


def test_a_wrong_password_is_told_as_such(auth_mongod: EmbeddedMongo) -> None:
    with user(auth_mongod, READ_WRITE) as credentials:
        report = examine(one(auth_uri(auth_mongod, f"{credentials}-not")))
    assert told(report, "authentication") == [
        ("error", "the password is wrong: the user exists in the authentication database admin")
    ]
    assert CANARY not in json.dumps(report.as_dict())


def test_a_wrong_auth_source_is_told_with_the_right_one(auth_mongod: EmbeddedMongo) -> None:
    with user(auth_mongod, READ_WRITE) as credentials:
        report = examine(one(auth_uri(auth_mongod, credentials, "authSource=app")))
    (error,) = report.of("authentication")
    assert error.saw == "the authSource is wrong: the user is not in app, but in admin"
    assert error.advice == "add authSource=admin to the URI"


def test_an_unknown_user_is_told_with_the_places_looked_at(auth_mongod: EmbeddedMongo) -> None:
    report = examine(one(auth_uri(auth_mongod, f"nobody:{CANARY}", "authSource=other")))
    assert told(report, "authentication") == [
        ("error", "the user is unknown; it was looked for in other, admin, app")
    ]


def test_missing_credentials_are_told(auth_mongod: EmbeddedMongo) -> None:
    report = examine(one(f"mongodb://{auth_mongod.hosts[0]}/app"))
    assert told(report, "authentication") == [
        ("error", "the server wants credentials, and the URI holds none")
    ]


def test_a_server_without_access_control_is_a_note_on_this_machine(uri: str) -> None:
    assert severities(examine(one(uri)), "authentication") == {"note"}


# 6 Pools


def test_pools_that_fit_the_server_are_fine(uri: str) -> None:
    ((severity, saw),) = told(examine(one(uri), processes=4), "pool")
    assert severity == "ok"
    assert "4 processes with pools of up to 10 for default may open 48 connections" in saw


def test_more_pools_than_the_server_takes_are_an_error(uri: str) -> None:
    assert severities(examine(one(uri), processes=1_000_000), "pool") == {"error"}


def test_the_pool_of_this_process_is_looked_at(uri: str) -> None:
    with db.connected(one(uri)):
        report = examine(one(uri))
    assert any(saw.startswith("in this process") for _, saw in told(report, "pool"))


# 7 Long operations


@contextmanager
def long_find(client: MongoClient[dict[str, Any]], database: str) -> Iterator[None]:
    """A find that runs until the end of the block, on and for documents that nobody may see."""
    collection = client[database].canaries
    collection.insert_one({"secret": CANARY})
    ours = {"ns": f"{database}.canaries", "active": True}

    def find() -> None:
        with pytest.raises(PyMongoError):
            list(collection.find({"secret": CANARY, "$where": "sleep(60000) || true"}))

    def operations() -> list[dict[str, Any]]:
        found = client.admin.aggregate([{"$currentOp": {"allUsers": True}}, {"$match": ours}])
        return [each for each in found if each["microsecs_running"] > 150_000]

    thread = threading.Thread(target=find)
    thread.start()
    try:
        wait_until(operations)
        yield
    finally:
        for operation in operations():
            client.admin.command("killOp", op=operation["opid"])
        thread.join(60)
        collection.drop()


def test_a_quiet_server_has_no_long_operation(uri: str) -> None:
    assert told(examine(one(uri, slow_ms=60_000)), "operations") == [
        ("ok", "no operation has been running for 60000 ms")
    ]


def test_a_long_operation_is_told_without_its_contents(uri: str, database_name: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client, long_find(client, database_name):
        report = examine(one(uri))
    found = [saw for _, saw in told(report, "operations")]
    told_of = re.compile(rf"find on {database_name}\.canaries has been running for \d+\.")
    assert any(told_of.search(saw) for saw in found)
    assert any("reading the whole collection" in saw for saw in found)
    assert CANARY not in json.dumps(report.as_dict())


def test_an_idle_transaction_is_told(uri: str, database_name: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client, client.start_session() as session:
        client[database_name].create_collection("canaries")
        with session.start_transaction():
            client[database_name].canaries.insert_one({"secret": CANARY}, session=session)
            report = examine(one(uri, slow_ms=0))
            session.abort_transaction()
    assert any("transaction has been open" in saw for _, saw in told(report, "operations"))


def test_a_plain_user_sees_the_operations_of_its_own(auth_mongod: EmbeddedMongo) -> None:
    with user(auth_mongod, READ_WRITE) as credentials:
        uri = auth_uri(auth_mongod, credentials)
        with MongoClient[dict[str, Any]](auth_mongod.uri) as root, long_find(root, "app"):
            report = examine(one(uri))
    assert severities(report, "operations") == {"ok", "skipped"}


# 8 Indexes


@contextmanager
def person() -> Iterator[type[Document]]:
    with model_registry():

        class Person(Document):
            name = StringField()
            city = StringField()
            meta = {"collection": "people", "indexes": ["name", "city"]}

        yield Person


@contextmanager
def prepared(uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """A model whose collection and indexes were built; the application has closed again."""
    with person():
        db.connect_all(one(uri))
        db.disconnect_all()
        with MongoClient[dict[str, Any]](uri) as client:
            yield client


def test_indexes_as_the_models_declare_them_are_fine(uri: str) -> None:
    with prepared(uri):
        report = examine(one(uri))
    assert told(report, "indexes")[0] == ("ok", "the indexes are as 1 models declare them")


def test_missing_and_unknown_indexes_are_told(uri: str, database_name: str) -> None:
    with prepared(uri) as client:
        people = client[database_name].people
        people.drop_index("city_1")
        people.create_index("shoe_size")
        report = examine(one(uri))
    assert told(report, "indexes")[:2] == [
        ("warning", "people lacks the index city_1, so its queries read more than they need"),
        ("note", "people has the index shoe_size_1, which no model declares"),
    ]


def test_queries_without_an_index_are_told_from_the_profile(uri: str, database_name: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        database = client[database_name]
        database.people.insert_one({"secret": CANARY})
        database.command("profile", 2)
        database.people.find_one({"secret": CANARY})
        database.command("profile", 0)
        report = examine(one(uri))
        assert database.command("profile", -1)["was"] == 0
    assert any(
        severity == "warning"
        and f"query on {database_name}.people read the whole collection 1 times" in saw
        for severity, saw in told(report, "indexes")
    )
    assert CANARY not in json.dumps(report.as_dict())


# 9 Resources


def test_a_server_with_room_is_told(uri: str, database_name: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        client[database_name].people.insert_one({})
    sights = [saw for _, saw in told(examine(one(uri)), "resources")]
    assert [saw.split(" ")[1] for saw in sights[:2]] == ["server's", "cache"]
    assert len(sights) == 4


def test_a_cache_full_of_changes_is_a_warning() -> None:
    with EmbeddedMongo(in_memory=True) as server:
        uri = server.uri_for("app")
        with MongoClient[dict[str, Any]](uri) as client, ExitStack() as stack:
            client.app.create_collection("blobs")
            size = client.admin.command("serverStatus")["wiredTiger"]["cache"]
            blob = os.urandom(8 * 2**20)
            # MongoDB 7.0 gives up a transaction that alone takes that much.
            many = 5 if client.server_info()["versionArray"][0] >= 7 else 1
            sessions = [stack.enter_context(client.start_session()) for _ in range(many)]
            for session in sessions:
                session.start_transaction()
            for number in range(int(size["maximum bytes configured"] * 0.21 / len(blob)) + 1):
                client.app.blobs.insert_one({"blob": blob}, session=sessions[number % many])
            report = examine(one(uri))
    assert any(
        severity == "warning" and "have to make room" in saw
        for severity, saw in told(report, "resources")
    )


# 10 Usage


def test_the_servers_connections_are_told(uri: str) -> None:
    report = examine(one(uri))
    assert severities(report, "usage") <= {"ok", "warning"}  # this suite opens many itself
    assert any("connections are open" in saw for _, saw in told(report, "usage"))
    assert any("datalayer:doctor" in saw for _, saw in told(report, "usage"))


def test_connections_of_this_process_that_break_are_a_warning(mongod: EmbeddedMongo) -> None:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        settings = one(proxy.uri_for("app"), max_pool_size=20, min_pool_size=20)
        with db.connected(settings):
            connection = registry.connection("default")
            wait_until(lambda: connection.monitors.pool.snapshot()["open"] >= 20)
            proxy.cut()
            connection.client.app.people.find_one()
            report = examine(settings)
    assert any(
        severity == "warning" and saw.endswith("they do not last")
        for severity, saw in told(report, "usage")
    )


@pytest.mark.parametrize("name", [f"mongodb://u:{CANARY}@h/app", "\x1b[31mred"])
def test_a_strange_name_of_an_application_disturbs_nothing(uri: str, name: str) -> None:
    with MongoClient[dict[str, Any]](uri, appname=name) as client:
        client.admin.command("ping")
        text = "".join(saw for _, saw in told(examine(one(uri)), "usage"))
    assert "connections by application name" in text
    assert [part for part in (CANARY, "\x1b") if part in text] == []


# Deadlines


def test_a_server_that_stops_answering_ends_at_the_deadline(mongod: EmbeddedMongo) -> None:
    commands = ["ping", "connectionStatus", "serverStatus", "aggregate", "listCollections"]
    commands += ["replSetGetStatus", "getLog", "hostInfo", "dbStats", "endSessions"]
    block = {"failCommands": commands, "blockConnection": True, "blockTimeMS": 2_500}
    block["appName"] = "datalayer:doctor"
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=block)
        try:
            with limits_given() as limits:
                report = examine(one(mongod.uri_for("app")), timeout=1)
        finally:
            client.admin.command("configureFailPoint", "failCommand", mode="off")
    assert max(limits) <= 1
    assert "error" in severities(report, "server")


def test_slow_questions_are_skipped_and_the_rest_is_answered(mongod: EmbeddedMongo) -> None:
    block = {"failCommands": ["serverStatus"], "blockConnection": True, "blockTimeMS": 2_500}
    block["appName"] = "datalayer:doctor"
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=block)
        try:
            with limits_given() as limits:
                report = examine(one(mongod.uri_for("app")), timeout=2)
        finally:
            client.admin.command("configureFailPoint", "failCommand", mode="off")
    assert max(limits) <= 2
    assert ("skipped", "the server's connections: the server did not answer in time") in told(
        report, "usage"
    )
    assert "ok" in severities(report, "operations")


def test_a_network_that_breaks_in_the_middle_raises_nothing(mongod: EmbeddedMongo) -> None:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        proxy.hang()
        with limits_given() as limits:
            report = examine(one(proxy.uri_for("app")), timeout=2)
    assert not report.healthy
    assert max(limits) <= 2


# Without a server of one's own


def test_an_embedded_server_that_does_not_run_is_not_started() -> None:
    report = examine(one("embedded://app"))
    assert told(report, "network") == [("skipped", "the embedded server is not running")]
    assert registry._embedded is None


def test_an_embedded_server_that_runs_is_examined() -> None:
    settings = one("embedded://app")
    with db.connected(settings):
        report = examine(settings)
    assert severities(report, "network") == {"ok"}
    assert report.healthy


def test_mongomock_is_no_server_to_examine() -> None:
    report = examine(one("mongomock://app"))
    assert report.healthy
    assert severities(report, "network") == {"skipped"}
