"""URIs: what is read from them, what is wrong with them, and that no text shows their secrets."""

from __future__ import annotations

import os
import socket
import traceback
import warnings
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from pymongo import MongoClient

from datalayer.errors import ConfigurationError
from datalayer.settings import DatabaseSettings, Settings, redact

CANARY = "zc4n4ry"
A_FILE = quote(__file__)
ESCAPE_USER = "escape the user name with urllib.parse.quote_plus(user_name)"
ESCAPE_PASSWORD = "escape the password with urllib.parse.quote_plus(password)"
RESERVED = "a reserved character (one of @ : / ? # [ ] %)"


def read(uri: str) -> DatabaseSettings:
    return Settings(databases={"default": uri})["default"]


def problems(uri: str) -> tuple[str, ...]:
    """The problems of a URI, after checking that no text on the way shows a secret."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({"MONGODB_URI": uri})
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert CANARY not in shown
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return tuple(text.removeprefix("MONGODB_URI ") for text in caught.value.problems)


def problem(uri: str) -> str:
    (only,) = problems(uri)
    return only


# Reading


@pytest.mark.parametrize(
    ("uri", "hosts"),
    [
        ("mongodb://localhost/shop", ("localhost:27017",)),
        ("mongodb://DB1.example.com:1,db2:65535/shop", ("db1.example.com:1", "db2:65535")),
        ("mongodb://[::1],[fe80::1%25eth0]:1/shop", ("[::1]:27017", "[fe80::1%25eth0]:1")),
        ("mongodb://%2Ftmp%2Fmongodb-27017.sock/shop", ("/tmp/mongodb-27017.sock",)),
        ("mongodb+srv://Cluster.example.com/shop", ("cluster.example.com",)),
        ("mongodb://u:p@my_container/shop", ("my_container:27017",)),
        ("embedded://shop", ()),
        ("mongomock://shop", ()),
    ],
)
def test_hosts_are_read(uri: str, hosts: tuple[str, ...]) -> None:
    assert (read(uri).hosts, read(uri).database) == (hosts, "shop")


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("mongodb://localhost/shop", "mongodb"),
        ("mongodb+srv://cluster.example.com/shop", "mongodb"),
        ("embedded://shop", "embedded"),
        ("mongomock://shop?w=1", "mongomock"),
    ],
)
def test_the_scheme_tells_the_kind(uri: str, kind: str) -> None:
    assert read(uri).kind == kind


def test_white_space_around_a_uri_is_no_part_of_it() -> None:
    assert read(" mongodb://localhost/shop\n").uri == "mongodb://localhost/shop"


def test_a_database_name_may_be_escaped() -> None:
    assert read("mongodb://localhost/caf%C3%A9").database == "café"


def test_an_escaped_password_reaches_the_driver_whole() -> None:
    password = "p@ss:w/o?r#d[1]%2 +\"'<>\\é"
    settings = read(f"mongodb://user:{quote_plus(password)}@localhost/shop")
    client: MongoClient[object] = MongoClient(**settings.client_kwargs(), connect=False)
    assert client.options.pool_options._credentials.password == password


def test_reading_asks_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("no network while reading settings")

    for name in ("socket", "getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    assert read("mongodb+srv://u:p@cluster.example.com/shop").client_kwargs()
    assert read("mongodb://u:p@db.example.com/shop?tls=true").client_kwargs()


@pytest.mark.parametrize(
    "options",
    [
        "w=majority&journal=true&readConcernLevel=majority&retryReads=false",
        "readPreference=secondaryPreferred&maxStalenessSeconds=90&readPreferenceTags=dc:a,rack:1"
        "&readPreferenceTags=",
        "compressors=zlib&zlibCompressionLevel=6",
        "replicaSet=rs0&serverMonitoringMode=poll&heartbeatFrequencyMS=500",
        "directConnection=true;maxPoolSize=3;minPoolSize=0",
        "tls=true&tlsAllowInvalidHostnames=true",
        "uuidRepresentation=javaLegacy&datetime_conversion=DATETIME_AUTO&tz_aware=true",
        "maxPoolSize=1",
        "timeoutMS=5&socketTimeoutMS=7&waitQueueTimeoutMS=9&wTimeoutMS=0",
        "loadBalanced=true",
    ],
)
def test_the_driver_takes_what_is_accepted_without_a_warning(options: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings = read(f"mongodb://user:password@localhost/shop?{options}")
        MongoClient(**settings.client_kwargs(), connect=False)


@pytest.mark.parametrize("name", ["tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile"])
def test_a_file_that_is_not_there_is_a_problem(name: str, tmp_path: Path) -> None:
    uri = f"mongodb://localhost/shop?tls=true&{name}={quote_plus(str(tmp_path / CANARY))}"
    assert problem(uri) == (
        f"gives the option {name} a wrong value; "
        "it must be the path of a file that this process may read"
    )


def test_a_pipe_in_the_place_of_a_file_does_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "tlsCAFile" in problem(f"mongodb://localhost/shop?tlsCAFile={quote_plus(str(pipe))}")


def test_the_options_of_a_private_server_reach_the_driver_in_their_own_types() -> None:
    arguments = read("embedded://shop?appname=true&connect=false&tz_aware=true").client_kwargs()
    chosen = {name: arguments[name] for name in ("appname", "connect", "tz_aware")}
    assert chosen == {"appname": "true", "connect": False, "tz_aware": True}


# Credentials


@pytest.mark.parametrize("character", "@:/?#[]%")
def test_a_reserved_character_in_the_password_is_told_without_showing_it(character: str) -> None:
    text = problem(f"mongodb://user:{CANARY}{character}{CANARY}@localhost:27017/shop")
    assert text.startswith(f"has {RESERVED} in the password; {ESCAPE_PASSWORD}")


@pytest.mark.parametrize("character", "@/?#[]%")
def test_a_reserved_character_in_the_user_name_is_told_as_such(character: str) -> None:
    text = problem(f"mongodb://us{character}er:{CANARY}@localhost:27017/shop")
    assert text.startswith(f"has {RESERVED} in the user name; {ESCAPE_USER}")


@pytest.mark.parametrize("password", ["%zz", "100%", "%2"])
def test_a_percent_sign_that_begins_no_escape_is_reserved(password: str) -> None:
    assert RESERVED in problem(f"mongodb://user:{password}@localhost/shop")


@pytest.mark.parametrize(
    ("password", "wrong"),
    [
        ("two words", "white space, a control character or a broken letter"),
        ("nul\0", "white space, a control character or a broken letter"),
        ("lone\udcff", "white space, a control character or a broken letter"),
        ('"quoted"', "a quotation mark, a backslash or an angle bracket"),
        ("o'neill", "a quotation mark, a backslash or an angle bracket"),
        ("%ff", "a percent escape that is not UTF-8"),
    ],
)
def test_other_characters_to_escape_are_told_by_their_class(password: str, wrong: str) -> None:
    text = problem(f"mongodb://user:{password}{CANARY}@localhost/shop")
    assert text == f"has {wrong} in the password; {ESCAPE_PASSWORD}"


def test_both_parts_are_told_at_once() -> None:
    parts = [text.partition(" in the ")[2] for text in problems("mongodb://a@b:c d@localhost/e")]
    assert parts == [f"user name; {ESCAPE_USER}", f"password; {ESCAPE_PASSWORD}"]


def test_an_at_sign_in_an_option_is_told_how_to_write() -> None:
    text = problem("mongodb://localhost/shop?appname=me@home")
    assert text.endswith("(or, if it is an option that holds an '@', write %40 there)")


def test_a_forgotten_host_shows_no_password() -> None:
    text = problem(f"mongodb://user:{CANARY}/shop")
    assert text.endswith("for a user and password write user:password@host")


@pytest.mark.parametrize(
    "uri", ["mongodb://user@localhost/shop", "mongodb://user:@localhost/shop"]
)
def test_a_user_needs_a_password(uri: str) -> None:
    assert problem(uri) == "has a user name without a password; write user:password@host"


def test_an_at_sign_needs_a_user() -> None:
    assert problem("mongodb://@localhost/shop") == (
        "has an '@' without a user name before it; remove it or write user:password@host"
    )


# Parts


@pytest.mark.parametrize(
    "uri",
    [
        "localhost:27017/shop",
        f"postgres://u:{CANARY}@localhost/shop",
        f"mongo://u:{CANARY}@localhost/shop",
        f"MongoDB://u:{CANARY}@localhost/shop",
        f"'mongodb://u:{CANARY}@localhost/shop'",
        f"mongodb:/u:{CANARY}@localhost/shop",
        "://",
    ],
)
def test_other_schemes_are_refused(uri: str) -> None:
    assert problem(uri) == (
        "must begin with mongodb://, mongodb+srv://, embedded:// or mongomock://, "
        "in small letters and without quotation marks"
    )


@pytest.mark.parametrize(
    "host",
    [
        "localhost:0", "localhost:65536", "localhost:", "localhost:abc", "localhost:1:2", "::1",
        "[::1", "[localhost]", "a..b", "-%41", "ho$t", "(host)", f"{'a' * 64}.example.com",
        "localhost:٣", "tmp%2Fmongo.sock",
    ],
)  # fmt: skip
def test_a_wrong_host_is_told_by_its_number(host: str) -> None:
    assert problem(f"mongodb://good,{host}/shop").startswith("has a host (number 2) that is not")


@pytest.mark.parametrize("uri", ["mongodb://", "mongodb:///shop", "mongodb://?w=1"])
def test_a_uri_without_a_host_is_refused(uri: str) -> None:
    assert problem(uri) == "names no host; write mongodb://host:27017/NAME"


@pytest.mark.parametrize(
    "host", ["a.example.com:27017", "a.example.com,b.example.com", "10.0.0.1", "[::1]"]
)
def test_srv_takes_one_name_without_a_port(host: str) -> None:
    assert problem(f"mongodb+srv://u:{CANARY}@{host}/shop").startswith("must name one host")


@pytest.mark.parametrize("rest", ["", "/", "/?w=1", "?w=1"])
def test_a_uri_without_a_database_is_refused(rest: str) -> None:
    assert problem(f"mongodb://localhost{rest}") == (
        "names no database; write its name after the host: mongodb://host:27017/NAME"
    )


@pytest.mark.parametrize("scheme", ["embedded", "mongomock"])
def test_a_private_server_needs_a_database_name_too(scheme: str) -> None:
    assert problem(f"{scheme}://") == f"names no database; write its name: {scheme}://NAME"


@pytest.mark.parametrize("rest", ["u:p@shop", "localhost:27017", "localhost/shop", "a,b"])
def test_a_private_server_has_no_host(rest: str) -> None:
    assert problem(f"embedded://{rest}") == (
        "must be embedded://NAME: there is no host, user or password"
    )


@pytest.mark.parametrize("name", ["a.b", "a%2Fb", "$a", "a%20b", "a*b", "a|b", "a%00b", "a:b"])
def test_a_database_name_has_forbidden_characters(name: str) -> None:
    assert "has a database name with a character" in problem(f"mongodb://localhost/{name}")


def test_a_database_name_has_a_length() -> None:
    assert read(f"mongodb://localhost/{'n' * 63}").database == "n" * 63
    assert problem(f"mongodb://localhost/{'n' * 64}") == (
        "has a database name of more than 63 bytes"
    )


# Options


def test_an_unknown_option_is_a_problem_with_the_one_that_was_meant() -> None:
    assert problem("mongodb://localhost/shop?w=1&maxPolSize=3") == (
        "has an option (number 2) that PyMongo does not know; did you mean maxPoolSize?"
    )


def test_an_option_that_resembles_none_is_not_repeated() -> None:
    assert problem(f"mongodb://localhost/shop?{CANARY}{CANARY}=3") == (
        "has an option (number 1) that PyMongo does not know; remove it"
    )


@pytest.mark.parametrize("options", ["w", "w=1&", "&w=1", "w=1=2", "w=1&&journal=true"])
def test_an_option_is_a_name_and_a_value(options: str) -> None:
    assert "that is not name=value" in problem(f"mongodb://localhost/shop?{options}")


def test_separators_are_not_mixed() -> None:
    assert "both '&' and ';'" in problem("mongodb://localhost/shop?w=1&tls=true;ssl=true")


def test_an_option_is_given_once() -> None:
    assert problem("mongodb://localhost/shop?w=1&W=2") == ("gives the option w twice; keep one")


@pytest.mark.parametrize(
    "option",
    [
        "maxPoolSize=0", "maxPoolSize=-1", "minPoolSize=x", "timeoutMS=0", "timeoutMS=1.5",
        "connectTimeoutMS=1e3", "heartbeatFrequencyMS=499", "tls=yes", "tls=True", "w=-1", "w=51",
        "w=", "w=1_0", "readPreference=secondry", "readPreferenceTags=dc", "authSource=",
        "maxStalenessSeconds=0", "maxStalenessSeconds=89", "compressors=gzip", "compressors=",
        "zlibCompressionLevel=10", "authMechanism=MONGODB-CR", "uuidRepresentation=4",
        "datetime_conversion=DATE", "serverMonitoringMode=push", "retryWrites=1", "replicaSet=",
        f"appname={'é' * 65}", "readConcernLevel=all", "unicode_decode_error_handler=skip",
        f"authMechanismProperties={CANARY}", f"authMechanismProperties=AWS_SESSION:{CANARY}",
        "authMechanismProperties=CANONICALIZE_HOST_NAME:maybe", "tlsCAFile=/no/such/file",
        "tlsCertificateKeyFilePassword=",
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_what_it_must_be(option: str) -> None:
    name = option.partition("=")[0]
    found = problems(f"mongodb://u:p@localhost/shop?{option}")
    assert found[0].startswith(f"gives the option {name} a wrong value; it must be ")


@pytest.mark.parametrize(
    ("uri", "start"),
    [
        ("mongodb://a,b/shop?directConnection=true", "combines directConnection=true"),
        ("mongodb+srv://a.b.c/shop?directConnection=true", "combines directConnection=true"),
        ("mongodb://a,b/shop?loadBalanced=true", "combines loadBalanced=true"),
        ("mongodb://a/shop?loadBalanced=true&replicaSet=r", "combines loadBalanced=true"),
        ("mongodb+srv://a.b.c/shop?srvMaxHosts=2&replicaSet=r", "combines srvMaxHosts"),
        ("mongodb://a/shop?srvMaxHosts=2", "has srvMaxHosts, which belongs to mongodb+srv://"),
        ("mongodb://a/shop?srvServiceName=x", "has srvServiceName"),
        ("mongodb://a/shop?readPreferenceTags=dc:a", "has readPreferenceTags, which needs"),
        ("mongodb://a/shop?maxStalenessSeconds=90", "has maxStalenessSeconds, which needs"),
        ("mongodb://a/shop?journal=true&fsync=true", "sets both journal and fsync"),
        ("mongodb://a/shop?tls=true&ssl=false", "sets tls and ssl differently"),
        ("mongodb://a/shop?tlsInsecure=true&tlsAllowInvalidHostnames=true", "combines tlsIns"),
        (f"mongodb://a/shop?tls=false&tlsCAFile={A_FILE}", "sets tls=false together with"),
        ("mongodb://a/shop?tls=false&tlsInsecure=false", "sets tls=false together with"),
        (f"mongodb://a/shop?tlsInsecure=true&tlsCRLFile={A_FILE}", "combines tlsCRLFile"),
        ("mongodb://a/shop?minPoolSize=8&maxPoolSize=7", "(8) is above"),
        ("mongodb://a/shop?authMechanism=PLAIN", "asks for authMechanism=PLAIN, which needs"),
        ("mongodb://u@a/shop?authMechanism=MONGODB-AWS", "has a user name without a password"),
        ("mongodb://u:p@a/shop?authMechanism=MONGODB-X509", "has a password, which"),
        ("mongodb://u@a/shop?authMechanism=GSSAPI&authSource=admin", "needs authSource=$external"),
        ("mongodb://a/shop?authMechanism=MONGODB-OIDC", "needs authMechanismProperties=ENVIR"),
    ],
)
def test_options_that_contradict_each_other_are_refused(uri: str, start: str) -> None:
    assert problem(uri).removeprefix("MONGODB_MIN_POOL_SIZE ").startswith(start)


# Redacting


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mongodb://u:secret@h/db", "mongodb://***@h/db"),
        ("mongodb+srv://u:secret@h/db?w=1", "mongodb+srv://***@h/db?w=1"),
        ("at mongodb://u:sec@re/t?@h/db, then", "at mongodb://***@h/db, then"),
        ("'mongodb://u:secret@h/db' refused", "'mongodb://***@h/db' refused"),
        ('{"uri": "mongodb://u:secret@h/db"}', '{"uri": "mongodb://***@h/db"}'),
        ("mongodb://u:secret@h mongodb://v:other@i", "mongodb://***@h mongodb://***@i"),
        ("mongo://u:secret@h/db", "mongo://***@h/db"),
        ("mongodb://user:secret/db", "mongodb://***"),
        ("mongodb://h:1,i:2/db", "mongodb://h:1,i:2/db"),
        ("mongodb://[::1]:27017/db", "mongodb://[::1]:27017/db"),
        ("mongodb://h/db?tlsCertificateKeyFilePassword=secret&w=1",
         "mongodb://h/db?tlsCertificateKeyFilePassword=***&w=1"),
        ("mongodb://h/db?AUTHMECHANISMPROPERTIES=AWS_SESSION_TOKEN:secret",
         "mongodb://h/db?AUTHMECHANISMPROPERTIES=***"),
        ("proxyPassword=secret", "proxyPassword=***"),
        ("nothing to hide, me@example.com", "nothing to hide, me@example.com"),
    ],
)  # fmt: skip
def test_redact_takes_out_credentials_and_nothing_else(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_redact_stays_fast_on_long_texts() -> None:
    text = "mongodb://" * 2000 + "a:b" * 2000
    assert redact(text).endswith("***")
