"""The part in C is built of all its files: one that is left out leaves a library that can't be
loaded, and the documents without it."""

from __future__ import annotations

import tomllib

from paths import PACKAGE, ROOT


def test_every_file_of_the_part_in_c_is_built() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (extension,) = settings["tool"]["setuptools"]["ext-modules"]
    files = (PACKAGE / "documents" / "engine" / "_c").glob("*.[ch]")
    there = {path.relative_to(ROOT).as_posix() for path in files}
    assert {*extension["sources"], *extension["depends"]} == there
