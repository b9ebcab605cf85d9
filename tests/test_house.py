"""How wide the package's folders are, and that each tells what is in it: a reader looks for the
right file in a list that can be seen at once."""

from __future__ import annotations

import ast
from collections import Counter

from imports import modules
from paths import PACKAGE

MOST_AT_THE_TOP = 17
MOST_SIDE_BY_SIDE = 12
COMMANDS = PACKAGE / "contrib" / "django" / "management" / "commands"  # Django wants them there
USED_BY_APPLICATIONS = {PACKAGE, PACKAGE / "contrib"}
FACES = [path for path in modules() if path.name == "__init__.py"]
OTHERS = [path for path in modules() if path.name != "__init__.py"]


def test_no_folder_has_more_files_than_one_looks_through() -> None:
    files = Counter(path.parent for path in OTHERS)
    most = {PACKAGE: MOST_AT_THE_TOP, COMMANDS: files[COMMANDS]}
    wide = {folder for folder in files if files[folder] > most.get(folder, MOST_SIDE_BY_SIDE)}
    assert wide == set()


def test_each_folder_tells_what_is_in_it() -> None:
    assert {path.parent for path in OTHERS} <= {face.parent for face in FACES}
    silent = [face for face in FACES if not ast.get_docstring(ast.parse(face.read_text()))]
    assert silent == []


def test_only_what_applications_import_lists_its_names() -> None:
    lists = [path for path in OTHERS if "\n__all__ = " in path.read_text()]
    assert [path for path in lists if path.parent not in USED_BY_APPLICATIONS] == []
