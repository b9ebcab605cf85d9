"""Finding, numbering and importing the files of migrations, and what is said of those that are
not as they should be. No server is asked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from migration_files import Write

from datalayer.errors import ConfigurationError, MigrationError
from datalayer.migrations.definitions import Definition, define
from datalayer.migrations.files import File, find, place_of


def found(name: str = "migrations") -> tuple[File, ...]:
    return find(place_of(name))


def defined(name: str = "migrations") -> tuple[Definition, ...]:
    return define(found(name))


def refusal(name: str = "migrations") -> str:
    with pytest.raises(MigrationError) as caught:
        defined(name)
    return caught.value.message


def test_migrations_are_found_by_their_numbers(write: Write) -> None:
    for name in ("0002_more", "0001_first", "helpers", "__init__", "0003_last"):
        write(name)
    assert [each.name for each in found()] == ["0001_first", "0002_more", "0003_last"]


def test_the_checksum_is_the_same_whatever_the_ends_of_lines_are(write: Write) -> None:
    path = write("0001_first")
    before = found()[0].checksum
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert found()[0].checksum == before
    path.write_text(path.read_text(encoding="utf-8-sig") + "# more\n")
    assert found()[0].checksum != before


@pytest.mark.parametrize(
    "name", ["1_first", "001_first", "0001-first", "0001_First", "0000_first", "0001", "0001_"]
)
def test_a_name_that_is_none_of_a_migration_is_told(write: Write, name: str) -> None:
    write(name)
    assert f"'{name}.py' is no name of a migration" in refusal()


def test_two_of_one_number_are_told(write: Write) -> None:
    write("0001_mine")
    write("0001_yours")
    assert refusal().startswith("0001_mine and 0001_yours have the same number")


@pytest.mark.parametrize("names", [("0002_second",), ("0001_first", "0003_third")])
def test_a_gap_is_told(write: Write, names: tuple[str, ...]) -> None:
    for name in names:
        write(name)
    number = "0001" if len(names) == 1 else "0002"
    assert refusal().startswith(f"there is no migration {number}, but a {names[-1]}")


def test_a_folder_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="no package or folder of migrations"):
        found()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def apply(m:\n", "SyntaxError in line 1"),
        ("\nimport nowhere_to_be_found\n", "there is no module 'nowhere_to_be_found'"),
        ("x = 1\ny = x / 0\n", "ZeroDivisionError in line 2"),
        ("import sys\nsys.exit('secret')\n", "SystemExit in line 2"),
    ],
)
def test_a_file_that_does_not_import_is_told_with_its_line(
    write: Write, text: str, why: str
) -> None:
    path = write("0001_first", text)
    assert refusal() == f"0001_first can't be imported: {why}; correct {path}"


def test_a_file_that_is_no_text_is_told(write: Write) -> None:
    write("0001_first").write_bytes(b"\xff\xfe\x00")
    assert refusal().startswith("the migration 0001_first can't be read")


@pytest.mark.parametrize(
    "text", ["", "apply = 1\n", "def apply(m): pass\nundo = 1\n", "def apply(): pass\n"]
)
def test_a_file_without_its_functions_is_told(write: Write, text: str) -> None:
    write("0001_first", text)
    assert refusal().startswith("0001_first has no function apply(m)")


@pytest.mark.parametrize(
    "text", ["async def apply(m): pass\n", "def apply(m): pass\ndef undo(m): yield\n"]
)
def test_a_function_whose_body_runs_later_is_told(write: Write, text: str) -> None:
    write("0001_first", text)
    assert "of 0001_first is a generator or a coroutine function" in refusal()


@pytest.mark.parametrize("what", ["requires", "transaction"])
@pytest.mark.parametrize("value", ["'default'", "True", "(1,)"])
def test_names_that_are_no_tuple_are_told(write: Write, what: str, value: str) -> None:
    write("0001_first", f"{what} = {value}\ndef apply(m): pass\n")
    assert refusal().startswith(f"`{what}` of 0001_first is no tuple of names")


def test_a_migration_requires_the_one_before_unless_it_says_otherwise(write: Write) -> None:
    write("0001_first")
    write("0002_second")
    write("0003_third", "requires = ()\ndef apply(m): pass\n")
    assert [each.requires for each in defined()] == [(), ("0001_first",), ()]


def test_one_that_requires_a_later_one_comes_after_it(write: Write) -> None:
    write("0001_first", "requires = ('0002_second',)\ndef apply(m): pass\n")
    write("0002_second", "requires = ()\ndef apply(m): pass\n")
    assert [each.number for each in defined()] == [2, 1]


def test_a_requirement_that_is_not_there_is_told(write: Write) -> None:
    write("0001_first", "requires = ('0007_other',)\ndef apply(m): pass\n")
    assert refusal().startswith("0001_first requires '0007_other', and there is no such migration")


def test_a_circle_of_requirements_is_told(write: Write) -> None:
    write("0001_first", "requires = ('0002_second',)\ndef apply(m): pass\n")
    write("0002_second")
    assert refusal().startswith("0001_first, 0002_second require each other in a circle")


def test_files_of_a_package_import_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "lampshop" / "changes"
    package.mkdir(parents=True)
    (tmp_path / "lampshop" / "__init__.py").write_text("NAME = 'lamps'\n")
    (package / "helpers.py").write_text("from .. import NAME\n")
    (package / "0001_first.py").write_text(
        "from lampshop import NAME\nfrom .helpers import NAME as same\n"
        "assert NAME == same\ndef apply(m): pass\n"
    )
    try:
        assert [each.name for each in defined("lampshop.changes")] == ["0001_first"]
    finally:
        for name in [name for name in sys.modules if name.startswith("lampshop")]:
            del sys.modules[name]


def test_files_of_a_folder_import_what_lies_beside_them(write: Write) -> None:
    write("helpers", "FIELD = 'login'\n")
    write("0001_first", "from .helpers import FIELD\ndef apply(m): return FIELD\n")
    before = list(sys.path)
    assert defined("./migrations")[0].apply(None) == "login"
    assert sys.path == before


def test_an_installed_module_of_the_same_name_is_left_alone(write: Write) -> None:
    write("0001_first")
    defined()
    assert "migrations" not in sys.modules


def test_a_package_in_several_folders_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("one", "other"):
        (tmp_path / part / "lampstore" / "changes").mkdir(parents=True)
        monkeypatch.syspath_prepend(tmp_path / part)
    with pytest.raises(ConfigurationError, match="lies in several folders"):
        place_of("lampstore.changes")


def test_a_package_whose_parent_is_missing_is_told() -> None:
    with pytest.raises(ConfigurationError, match="there is no module 'nowhere_at_all'"):
        place_of("nowhere_at_all.migrations")


def test_an_edited_file_is_imported_anew(write: Write) -> None:
    write("0001_first", "def apply(m): return 1\n")
    assert defined()[0].apply(None) == 1
    write("0001_first", "def apply(m): return 2\n")
    assert defined()[0].apply(None) == 2
