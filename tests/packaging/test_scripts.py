"""``scripts/dev``, on a machine that lacks what it may install."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from paths import ROOT

TOOLS = ("dirname", "id", "mkdir", "touch")
PYTHON = """#!/bin/sh
[ "$2" = venv ] && mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
exit 0
"""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A clone whose machine has Python and a few tools; what would be installed is written down,
    and nothing is."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "dev", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    commands = tmp_path / "commands"
    commands.mkdir()
    for name in (*TOOLS, "cp", "sh"):
        found = shutil.which(name)
        assert found is not None
        (commands / name).symlink_to(found)
    for name, text in {
        "python3": PYTHON,
        "apt-get": f'#!/bin/sh\necho "$@" >>{tmp_path}/installed\n',
        "sudo": '#!/bin/sh\nexec "$@"\n',
    }.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    return tmp_path


def run(bare: Path, task: str) -> str:
    """What was asked of the system's packages."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHON"}
    subprocess.run(
        [bare / "scripts" / "dev", task],
        env=environment | {"PATH": str(bare / "commands")},
        check=True,
        timeout=60,
        capture_output=True,
    )
    noted = bare / "installed"
    return noted.read_text() if noted.exists() else ""


def environments(bare: Path) -> list[str]:
    """What was made ready."""
    return [path.name.removeprefix(".ready-") for path in (bare / ".venv").glob(".ready-*")]


@pytest.mark.parametrize("task", ["flask-example", "django-example"])
def test_an_example_installs_nothing_that_it_does_not_need(bare: Path, task: str) -> None:
    assert run(bare, task) == ""


def test_the_tests_install_the_browser_that_some_of_them_need(bare: Path) -> None:
    assert "chromium-driver" in run(bare, "test")


def test_an_environment_is_taken_for_no_other_one(bare: Path) -> None:
    run(bare, "flask-example")
    assert "dev" not in environments(bare)


def test_that_of_developers_holds_all_others(bare: Path) -> None:
    run(bare, "prepare")
    run(bare, "test")
    assert environments(bare) == ["dev"]


@pytest.mark.parametrize(
    "name",
    [".ci/run", "scripts/dev", "tox.ini", "README.md", "CONTRIBUTING.md", "docs/reliability.md"],
)
def test_the_tests_that_are_named_are_there(name: str) -> None:
    named = re.findall(r"(?<![\w/.-])tests/[\w/]+(?:\.py)?", (ROOT / name).read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []
