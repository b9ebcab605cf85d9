"""The name on the package index: another project has ours, so nothing may tell a reader, pip or
Python to look for it there."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest
from paths import ROOT

OLD = "data" + "layer"  # this file is among those that are read
ALONE = rf"(?<![\w./-]){OLD}"
ENDS = r"(?![\w./-])"
WRONG = re.compile(
    "|".join(
        (
            # an extra: a word in brackets, which no subscript in Python is
            rf"{ALONE}\[[a-z]+[],]",
            # pip install, uv add, a requirement in a file of them
            rf"\b(?:pip|pipx|uv|poetry|pdm|conda)\b[^`\n]*\b(?:install|add|download)\b[^`\n]*{ALONE}{ENDS}",
            rf"{ALONE}\s*(?:[=~><!]=|@ )",
            # what building and installing make
            rf"(?<![\w-]){OLD}(?:-[0-9*{{]\S*(?:whl|tar|dist-info)|\.egg-info)",
            # what asks for the distribution
            rf"""\b(?:version|metadata|distribution|requires|files)\(["']{OLD}["']\)""",
            rf"pypi\.org/\w+/{OLD}\b|\bpypi/\w+/{OLD}\b",
        )
    )
)


def test_no_file_asks_for_the_other_project() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    files = [ROOT / name for name in listed.decode().split("\0") if name]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        if path.is_file()
        for number, line in enumerate(path.read_text("utf-8", "ignore").splitlines(), 1)
        if OLD in line and WRONG.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "pip install 'NAME[flask]'",
        '    "NAME[demo,mongomock]",',
        "python -m pip install -U NAME",
        "uv add NAME",
        "uv pip install NAME==0.1.0",
        "NAME>=0.1",
        "dist/NAME-0.1.0-py3-none-any.whl",
        'f"NAME-{version}.dist-info"',
        "rm -rf NAME.egg-info",
        'importlib.metadata.version("NAME")',
        "https://pypi.org/project/NAME/",
        "https://img.shields.io/pypi/v/NAME.svg",
    ],
)
def test_such_a_line_would_be_found(line: str) -> None:
    assert WRONG.search(line.replace("NAME", OLD))
    assert not WRONG.search(line.replace("NAME", f"mongoengine-{OLD}"))
    assert not WRONG.search(line.replace("NAME", f"mongoengine_{OLD}"))


def test_the_distribution_and_its_extras_have_the_new_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "mongoengine-datalayer"
    own = {
        each.partition("[")[0]
        for needs in project["optional-dependencies"].values()
        for each in needs
        if OLD in each
    }
    assert own == {"mongoengine-datalayer"}
