"""Passwords and the values of documents stay where they belong: a canary for each is sent down
every way that datalayer knows, and must not come out of logs, errors, tracebacks, reprs, pickles,
statuses, metrics or the command line."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from canaries import CANARY, Guard, found_in, found_in_frames
from faulty_proxy import FaultyProxy
from fresh_databases import model_registry
from mongoengine import IntField, NotUniqueError, StringField
from mongoengine.errors import BulkWriteError, OperationError
from pymongo import MongoClient
from pymongo.cursor import CursorType
from pymongo.errors import PyMongoError

from datalayer import configure_logging, db
from datalayer.cli import main
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    DataLayerError,
    DeadlineExceededError,
    IndexBuildError,
    OutcomeUnknownError,
    PoolExhaustedError,
    UnavailableError,
)
from datalayer.models import LogEntry
from datalayer.models.analytics.log_handler import MongoLogHandler
from datalayer.service.events import Event
from datalayer.settings import Settings

PASSWORD = f"{CANARY}-password"
KEY_PASSWORD = f"{CANARY}-of-the-key-file"
VALUE = f"{CANARY}-in-a-document"


class Person(Document):
    name = StringField(unique=True)
    age = IntField()


@pytest.fixture(autouse=True)
def only_this_model() -> Iterator[None]:
    with model_registry(Person, LogEntry):
        yield


@pytest.fixture
def admin(auth_mongod: EmbeddedMongo) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](auth_mongod.uri) as client:
        yield client
        client.admin.command("configureFailPoint", "failCommand", mode="off")


@pytest.fixture
def credentials(admin: MongoClient[dict[str, Any]]) -> Iterator[str]:
    """``user:password`` of a user with a canary for a password, whose databases are new."""
    admin.people.command(
        "createUser", "joe", pwd=PASSWORD,
        roles=["readWrite", {"role": "readWrite", "db": "people_1"}],
    )  # fmt: skip
    yield f"joe:{PASSWORD}"
    admin.people.command("dropUser", "joe")
    admin.drop_database("people")
    admin.drop_database("people_1")


@pytest.fixture
def proxy(auth_mongod: EmbeddedMongo) -> Iterator[FaultyProxy]:
    with FaultyProxy(auth_mongod.hosts[0]) as proxy:
        yield proxy
        db.disconnect_all()


@pytest.fixture
def uris(credentials: str, proxy: FaultyProxy) -> dict[str, str]:
    place = f"{credentials}@127.0.0.1:{proxy.port}"
    # Often, so that the driver soon finds again a server that refused a password.
    options = "authSource=people&directConnection=true&heartbeatFrequencyMS=500"
    return {
        "default": f"mongodb://{place}/people?{options}",
        "database1": f"mongodb://{place}/people_1?{options}",
    }


@pytest.fixture
def connected(uris: dict[str, str]) -> None:
    small = {"max_pool_size": 1, "min_pool_size": 1, "wait_queue_timeout_ms": 200}
    databases = {alias: {"uri": uri, "slow_ms": 1, **small} for alias, uri in uris.items()}
    db.connect_all(Settings(databases=databases))


# Errors of operations


def duplicate_of(name: str) -> Person:
    """A person whose name somebody else has already."""
    Person(name=name).save()
    return Person(name=name)


def duplicates_under_a_new_index() -> None:
    from datalayer import indexes
    from datalayer.connections.registry import registry

    collection = registry.connection().database.person
    collection.drop()
    collection.insert_many([{"name": VALUE}, {"name": VALUE}])
    indexes.forget(Person)
    Person(name="other").save()


def refused_by_a_validator(admin: MongoClient[dict[str, Any]]) -> None:
    Person(name="first").save()
    admin.people.command("collMod", "person", validator={"name": {"$ne": VALUE}})
    Person(name=VALUE).save()


def failing(admin: MongoClient[dict[str, Any]], code: int, commands: list[str]) -> None:
    admin.admin.command(
        "configureFailPoint", "failCommand", mode="alwaysOn",
        data={"failCommands": commands, "errorCode": code, "appName": "datalayer:default"},
    )  # fmt: skip


def without_privilege(admin: MongoClient[dict[str, Any]]) -> None:
    Person(name="first").save()
    admin.people.command("updateUser", "joe", roles=["read"])
    Person(name=VALUE).save()


def without_privilege_to_read(admin: MongoClient[dict[str, Any]]) -> None:
    Person(name="first").save()
    admin.people.command("updateUser", "joe", roles=[])
    Person.objects(name=VALUE).first()


def on_a_full_disk(admin: MongoClient[dict[str, Any]]) -> None:
    failing(admin, 14031, ["insert"])
    Person(name=VALUE).save()


def without_a_reply(proxy: FaultyProxy) -> None:
    Person(name="first").save()
    proxy.swallow_reply("insert", times=1000, cut=False)
    with db.deadline(0.5):
        Person(name=VALUE).save()


def with_the_server_away(proxy: FaultyProxy) -> None:
    Person(name="first").save()
    proxy.refuse()
    with db.deadline(0.3):
        Person.objects(name=VALUE).first()


def for_too_long() -> None:
    Person(name="first").save()
    with db.deadline(0.2):
        Person.objects(__raw__={"$where": f"sleep(2000) || '{VALUE}'"}).first()


def with_the_pool_exhausted() -> None:
    Person.objects.insert([Person(name=str(number)) for number in range(300)])
    raw = db.database.client.people.person
    cursor = raw.find(cursor_type=CursorType.EXHAUST, batch_size=1)
    next(cursor)
    try:
        Person(name=VALUE).save()
    finally:
        cursor.close()


FAILURES: dict[str, tuple[type[Exception], Callable[..., object]]] = {
    "save of a duplicate": (NotUniqueError, lambda: duplicate_of(VALUE).save()),
    "insert of a duplicate": (
        NotUniqueError,
        lambda: Person.objects.insert(duplicate_of(VALUE)),
    ),
    "insert of several": (
        BulkWriteError,
        lambda: Person.objects.insert([Person(name="new"), duplicate_of(VALUE)]),
    ),
    "update to a duplicate": (
        NotUniqueError,
        lambda: (duplicate_of(VALUE), Person(name="x").save())[1].update(name=VALUE),
    ),
    "modify to a duplicate": (
        NotUniqueError,
        lambda: (duplicate_of(VALUE), Person(name="x").save())[1].modify(name=VALUE),
    ),
    "a unique index over duplicates": (IndexBuildError, duplicates_under_a_new_index),
    "a validator": (OperationError, refused_by_a_validator),
    "no privilege to write": (AuthenticationError, without_privilege),
    "no privilege to read": (AuthenticationError, without_privilege_to_read),
    "a full disk": (UnavailableError, on_a_full_disk),
    "a lost reply": (OutcomeUnknownError, without_a_reply),
    "a server that is away": (UnavailableError, with_the_server_away),
    "a query that takes long": (DeadlineExceededError, for_too_long),
    "an exhausted pool": (PoolExhaustedError, with_the_pool_exhausted),
}


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("way", FAILURES)
def test_the_error_of_an_operation_holds_no_value_and_no_password(
    way: str, admin: MongoClient[dict[str, Any]], proxy: FaultyProxy
) -> None:
    expected, fail = FAILURES[way]
    given = {"admin": admin, "proxy": proxy}
    wanted = fail.__code__.co_varnames[: fail.__code__.co_argcount]
    with pytest.raises(expected) as caught:
        fail(*(given[name] for name in wanted))
    assert found_in(shown(caught.value)) is None
    assert found_in_frames(caught.value, find=shows_the_password) == []
    proxy.restore()
    assert found_in(json.dumps(db.status())) is None


@pytest.mark.usefixtures("connected")
def test_a_duplicate_still_tells_its_index_and_its_keys() -> None:
    with pytest.raises(NotUniqueError, match=r"index: name_1 dup key: \*\*\*"):
        duplicate_of(VALUE).save()


@pytest.mark.usefixtures("connected")
def test_a_failed_bulk_write_still_tells_which_writes_failed() -> None:
    first = Person(name="first").save()
    collection = Person._get_collection()
    with pytest.raises(Exception, match="batch op errors occurred") as caught:
        collection.insert_many([{"name": "a"}, {"_id": first.pk, "name": VALUE}, {"name": "b"}])
    (failed,) = caught.value.details["writeErrors"]  # type: ignore[attr-defined]
    assert (failed["index"], failed["code"], failed["op"]) == (1, 11000, "***")
    assert failed["keyPattern"] == {"_id": 1}


# Errors of connecting


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[[str], str]:
    """Makes a certificate with a key that is encrypted with a password; its path."""

    def make(password: str) -> str:
        key, certificate, both = tmp_path / "key", tmp_path / "certificate", tmp_path / "both.pem"
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=x"]
        words += ["-passout", f"pass:{password}", "-keyout", str(key), "-out", str(certificate)]
        try:
            subprocess.run(words, check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("no openssl that makes certificates")
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        return str(both)

    return make


@contextmanager
def failing_to_connect(uri: str, kind: type[DataLayerError]) -> Iterator[None]:
    settings = Settings(
        databases={
            "default": {"uri": uri, "retry_attempts": 2, "server_selection_timeout_ms": 200},
            "database1": "mongomock://numbers",
        }
    )
    with pytest.raises(kind) as caught:
        db.connect_all(settings)
    yield
    texts = (shown(caught.value), json.dumps(db.status()), repr(db.database), repr(settings))
    assert [found_in(text) for text in texts] == [None] * 4
    assert found_in_frames(caught.value) == []


@pytest.mark.parametrize("wrong", ["&nonsense=1", "&w=0", "&tls=maybe", "#"])
@pytest.mark.parametrize(
    "read",
    [
        lambda uri: Settings(databases={"default": uri}),
        lambda uri: Settings(databases={"default": {"uri": uri, "max_pool_size": 5}}),
        lambda uri: Settings.from_env({"MONGODB_URI": uri}),
        lambda uri: Settings.from_env({}, mongodb_uri=uri),
        lambda uri: replace(Settings(databases={"default": "mongomock://a"})["default"], uri=uri),
    ],
    ids=["code", "fields in code", "environment", "override", "replaced"],
)
def test_the_error_of_wrong_settings_holds_no_secret(
    read: Callable[[str], object], wrong: str
) -> None:
    uri = f"mongodb://joe:{PASSWORD}@localhost/people?tlsCertificateKeyFilePassword={KEY_PASSWORD}"
    with pytest.raises(ConfigurationError) as caught:
        read(uri + wrong)
    assert found_in(shown(caught.value)) is None
    found = found_in_frames(caught.value, levels=5)
    assert [each for each in found if not each.startswith("dataclasses.")] == []  # its arguments


@pytest.mark.usefixtures("connected")
def test_the_error_of_a_ping_holds_no_secret(proxy: FaultyProxy) -> None:
    proxy.refuse()
    with pytest.raises(UnavailableError) as caught:
        db.database.ping(0.2)
    assert found_in_frames(caught.value) == []


@pytest.mark.usefixtures("connected")
def test_a_password_that_is_refused_later_is_in_no_frame(
    admin: MongoClient[dict[str, Any]], proxy: FaultyProxy
) -> None:
    admin.people.command("updateUser", "joe", pwd="another")
    proxy.cut()
    with pytest.raises(AuthenticationError) as caught:
        Person.objects(name="x").first()
    assert found_in_frames(caught.value, find=shows_the_password) == []
    with pytest.raises(PyMongoError) as of_the_driver:
        db.database.client.people.person.find_one()
    texts = [
        repr(frame.f_locals) for frame, _ in traceback.walk_tb(of_the_driver.value.__traceback__)
    ]
    assert [text for text in texts[1:] if PASSWORD in text] == []


def test_the_lines_of_the_drivers_traceback_stay(auth_mongod: EmbeddedMongo) -> None:
    uri = f"mongodb://app:{PASSWORD}@{auth_mongod.hosts[0]}/people?authSource=admin"
    with pytest.raises(AuthenticationError) as caught:
        db.connect_all(Settings(databases={"default": uri, "database1": "mongomock://a"}))
    of_the_driver = caught.value.__context__
    assert "in _authenticate_scram\n" in "".join(traceback.format_exception(of_the_driver))


def test_a_refused_password_is_not_shown(auth_mongod: EmbeddedMongo) -> None:
    uri = f"mongodb://app:{PASSWORD}@{auth_mongod.hosts[0]}/people?authSource=admin"
    with failing_to_connect(uri, AuthenticationError):
        pass


def test_the_password_for_a_server_that_is_away_is_not_shown(
    uris: dict[str, str], proxy: FaultyProxy
) -> None:
    proxy.refuse()
    with failing_to_connect(uris["default"], ConnectError):
        pass


@pytest.mark.parametrize("matching", [True, False])
def test_the_password_of_a_key_file_is_not_shown(
    uris: dict[str, str], key_file: Callable[[str], str], matching: bool
) -> None:
    path = key_file(KEY_PASSWORD if matching else "another-one")
    tls = f"&tls=true&tlsCertificateKeyFile={path}&tlsCertificateKeyFilePassword={KEY_PASSWORD}"
    with failing_to_connect(
        uris["default"] + tls, ConnectError if matching else ConfigurationError
    ):
        pass


# Settings, services and the command line


def test_settings_and_services_show_no_secret(uris: dict[str, str]) -> None:
    tls = f"&tls=true&tlsCertificateKeyFilePassword={KEY_PASSWORD}"
    settings = Settings(databases={alias: uri + tls for alias, uri in uris.items()})
    one = settings["default"]
    things: list[object] = [settings, one, dict(settings), db.database, one.uri, one.redacted_uri]
    things += [vars(settings), vars(one), asdict(one), json.dumps(asdict(one)), f"{one.uri:s}"]
    things += [one.uri + "", one.uri[:], "".join([one.uri]), one.uri.encode(), [*settings.rows]]
    things += [vars(one._parsed), asdict(one._parsed), copy.deepcopy(asdict(one))]
    texts = [f"{thing!r} {thing} {copy.copy(thing)!r}" for thing in things]
    pickles = [pickle.dumps(thing) for thing in (*things[:3], one.uri)]
    assert [found_in(text) for text in texts] == [None] * len(texts)
    assert [found_in(each.decode("latin1")) for each in pickles] == [None] * 4


def test_the_whole_uri_is_there_for_those_who_ask(uris: dict[str, str]) -> None:
    one = Settings(databases=uris)["default"]
    assert one.secret_uri() == one.client_kwargs()["host"] == uris["default"]
    assert type(one.secret_uri()) is str
    assert one.uri == uris["default"]
    assert hash(one.uri) == hash(uris["default"])
    assert one.uri != uris["database1"]
    assert Settings(databases={"default": one.uri})["default"] == one
    assert replace(one, required=False).secret_uri() == uris["default"]
    assert copy.deepcopy(one.uri) == uris["default"]


def test_settings_with_another_password_are_others(uris: dict[str, str]) -> None:
    others = {alias: uri.replace(PASSWORD, f"{PASSWORD}2") for alias, uri in uris.items()}
    settings, changed = Settings(databases=uris), Settings(databases=others)
    assert str(settings["default"].uri) == str(changed["default"].uri)
    assert settings["default"].uri != changed["default"].uri
    assert settings["default"] != changed["default"]
    assert settings != changed
    assert len({settings["default"], changed["default"]}) == 2


def test_a_uri_without_secrets_is_shown_as_it_is() -> None:
    uri = "mongodb://localhost:27017/people?w=majority"
    one = Settings(databases={"default": uri})["default"]
    assert (str(one.uri), one.redacted_uri, one.secret_uri()) == (uri, uri, uri)


@pytest.mark.parametrize("ending", ["", "'", "'\""])
def test_a_client_does_not_show_the_password_of_its_key_file(
    ending: str, uris: dict[str, str], proxy: FaultyProxy, key_file: Callable[[str], str]
) -> None:
    proxy.refuse()
    path, password = key_file(KEY_PASSWORD + ending), quote_plus(KEY_PASSWORD + ending)
    tls = f"&tls=true&tlsCertificateKeyFile={path}&tlsCertificateKeyFilePassword={password}"
    quick = {"retry_attempts": 1, "server_selection_timeout_ms": 100}
    away = {"uri": uris["database1"] + tls, **quick}
    db.connect_all(Settings(databases={"default": "mongomock://shop", "database1": away}))
    client = db.database1.client
    things = [client, client.people_1, client.people_1.things, LogEntry._get_collection()]
    assert [found_in(repr(thing)) for thing in things] == [None] * 4
    assert all("tlscertificatekeyfilepassword='***'" in repr(thing) for thing in things)


COMMANDS = ("config", "status", "ping", "doctor", "top --once", "indexes diff", "indexes sync")


@pytest.mark.parametrize("away", [False, True], ids=["reachable", "away"])
@pytest.mark.parametrize("form", ["", "--json", "--verbose"])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_line_shows_no_secret(
    command: str,
    form: str,
    away: bool,
    uris: dict[str, str],
    proxy: FaultyProxy,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if away:
        proxy.refuse()
    words = [*command.split(), "--uri", uris["default"], "--database1-uri", uris["database1"]]
    words += ["--timeout", "0.5"] if command != "config" else []
    main([*words, *form.split()])
    out, err = capsys.readouterr()
    assert out + err != ""
    assert found_in(out + err) is None


# Logs


def test_the_guard_of_the_suite_finds_canaries() -> None:
    """All other tests rely on it: see ``no_secret_is_logged`` in conftest.py."""
    guard = Guard()
    logger = logging.getLogger("guarded")
    logger.addHandler(guard)
    logger.warning("%s", VALUE)
    logger.warning("extra", extra={"document": {"name": VALUE}})
    logger.warning("traceback", exc_info=ValueError(VALUE))
    logger.warning("nothing")
    logger.removeHandler(guard)
    assert len(guard.taken()) == 3


@pytest.mark.usefixtures("connected")
def test_slow_commands_are_logged_without_their_contents() -> None:
    text = io.StringIO()
    configure_logging(json=True, level=logging.DEBUG, stream=text)
    Person(name="a").save()
    Person.objects(__raw__={"$where": f"sleep(20) || '{VALUE}'"}).first()
    slow = [json.loads(line) for line in text.getvalue().splitlines() if "slow" in line]
    assert any((each["command"], each["collection"]) == ("find", "person") for each in slow)
    assert found_in(text.getvalue()) is None


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("as_json", [False, True])
def test_logging_at_debug_leaves_the_drivers_own_lines_out(
    as_json: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """PyMongo writes whole commands at DEBUG; switching that on is the application's choice."""
    text = io.StringIO()
    configure_logging(json=as_json, level="DEBUG", stream=text)
    Person(name=VALUE).save()
    assert not logging.getLogger("pymongo.command").isEnabledFor(logging.DEBUG)
    assert found_in(text.getvalue() + "".join(capfd.readouterr())) is None


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("as_json", [False, True])
def test_a_traceback_in_the_log_holds_no_value(as_json: bool, guarded_logs: Guard) -> None:
    text = io.StringIO()
    configure_logging(json=as_json, stream=text)
    try:
        raise BulkWriteError(VALUE)
    except BulkWriteError:
        logging.getLogger("datalayer.application").exception("it failed")
    guarded_logs.taken()  # the record itself holds the error, as the application wanted
    assert "it failed" in text.getvalue()
    assert "BulkWriteError: its text may hold values of documents" in text.getvalue()
    assert found_in(text.getvalue()) is None


