"""Whatever URIs and variables hold: valid settings that the driver takes, or ConfigurationError.
Nothing else, no secret in it, and no I/O.

URIs come from a grammar and are then damaged: more than 20,000 in each run, always the same ones.
With DATALAYER_TEST_EXAMPLES each property tries that many examples, other ones in each run.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from random import Random

import pytest
from hypothesis import HealthCheck, event, given, note
from hypothesis import settings as profile
from hypothesis import strategies as st
from pymongo import MongoClient

from datalayer.errors import ConfigurationError
from datalayer.settings import DatabaseSettings, Settings, prefix_of, redact
from datalayer.settings.uri.options import OPTIONS, SECRET_OPTIONS
from datalayer.settings.value_types import DIRECTORY, NAMES
from datalayer.settings.variables import DATABASE_VARIABLES, GLOBAL_VARIABLES

CANARY = "Zq7XwKv93Jp"
PIECES = {CANARY[at : at + 4] for at in range(len(CANARY) - 3)}
EXAMPLES = os.environ.get("DATALAYER_TEST_EXAMPLES")
DAMAGED_EACH = 11  # making a URI takes Hypothesis longer than checking it


def examples(count: int) -> profile:
    return profile(
        max_examples=int(EXAMPLES or count),
        derandomize=EXAMPLES is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


many = examples(400)


def shows(text: str, pieces: Iterable[str] = PIECES) -> list[str]:
    return [piece for piece in pieces if piece in text]


# Grammar

MARKS = [*"@:/?#[]%&=;,. \t\n\"'<>\\+*|$\0\udcffé", "%40", "%2F", "%ff"]
marks = st.sampled_from(MARKS)
password = st.one_of(
    st.just(CANARY),
    st.builds(lambda mark: CANARY[:6] + mark + CANARY[6:], marks),
    st.builds(lambda mark: CANARY + mark, marks),
    st.builds(lambda mark: mark + CANARY, marks),
)


def mostly(good: st.SearchStrategy[str], bad: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 24).flatmap(lambda number: good if number else bad)


user_info = mostly(
    st.one_of(st.just(""), st.just(f"app:{CANARY}@"), st.just(f"a%20b:{CANARY}%40@")),
    st.one_of(
        st.builds("{}:{}@".format, st.sampled_from(["app", "", "a b", "a@b"]), password),
        st.sampled_from(["app@", "app:@", "@", ":@", "***@"]),
        # The '@' or the host forgotten, so that the password stands where a host is expected.
        st.sampled_from([f"app:{CANARY}", f"app:{CANARY}/", f"{CANARY}:", f"app:1?{CANARY}=1&"]),
    ),
)
GOOD_HOSTS = "localhost db.example.com 10.0.0.1:27018 [::1] [::1]:1 %2Ftmp%2Fm.sock LOCAL a_b"
BAD_HOSTS = "h:0 h:99999 h:x [::1 a..b h%41 fe80::1 h: m.sock ho(st"
hosts = mostly(
    st.lists(st.sampled_from(GOOD_HOSTS.split()), min_size=1, max_size=2).map(",".join),
    st.lists(st.sampled_from([*BAD_HOSTS.split(), ""]), max_size=2).map(",".join),
)
database = mostly(
    st.sampled_from(["/shop", "/%C3%A9", "/" + "n" * 63]),
    st.sampled_from(["", "/", "/a.b", "/a%2Fb", "/a b", "/" + "n" * 64, "/a/b", "/a+b"]),
)
VALUES = """true false 0 1 2 600 -1 x 1.5 1e3 majority nearest primary secondary admin $external
%24external zlib snappy,zlib MONGODB-X509 MONGODB-AWS MONGODB-OIDC PLAIN GSSAPI SCRAM-SHA-256
DEFAULT standard poll local dc:a dc:a,b:c DATETIME_MS strict /no/such/file ENVIRONMENT:k8s
ENVIRONMENT:azure CANONICALIZE_HOST_NAME:none ENVIRONMENT:azure,TOKEN_RESOURCE:x
SERVICE_NAME:a%2Cb example.com %ff a%00b"""
value = st.sampled_from([*VALUES.split(), ""])
secret_value = st.sampled_from(["AWS_SESSION_TOKEN:", "x", ""]).map(lambda start: start + CANARY)


def accepted(name: str) -> list[str]:
    return [text for text in VALUES.split() if OPTIONS[name].accepts(text)] or ["x"]


good_option = st.sampled_from(sorted(OPTIONS)).flatmap(
    lambda name: st.sampled_from(accepted(name)).map(lambda text: f"{name}={text}")
)
bad_option = st.one_of(
    st.builds("{}={}".format, st.sampled_from(sorted(OPTIONS)), value),
    st.builds("{}={}".format, st.sampled_from(sorted(SECRET_OPTIONS)), secret_value),
    st.sampled_from(["MAXPOOLSIZE=3", "maxPolSize=3", "w", "", "a=b=c", "wtimeout=1", "Tls=true"]),
)
option = mostly(good_option, bad_option)
query = st.one_of(
    st.just(""),
    st.lists(option, max_size=4).map(lambda found: "?" + "&".join(found)),
    st.lists(option, min_size=2, max_size=3).map(lambda found: "?" + ";".join(found)),
)
scheme = mostly(
    st.sampled_from(["mongodb://"] * 5 + ["mongodb+srv://"]),
    st.sampled_from(["embedded://", "mongomock://", "MONGODB://", "mongodb:/", "http://", ""]),
)
grammar_made = st.builds("{}{}{}{}{}".format, scheme, user_info, hosts, database, query)
serverless_scheme = st.sampled_from(["embedded://", "mongomock://"])
serverless = st.builds(
    "{}{}{}".format, serverless_scheme, st.sampled_from(["shop", "a b", "a/b", ""]), query
)


def damaged(text: str, choose: Random) -> str:
    for _ in range(choose.randint(1, 3)):
        joints = [at for at, character in enumerate(text) if character in "@:/?&="]
        at = choose.choice([choose.randint(0, len(text)), *choose.choices(joints or [0])])
        mark = choose.choice(MARKS)
        kind = choose.choice(["insert", "delete", "replace", "double", "swap"])
        if kind == "insert":
            text = text[:at] + mark + text[at:]
        elif kind == "delete":
            text = text[:at] + text[at + 1 :]
        elif kind == "replace":
            text = text[:at] + mark + text[at + 1 :]
        elif kind == "double":
            text = text[:at] + text[at : at + 9] + text[at:]
        else:
            text = text[at:] + text[:at]
    return text


uri = st.one_of(*[grammar_made] * 7, serverless, st.text(max_size=30))
good_uri = st.sampled_from(
    [f"mongodb://app:{CANARY}@localhost/shop", "mongodb://localhost/shop", "embedded://shop"]
)

# What must hold


@contextmanager
def no_input_or_output() -> Iterator[None]:
    """Fails when files or sockets are touched inside."""
    touched: list[str] = []
    _watchers.append(touched)
    try:
        yield
    finally:
        _watchers.remove(touched)
    assert touched == []


_watchers: list[list[str]] = []


def _watch(name: str, arguments: tuple[object, ...]) -> None:
    if _watchers and (name.startswith(("socket.", "os.", "subprocess.")) or name == "open"):
        _watchers[-1].append(f"{name} {arguments!r}")


Settings.from_env({"MONGODB_URI": "mongodb://localhost/shop"})  # imports what it needs
sys.addaudithook(_watch)  # stays; idle without watchers


def check(environ: dict[str, str]) -> None:
    try:
        with no_input_or_output(), warnings.catch_warnings():
            warnings.simplefilter("error")
            found = Settings.from_env(environ)
    except ConfigurationError as error:
        event("refused")
        check_error(error)
        return
    event("accepted")
    shown = repr(found) + str(found) + repr(found.warnings) + repr(found.rows)
    pickled = pickle.dumps(found).decode("latin-1")
    public = public_part(found).lower()  # hosts are kept in small letters
    secret = [piece for piece in PIECES if piece.lower() not in public]
    assert shows(shown + pickled, secret) == []
    for one in found.values():
        check_accepted_by_driver(one)


def check_error(error: ConfigurationError) -> None:
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(error.problems)
    assert shows(shown) == []
    assert error.problems


def public_part(found: Settings) -> str:
    """What is no secret: after the damage, the canary may be the name of a host or a database."""
    parts: list[str] = []
    for one in found.values():
        options = [text for name, text in one._parsed.options if name not in SECRET_OPTIONS]
        parts += [one.database, *one.hosts, *options, one.alias]
    return " ".join(parts)


def check_accepted_by_driver(one: DatabaseSettings) -> None:
    arguments = one.client_kwargs() | {"connect": False}
    if one.kind != "mongodb":
        arguments["host"] = "mongodb://localhost/shop"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The driver goes on without a compressor that is not installed, and says so itself.
        warnings.filterwarnings("ignore", message="Wire protocol compression")
        client: MongoClient[object] = MongoClient(**arguments)
    client.close()
    assert client.options.pool_options.max_pool_size == one.max_pool_size
    assert client.options.pool_options.min_pool_size == one.min_pool_size
    assert client.options.timeout == one.operation_timeout_ms / 1000
    assert client.options.server_selection_timeout == one.server_selection_timeout_ms / 1000
    assert redact(one.uri) == one.redacted_uri


def test_the_watch_notices_files_and_sockets() -> None:
    for touch in (lambda: open(os.devnull).close(), lambda: socket.socket().close()):
        with pytest.raises(AssertionError), no_input_or_output():
            touch()


@pytest.mark.slow
@examples(1700)
@given(uri, st.randoms(use_true_random=False))
def test_any_uri_gives_settings_or_a_configuration_error(made: str, choose: Random) -> None:
    for text in (made, *(damaged(made, choose) for _ in range(DAMAGED_EACH))):
        note(f"MONGODB_URI={text!r}")
        check({"MONGODB_URI": text})


@many
@given(good_uri, st.one_of(grammar_made, serverless), st.booleans())
def test_any_second_uri_gives_settings_or_a_configuration_error(
    first: str, second: str, tls: bool
) -> None:
    check({"MONGODB_URI": first, "DATABASE1_URI": second, "DATALAYER_REQUIRE_TLS": str(tls)})


names = [prefix + v.name for prefix in ("MONGODB_", "DATABASE1_") for v in DATABASE_VARIABLES]
# Names and paths are shown as they are.
names += [v.name for v in GLOBAL_VARIABLES if v.type not in (NAMES, DIRECTORY)]
name = st.one_of(
    st.sampled_from(names),
    st.builds(
        lambda name, at, mark: name[:at] + mark + name[at + 1 :],
        st.sampled_from(names),
        st.integers(0, 30),
        st.sampled_from(["", "_", "X", "é"]),
    ),
    st.builds(str.lower, st.sampled_from(names)),
    st.builds("{}{}".format, st.sampled_from(["MONGODB_", "DATALAYER_"]), st.text(max_size=8)),
)
text_of_variable = st.one_of(
    st.sampled_from(["true", "no", "1", "0", "5", "20", "2.5", "job", "web", "", " 7 ", "9" * 40]),
    st.sampled_from([CANARY, f"7{CANARY}", f"mongodb://u:{CANARY}@h/db?w=0"]),
    st.integers(-5, 100_000).map(str),
    st.text(max_size=12),
)


@many
@given(good_uri, st.dictionaries(name, text_of_variable, max_size=5))
def test_any_variables_give_settings_or_a_configuration_error(
    good: str, variables: dict[str, str]
) -> None:
    check({"MONGODB_URI": good} | variables)


@many
@given(st.text(st.sampled_from("abA1_,- é\0"), max_size=12), st.booleans())
def test_any_aliases_give_settings_or_a_configuration_error(
    aliases: str, given_uris: bool
) -> None:
    environ = {"MONGODB_URI": "mongodb://localhost/shop", "DATALAYER_ALIASES": aliases}
    if given_uris:
        for alias in aliases.split(","):
            environ[f"{prefix_of(alias.strip())}URI"] = f"mongodb://u:{CANARY}@localhost/shop"
    check(environ)


@many
@given(st.sampled_from(["", "at ", "'", '{"uri": "', "a://b, "]), password, st.text(max_size=5))
def test_redact_hides_any_password_that_the_settings_accept(
    before: str, secret: str, after: str
) -> None:
    text = f"mongodb://app:{secret}@localhost/shop"
    try:
        Settings(databases={"default": text})
    except ConfigurationError:
        return
    assert shows(redact(before + text + after)) == []
