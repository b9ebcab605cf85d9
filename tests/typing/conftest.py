"""One run of each checker over the whole corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from checkers import Said, mypy_says, pyright_says, why_no_pyright

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.py"))
PLAIN = [each for each in CORPUS if not each.name.startswith("plugin_")]


@pytest.fixture(scope="session")
def said_by(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Said]]:
    """What ``mypy``, ``mypy with the plugin`` and ``pyright`` say, each run once."""
    runs = {
        "mypy": lambda folder: mypy_says(PLAIN, folder),
        "pyright": lambda folder: pyright_says(PLAIN, folder),
    }
    known: dict[str, list[Said]] = {}

    def said(by: str) -> list[Said]:
        if by not in known:
            if by == "pyright" and (reason := why_no_pyright()) is not None:
                pytest.skip(reason)
            known[by] = runs[by](tmp_path_factory.mktemp(by))
        return known[by]

    return said
