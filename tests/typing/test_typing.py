"""User code is understood by mypy and pyright, both strict, without a plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from checkers import Said, differences, expected_in

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(each for each in CORPUS.glob("*.py") if not each.name.startswith("plugin_"))


@pytest.mark.parametrize("by", ["mypy", "pyright"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_checker_finds_what_the_file_says_and_nothing_else(
    file: Path, by: str, said_by: Callable[[str], list[Said]]
) -> None:
    assert differences(file, said_by(by), by=by) == []


def test_nothing_in_the_corpus_is_ignored() -> None:
    assert [each.name for each in FILES if "ignore" in each.read_text(encoding="utf-8")] == []


def test_the_shop_has_no_error() -> None:
    assert expected_in(CORPUS / "shop.py") == []
