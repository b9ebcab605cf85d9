"""The privileges that ``doctor --print-roles`` prints are enough for everything that datalayer
does in a database, and for nothing in any other."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fresh_databases import model_registry
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from datalayer import db
from datalayer.cli import main
from datalayer.doctor.roles import as_commands, as_script, grants
from datalayer.embedded import EmbeddedMongo
from datalayer.models import Advertisement, AnalyticsEvent, LogEntry, Metric, User
from datalayer.settings import Settings

PASSWORD = "canary-of-the-roles"
MODELS = (User, Advertisement, AnalyticsEvent, LogEntry, Metric)
URI = f"mongodb://clerk:{PASSWORD}@one:27017,two:27017"


def settings_for(default: str, database1: str = "mongomock://numbers") -> Settings:
    return Settings(databases={"default": default, "database1": database1})


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MONGODB_URI", "DATABASE1_URI", "DATALAYER_ALIASES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["doctor", "--print-roles", *words]) == 0
    out, err = capsys.readouterr()
    assert PASSWORD not in out + err
    return out


def test_each_database_gets_a_role_and_a_user_of_its_own() -> None:
    found = grants(
        settings_for(
            default=f"{URI}/shop?authSource=admin",
            database1=f"mongodb://counter:{PASSWORD}@three/numbers",
        )
    )
    assert [(each.alias, each.database, each.user, each.auth_database) for each in found] == [
        ("default", "shop", "clerk", "admin"),
        ("database1", "numbers", "counter", "numbers"),
    ]


def test_two_databases_with_one_user_get_two(bare: None) -> None:
    found = grants(Settings.from_env({"MONGODB_URI": f"{URI}/shop"}))
    assert [(each.user, each.is_new) for each in found] == [
        ("clerk", False),
        ("clerk_database1", True),
    ]


def test_a_database_without_a_user_gets_a_name_for_one() -> None:
    (found,) = grants(settings_for(default="mongodb://one/shop"))
    assert (found.user, found.auth_database, found.is_new) == ("shop_app", "shop", True)


def test_a_user_with_a_certificate_gets_no_password() -> None:
    uri = "mongodb://CN=clerk@one/shop?authMechanism=MONGODB-X509&tls=true"
    *_, user = as_commands(grants(settings_for(default=uri)))
    assert (user["database"], user["command"]["createUser"]) == ("$external", "CN=clerk")
    assert "pwd" not in user["command"]


def test_no_privilege_reaches_beyond_the_database() -> None:
    (found,) = grants(settings_for(default=f"{URI}/shop"))
    (privilege,) = found.privileges
    assert privilege["resource"] == {"db": "shop", "collection": ""}
    assert not {"dropDatabase", "dropCollection", "killop"} & set(privilege["actions"])


def test_the_command_prints_both_forms_without_the_password(
    bare: None, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--uri", f"{URI}/shop", "--database1-uri", "mongomock://numbers")
    assert '"clerk"' in printed(capsys, *words)
    role, user = json.loads(printed(capsys, *words, "--json"))
    assert role["command"]["createRole"] == "datalayer_default"
    assert user["command"]["pwd"] == "<password of clerk>"


@pytest.mark.parametrize("monitoring", [False, True])
def test_the_script_says_the_same_as_the_commands(monitoring: bool) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node, which runs the script in the place of mongosh")
    granted = grants(settings_for(default=f"{URI}/shop?authSource=admin"), monitoring=monitoring)
    program = SHELL + as_script(granted) + "console.log(JSON.stringify(said));"
    done = subprocess.run([node, "-e", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [
        {"database": each["database"], "command": each["command"]} for each in as_commands(granted)
    ]


# As much of mongosh as the script needs, which notes what it was told to do.
SHELL = """
const said = [];
const note = (database, command) => said.push({ database, command });
const passwordPrompt = () => "<password of clerk>";
const print = () => {};
const db = {
  getSiblingDB: (database) => ({
    getRole: () => null,
    getUser: () => null,
    createRole: ({ role, ...rest }) => note(database, { createRole: role, ...rest }),
    createUser: ({ user, ...rest }) => note(database, { createUser: user, ...rest }),
  }),
};
"""


# On a server with access control


@pytest.fixture
def admin(auth_mongod: EmbeddedMongo) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](auth_mongod.uri) as client:
        yield client


@pytest.fixture(params=[False, True], ids=["plain", "with monitoring"])
def least(
    request: pytest.FixtureRequest,
    admin: MongoClient[dict[str, Any]],
    auth_mongod: EmbeddedMongo,
    bare: None,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[dict[str, str]]:
    """The URIs of two users that were made from what the command prints."""
    place = f"{auth_mongod.hosts[0]}"
    uris = {
        "default": f"mongodb://clerk:{PASSWORD}@{place}/roles_shop",
        "database1": f"mongodb://counter:{PASSWORD}@{place}/roles_numbers",
    }
    words = ["--uri", uris["default"], "--database1-uri", uris["database1"], "--json"]
    commands = json.loads(printed(capsys, *words, *["--with-monitoring"] * request.param))
    for each in commands:
        if "pwd" in each["command"]:
            each["command"]["pwd"] = PASSWORD
        admin[each["database"]].command(each["command"])
    yield uris
    db.disconnect_all()
    for each in commands:
        name, value = next(iter(each["command"].items()))
        admin[each["database"]].command(name.replace("create", "drop"), value)
    for name in ("roles_shop", "roles_numbers"):
        admin.drop_database(name)


@pytest.fixture
def working(least: dict[str, str]) -> Iterator[None]:
    """Connected as those users, with the indexes of the models built."""
    with model_registry(*MODELS):
        db.connect_all(Settings(databases=least))
        yield


@pytest.mark.usefixtures("working")
def test_the_models_of_both_databases_work() -> None:
    user = User(email="ann@example.com").save()
    user.modify(status="suspended")
    AnalyticsEvent(name="seen").save()
    Metric.record("load", 0.5, host="a")
    LogEntry(logged_at=datetime.now(UTC), level="INFO", logger="shop", message="hello").save()
    with db.transaction():
        User(email="bob@example.com").save()
    assert User.objects.count() == 2
    user.delete()
    assert {entry["connected"] for entry in db.status().values()} == {True}


def test_the_commands_work(
    working: None, least: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with MongoClient[dict[str, Any]](least["database1"]) as client:
        client.roles_numbers[LogEntry._get_collection_name()].drop_indexes()
    db.disconnect_all()
    words = ["--uri", least["default"], "--database1-uri", least["database1"]]
    models = ["--models", "datalayer.models"]
    for command, code in (
        (["indexes", "diff", *models], 3),
        (["indexes", "sync", "--drop", "--yes", *models], 0),
        (["indexes", "diff", *models], 0),
        (["status"], 0),
        (["ping"], 0),
        (["doctor", *models], 0),
    ):
        assert (command, main([*command, *words])) == (command, code)
    assert "may not" not in "".join(capsys.readouterr())


FORBIDDEN: dict[str, Callable[[MongoClient[dict[str, Any]]], object]] = {
    "read the other database": lambda client: client.roles_numbers.log_entries.find_one(),
    "write to the other database": lambda client: client.roles_numbers.other.insert_one({}),
    "list the other's collections": lambda client: client.roles_numbers.list_collection_names(),
    "drop the database": lambda client: client.drop_database("roles_shop"),
    "drop a collection": lambda client: client.roles_shop.command("drop", "user"),
    "make users": lambda client: client.roles_shop.command("createUser", "x", pwd="x", roles=[]),
    "read the users": lambda client: client.admin.system.users.find_one(),
    "see what others are doing": lambda client: list(
        client.admin.aggregate([{"$currentOp": {"allUsers": True}}])
    ),
}


@pytest.mark.parametrize("deed", FORBIDDEN)
def test_the_user_may_do_no_more(least: dict[str, str], deed: str) -> None:
    with (
        MongoClient[dict[str, Any]](least["default"]) as client,
        pytest.raises(OperationFailure) as caught,
    ):
        FORBIDDEN[deed](client)
    assert caught.value.code == 13
