"""The file `.env`, as editors and shells of all systems write it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datalayer.errors import ConfigurationError
from datalayer.settings import Settings

BUSINESS = "mongodb://localhost/shop"
ANALYTICS = "mongodb://stats.example.com/stats?tls=true"
SECRET = "Zq7XwKv93Jp"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory of the test's own, and none of our variables in the environment."""
    for name in list(os.environ):
        if name.startswith(("MONGO", "DATABASE", "DATALAYER_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(contents: str | bytes) -> Settings:
    raw = contents.encode() if isinstance(contents, str) else contents
    Path(".env").write_bytes(raw)
    return Settings.from_env()


def problems(contents: str | bytes) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        read(contents)
    assert SECRET not in str(caught.value)
    return caught.value.problems


FORMS = {
    "plain": "{name}={value}",
    "byte-order mark": "\ufeff{name}={value}",
    "byte-order mark in the middle": "X=1\n\ufeff{name}={value}",
    "export": "export {name}={value}",
    "export with a tab": "export\t{name}={value}",
    "export with several blanks": "export \t {name}={value}",
    "export behind a mark": "\ufeffexport {name}={value}",
    "blanks": "  {name}  =  {value}  ",
    "tabs": "\t{name}\t=\t{value}\t",
    "no-break space": "\u00a0{name}\u00a0=\u00a0{value}",
    "double quotes": '{name}="{value}"',
    "single quotes": "{name} = '{value}'",
    "Windows line ends": "X=1\r\n{name}={value}\r",
    "old line ends": "X=1\r{name}={value}\rY=2",
    "behind a comment": "# {name}=other\n{name}={value}",
    "behind an indented comment": "  # {name}=other\n\n{name}={value}",
    "behind a line of nothing": "nothing\n{name}={value}",
    "the last counts": "{name}=1\nexport {name}=2\n{name}={value}",
    "the last counts, exported": "export {name}=1\n{name}=2\nexport {name}={value}",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    ("name", "value"), [("DATABASE1_URI", ANALYTICS), ("DATABASE1_MAX_POOL_SIZE", "37")]
)
def test_a_line_sets_its_variable(form: str, name: str, value: str) -> None:
    settings = read(f"{form.format(name=name, value=value)}\nMONGODB_URI={BUSINESS}\n")
    (row,) = (row for row in settings.rows if row.variable == name)
    assert (row.value, row.source) == (value, ".env")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_a_file_in_another_encoding_is_refused(encoding: str, folder: Path) -> None:
    contents = f"MONGODB_URI={BUSINESS}\nNAME=é\n".encode(encoding)
    assert problems(contents)[0] == (
        f"the file {folder / '.env'} can't be read; it must be readable UTF-8 text"
    )


@pytest.mark.parametrize(
    "line",
    [
        f"DATABASE1_URI mongodb://u:{SECRET}@stats.example.com/stats",
        f"DATABASE1_URI: mongodb://u:{SECRET}@stats.example.com/stats",
        f"DATABASE1_URI: mongodb://u:{SECRET}@stats.example.com/stats?tls=true",
        f"DATABASE1_URI:=mongodb://u:{SECRET}@stats.example.com/stats",
        f"set DATABASE1_URI=mongodb://u:{SECRET}@stats.example.com/stats",
        f'$env:DATABASE1_URI="mongodb://u:{SECRET}@stats.example.com/stats"',
        f"- DATABASE1_URI=mongodb://u:{SECRET}@stats.example.com/stats",
        f"\u200bDATABASE1_URI=mongodb://u:{SECRET}@stats.example.com/stats",
        "DATABASE1_URI",
    ],
)
def test_a_line_that_names_a_variable_and_sets_none_is_a_problem(line: str, folder: Path) -> None:
    assert problems(f"MONGODB_URI={BUSINESS}\n\n{line}\n") == (
        f"line 3 of {folder / '.env'} names DATABASE1_URI and does not set it; "
        "write DATABASE1_URI=value",
    )


@pytest.mark.parametrize(
    "line", ["OTHER", "OTHER: value", "see MONGODB and DATABASE1_URI of the wiki", "'", "=", "é ü"]
)
def test_lines_of_other_programs_are_theirs(line: str) -> None:
    settings = read(f"{line}\nMONGODB_URI={BUSINESS}\n")
    assert settings.warnings == ()


def test_a_variable_on_several_lines_is_told(folder: Path) -> None:
    settings = read(
        f"MONGODB_URI=mongodb://localhost/a\nX=1\nX=2\nexport MONGODB_URI={BUSINESS}\n"
    )
    assert settings.warnings == (
        f"MONGODB_URI is set on the lines 1, 4 of {folder / '.env'}; the last one counts, "
        "remove the others",
    )


def test_the_variables_of_a_further_database_are_known_too(folder: Path) -> None:
    lines = f"MONGODB_URI={BUSINESS}\nDATALAYER_ALIASES=archive\nARCHIVE_URI={BUSINESS}\n"
    assert read(f"{lines}ARCHIVE_URI={BUSINESS}\nSTATS_URI: x\n").warnings == (
        f"ARCHIVE_URI is set on the lines 3, 4 of {folder / '.env'}; the last one counts, "
        "remove the others",
    )
    (problem,) = problems(f"{lines}ARCHIVE_SLOW_MS: 3\n")
    assert problem.startswith(f"line 4 of {folder / '.env'} names ARCHIVE_SLOW_MS")


@pytest.mark.parametrize("value", ["/tmp/spool # on disk", '"/tmp/spool" # on disk'])
def test_a_comment_behind_a_path_is_not_a_part_of_it(value: str) -> None:
    problem, *_ = problems(
        f"MONGODB_URI={BUSINESS}\nDATALAYER_RECORDER_POLICY=spool\n"
        f"DATALAYER_RECORDER_SPOOL_DIRECTORY={value}\n"
    )
    assert problem.startswith("DATALAYER_RECORDER_SPOOL_DIRECTORY must be the path of a directory")