def test_another_handler_of_the_application_changes_nothing(guarded_logs: Guard) -> None:
    """Formatters leave their tracebacks on the record, for the next one to use."""
    theirs, ours = io.StringIO(), io.StringIO()
    logger = logging.getLogger("datalayer")
    logger.addHandler(logging.StreamHandler(theirs))
    configure_logging(stream=ours)
    logger.error("it failed", exc_info=OperationError(VALUE))
    guarded_logs.taken()
    assert VALUE in theirs.getvalue()
    assert found_in(ours.getvalue()) is None


@pytest.mark.usefixtures("connected")
def test_a_callback_that_fails_is_logged_without_the_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def callback(event: Event) -> None:
        try:
            raise OperationError(VALUE)
        except OperationError as exc:
            raise RuntimeError("the callback's own words") from exc

    db.database.on("disconnected", callback)
    db.disconnect_all()
    db.database.off("disconnected", callback)
    assert "the callback's own words" in caplog.text
    assert "OperationError: its text may hold values" in caplog.text
    assert found_in(caplog.text) is None


@pytest.mark.usefixtures("connected")
def test_a_stored_traceback_holds_no_value() -> None:
    logger = logging.getLogger("shop")
    handler = MongoLogHandler(interval_seconds=0.01)
    logger.addHandler(handler)
    try:
        duplicate_of(VALUE).save()
    except NotUniqueError:
        logger.exception("the name is taken")
    assert handler.flush()
    logger.removeHandler(handler)
    handler.close()
    (entry,) = LogEntry.objects
    assert "NotUniqueError: its text may hold values" in entry.traceback
    assert found_in(entry.to_json()) is None


def shows_the_password(text: str) -> bool:
    """What the documents hold is another matter: the application's frames hold them."""
    return PASSWORD in text


def shown(error: BaseException) -> str:
    """All that is usually made of an error, with what led to it."""
    parts = [str(error), repr(error), *traceback.format_exception(error), repr(vars(error))]
    parts.append(pickle.dumps(error).decode("latin1"))
    return "\n".join(parts)
