"""The README and the pages of `docs/`: whoever types what they show gets what they say, their
commands are understood, and what they refer to is there."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import PAGES, Block, blocks_of
from paths import DOCS, PROGRAMS, ROOT

from datalayer import db, errors
from datalayer.cli.parser import build_parser
from datalayer.contrib.flask.mongodb_settings import FLAT_KEYS, OLDER_KEY
from datalayer.doctor import CHECKS
from datalayer.embedded import EmbeddedMongo
from datalayer.settings.variables import (
    DATABASE_VARIABLES,
    FOREIGN_VARIABLES,
    GLOBAL_VARIABLES,
)

FOLLOWING = PROGRAMS / "following.py"
INLINE = re.compile(r"`(datalayer [^`]+)`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#]+)(?:#[^)]*)?\)")
NOT_RUN = {
    "README.md": 5,
    "backups.md": 1,
    "engine.md": 2,
    "flask.md": 2,
    "from-connect.md": 1,
    "health.md": 3,
    "installation.md": 2,
    "performance.md": 1,
    "routing.md": 1,
    "servers.md": 2,
    "testing.md": 8,
    "traces.md": 2,
}
"""How many blocks of a page nobody can run here; each has its reason before it."""
ERRORS_PAGE = DOCS / "errors.md"


def name_of(page: Path) -> str:
    return page.name


def to_follow(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.reason is None]


def commands_of(page: Path) -> Iterator[str]:
    for block in blocks_of(page):
        for line in block.commands:
            words = re.sub(r"^([A-Z0-9_]+=\S+ )*", "", line).partition(" | ")[0]
            if words.startswith("datalayer "):
                yield words
    yield from INLINE.findall(page.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reader() -> Iterator[subprocess.Popen[str]]:
    """A process that follows one page after the other."""
    with subprocess.Popen(
        [sys.executable, FOLLOWING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [page for page in PAGES if to_follow(page)], ids=name_of)
def test_a_page_can_be_followed(
    page: Path,
    reader: subprocess.Popen[str],
    mongod: EmbeddedMongo,
    database_name: str,
    tmp_path: Path,
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    assert reader.stdin is not None
    assert reader.stdout is not None
    question = [str(page), str(project), mongod.uri_for("DATABASE"), database_name]
    reader.stdin.write(json.dumps(question) + "\n")
    reader.stdin.flush()
    code, said = json.loads(reader.stdout.readline())
    assert code == 0, said


def test_few_blocks_are_not_run() -> None:
    counts = {page.name: len(blocks_of(page)) - len(to_follow(page)) for page in PAGES}
    assert {name: count for name, count in counts.items() if count} == NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_part_of_a_file_is_in_that_file(page: Path) -> None:
    for block in blocks_of(page):
        path = re.match(r"part of (\S+),", block.reason or "")
        if path is not None:
            assert block.text in (ROOT / path[1]).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [p for p in PAGES if list(commands_of(p))], ids=name_of)
def test_the_command_line_understands_every_command_shown(page: Path) -> None:
    parser = build_parser()
    for command in commands_of(page):
        parser.parse_args(shlex.split(command, comments=True)[1:])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_files_that_a_page_links_to_are_there(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_begins_with_the_demo_and_the_tests() -> None:
    blocks = blocks_of(ROOT / "README.md")
    assert [block.text for block in blocks[:2]] == ["./scripts/dev demo\n", "./scripts/dev test\n"]


def test_the_variables_named_in_the_pages_exist() -> None:
    names = {variable.name for variable in GLOBAL_VARIABLES} | set(FOREIGN_VARIABLES)
    names |= {OLDER_KEY, *FLAT_KEYS, "MONGODB_DATABASES"}  # of flask- and django-mongoengine
    names |= {"DATALAYER_SESSION_ALIAS", "DATALAYER_SESSION_COLLECTION"}  # Django's settings
    names |= {"DATALAYER_USER_DOCUMENT"}
    endings = "|".join(variable.name for variable in DATABASE_VARIABLES)
    for page in PAGES:
        for name in re.findall(
            r"\b(?:MONGODB|DATABASE1|DATALAYER)_[A-Z][A-Z0-9_]*", page.read_text()
        ):
            known = name in names or re.fullmatch(rf"(MONGODB|DATABASE1)_({endings})", name)
            assert known, f"{page.name} names {name}"


def test_no_diagram_asks_another_host_for_anything() -> None:
    for path in sorted(DOCS.rglob("diagrams/*.html")):
        assert "http" not in path.read_text(encoding="utf-8"), path.name


def test_the_architecture_page_names_every_folder_and_module() -> None:
    page = (ROOT / "docs" / "database-architecture-diagram.md").read_text(encoding="utf-8")
    package = ROOT / "datalayer"
    folders = {each.parent.name for each in package.glob("*/__init__.py")}
    modules = {each.name for each in package.glob("*.py") if not each.name.startswith("__")}
    assert set(re.findall(r"^\| `(\w+)/` \|", page, re.MULTILINE)) == folders
    assert set(re.findall(r"`(\w+\.py)`", page)) == modules


def test_the_troubleshooting_names_every_check_of_the_doctor() -> None:
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    rows = [f"| `{check.name}` | {check.title} |" for check in CHECKS.values()]
    assert [row for row in rows if row not in text] == []


def test_the_status_page_names_every_field() -> None:
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    fields = []
    for name, value in db.status()["default"].items():
        fields += [f"{name}.{inner}" for inner in value] if isinstance(value, dict) else [name]
    assert [field for field in fields if f"`{field}`" not in text] == []


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_ends_with_the_place_that_says_what_to_do(name: str) -> None:
    error = getattr(errors, name)("it rained")
    assert str(error) == f"it rained (see docs/errors.md#{name.lower()})"
    assert error.message == "it rained"
    assert f"\n## {name}\n" in ERRORS_PAGE.read_text(encoding="utf-8")


def test_an_error_of_an_application_ends_with_the_place_of_its_base() -> None:
    class LampError(errors.UnavailableError):
        pass

    assert str(LampError("dark")).endswith("(see docs/errors.md#unavailableerror)")


def test_a_list_of_problems_ends_with_the_place_on_a_line_of_its_own() -> None:
    lines = str(errors.ConfigurationError(["one", "two"])).splitlines()
    assert lines[-2:] == ["  - two", "(see docs/errors.md#configurationerror)"]


def test_every_message_of_an_error_has_its_line_on_the_page() -> None:
    sections = re.split(r"^## ", ERRORS_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    phrases = {
        name: [_pattern(each) for each in _first_cells(rest) if " " in each]
        for name, _, rest in (section.partition("\n") for section in sections)
    }
    untold = [
        f"{name}: {message}"
        for path in sorted((ROOT / "datalayer").rglob("*.py"))
        for name, message in _messages_of(path)
        if not any(phrase.search(message) for phrase in phrases[name])
    ]
    assert untold == []


def _first_cells(section: str) -> Iterator[str]:
    """What the tables of a section quote in their first column."""
    for cell in re.findall(r"^\| (.*?) \|", section, re.MULTILINE):
        yield from re.findall(r"`([^`]+)`", cell)


def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(".+?".join(map(re.escape, phrase.split("…"))))


def _messages_of(path: Path) -> Iterator[tuple[str, str]]:
    """The errors that a module raises with a text of its own, with `…` for what varies in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            text = "".join(_texts(node.args[0]))
            if node.func.id in errors.__all__ and text.strip("….: "):
                yield node.func.id, text


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        for part in node.values:
            yield part.value if isinstance(part, ast.Constant) else "…"
    elif isinstance(node, ast.BinOp):
        yield from (*_texts(node.left), *_texts(node.right))
    elif isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def test_the_page_on_the_part_in_c_names_each_of_its_files() -> None:
    page = (DOCS / "engine.md").read_text(encoding="utf-8")
    files = {path.name for path in (ROOT / "datalayer/documents/engine/_c").iterdir()}
    assert set(re.findall(r"^\| `(\w+\.[ch])` \|", page, re.MULTILINE)) == files
