"""The example applications have no error for mypy and pyright, both strict, and ignore nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from checkers import Said, mypy_says, pyright_says
from paths import ROOT

EXAMPLES = ROOT / "examples"


def files_of(name: str) -> list[Path]:
    return sorted(
        each
        for each in (EXAMPLES / name).rglob("*.py")
        if "tests" not in each.relative_to(EXAMPLES).parts
    )


@pytest.mark.parametrize("says", [mypy_says, pyright_says], ids=["mypy", "pyright"])
@pytest.mark.parametrize("name", ["django_app", "flask_app"])
def test_an_example_has_no_error(
    name: str, says: Callable[..., Sequence[Said]], tmp_path: Path
) -> None:
    assert list(says(files_of(name), tmp_path, root=EXAMPLES / name)) == []


@pytest.mark.parametrize("name", ["django_app", "flask_app"])
def test_an_example_ignores_nothing(name: str) -> None:
    ignoring = [each for each in files_of(name) if "type: ignore" in each.read_text("utf-8")]
    assert ignoring == []
