"""The README and the pages of `docs/`: their examples run, their commands are understood, and
what they refer to is there."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fresh_databases import model_registry

from datalayer import db
from datalayer.cli.parser import build_parser
from datalayer.contrib.flask.mongodb_settings import FLAT_KEYS, OLDER_KEY
from datalayer.doctor import CHECKS
from datalayer.embedded import EmbeddedMongo
from datalayer.models import AnalyticsEvent
from datalayer.settings.variables import (
    DATABASE_VARIABLES,
    FOREIGN_VARIABLES,
    GLOBAL_VARIABLES,
)

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]+) -->\n\n?)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
INLINE = re.compile(r"`(datalayer [^`]+)`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#]+)(?:#[^)]*)?\)")


class Block(NamedTuple):
    language: str
    text: str
    line: int
    reason: str | None


def blocks_of(page: Path, language: str) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = [
        Block(m["language"], m["text"], text.count("\n", 0, m.start("text")), m["reason"])
        for m in BLOCK.finditer(text)
    ]
    return [block for block in found if block.language == language]


def name_of(page: Path) -> str:
    return page.name


def commands_of(page: Path) -> Iterator[str]:
    for language in ("sh", "console"):
        for block in blocks_of(page, language):
            for line in block.text.splitlines():
                words = re.sub(r"^(\$ )?([A-Z0-9_]+=\S+ )*", "", line).partition(" | ")[0]
                if words.startswith("datalayer "):
                    yield words
    yield from INLINE.findall(page.read_text(encoding="utf-8"))


@pytest.fixture
def environment(
    mongod: EmbeddedMongo, database_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The two variables of a user's environment, on the test server, and no other of ours."""
    for name in os.environ:
        if name.startswith(("MONGODB_", "DATABASE1_", "DATALAYER_")) and name not in (
            "DATALAYER_MONGOD",
            "DATALAYER_TEST_DATA",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MONGODB_URI", mongod.uri_for(database_name))
    monkeypatch.setenv("DATABASE1_URI", mongod.uri_for(f"{database_name}_analytics"))
    monkeypatch.chdir(tmp_path)
    # A reader's process registers it where the page imports it.
    with model_registry(AnalyticsEvent):
        yield
        db.disconnect_all()


@pytest.mark.parametrize("page", [p for p in PAGES if blocks_of(p, "python")], ids=name_of)
def test_the_examples_of_a_page_run_in_order(page: Path, environment: None) -> None:
    namespace: dict[str, Any] = {"__name__": f"examples_of_{page.stem}"}
    for block in blocks_of(page, "python"):
        if block.reason is None:
            # Empty lines in front, so that a traceback tells the line of the page.
            exec(compile("\n" * block.line + block.text, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_an_example_that_does_not_run_is_part_of_a_file_that_is_there(page: Path) -> None:
    for block in blocks_of(page, "python"):
        if block.reason is not None:
            path = re.match(r"part of (\S+),", block.reason)
            assert path is not None, f"{page.name}:{block.line} says no file: {block.reason}"
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
    blocks = blocks_of(ROOT / "README.md", "sh")
    assert [block.text for block in blocks[:2]] == ["./scripts/dev demo\n", "./scripts/dev test\n"]


def test_the_variables_named_in_the_pages_exist() -> None:
    names = {variable.name for variable in GLOBAL_VARIABLES} | set(FOREIGN_VARIABLES)
    names |= {OLDER_KEY, *FLAT_KEYS, "MONGODB_DATABASES"}  # of flask- and django-mongoengine
    endings = "|".join(variable.name for variable in DATABASE_VARIABLES)
    for page in PAGES:
        for name in re.findall(
            r"\b(?:MONGODB|DATABASE1|DATALAYER)_[A-Z][A-Z0-9_]*", page.read_text()
        ):
            known = name in names or re.fullmatch(rf"(MONGODB|DATABASE1)_({endings})", name)
            assert known, f"{page.name} names {name}"


def test_no_diagram_asks_another_host_for_anything() -> None:
    for path in sorted((ROOT / "docs").rglob("diagrams/*.html")):
        assert "http" not in path.read_text(encoding="utf-8"), path.name


def test_the_troubleshooting_names_every_check_of_the_doctor() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = [f"| `{check.name}` | {check.title} |" for check in CHECKS.values()]
    assert [row for row in rows if row not in text] == []


def test_the_status_page_names_every_field() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    fields = []
    for name, value in db.status()["default"].items():
        fields += [f"{name}.{inner}" for inner in value] if isinstance(value, dict) else [name]
    assert [field for field in fields if f"`{field}`" not in text] == []
