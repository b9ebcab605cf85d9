"""The pictures of the pages: there, small, and made by the script that takes them again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import PAGES
from paths import DOCS, ROOT

PICTURES = DOCS / "pictures"
MOST_BYTES = 150_000


def shown() -> dict[Path, str]:
    """Each picture that a page shows, with what stands there for those who can't see it."""
    return {
        (page.parent / target).resolve(): words
        for page in PAGES
        for words, target in re.findall(
            r"!\[([^\]]*)\]\(([^)]*pictures/[^)]+)\)", page.read_text()
        )
    }


def test_each_picture_is_shown_and_each_that_is_shown_is_there() -> None:
    assert set(shown()) == set(PICTURES.iterdir())


def test_each_picture_is_described() -> None:
    assert [path.name for path, words in shown().items() if len(words) < 10] == []


@pytest.mark.parametrize("path", sorted(PICTURES.iterdir()), ids=lambda path: path.name)
def test_a_picture_is_small_and_refers_to_nothing_elsewhere(path: Path) -> None:
    data = path.read_bytes()
    assert len(data) < MOST_BYTES
    if path.suffix == ".svg":
        assert re.findall(rb"(?:href|src|url)[=(][\"']?https?:[^\"')]*", data) == []
        assert b"@font-face" not in data


def test_the_script_takes_each_of_them() -> None:
    script = (ROOT / "scripts" / "pictures.py").read_text()
    assert [path.stem for path in PICTURES.iterdir() if f"{path.stem}" not in script] == []
