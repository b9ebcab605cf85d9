"""The Python on the pages of the documentation has no error for mypy and pyright, both strict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from checkers import Said, mypy_says, pyright_says
from pages import PAGES, Block, blocks_of

pytestmark = pytest.mark.applications

# What libraries lack themselves, said where they are imported; users configure it by library.
_UNTYPED = re.compile(
    r"(Stub file not found|Skipping analyzing|Library stubs not installed).* "
    r'"(celery|flask_admin|gevent|mongoengine|wtforms)[".]'
)
# Pages that a checker still finds something on: what libraries lack types for, fragments, and the
# mistakes that the page on types shows. The list only gets shorter.
NOT_YET = {
    "django",  # completes files that `startproject` has made
    "from-django-mongoengine",
    "documents",
    "from-connect",
    "from-flask-mongoengine",
    "traces",
    "types",
    "wsgi-servers",
}
GUNICORN = "gunicorn.conf.py"
"""Run by gunicorn, which has no types, and takes names from it that nothing in it uses."""
STRICT = [
    page
    for page in PAGES
    if page.stem not in NOT_YET and any(block.language == "python" for block in blocks_of(page))
]


def written(page: Path, folder: Path) -> list[Path]:
    """The files that a page gives, and what it types besides as one module with the page's line
    numbers, written into ``folder``. What is part of a file is checked in that file."""
    texts: dict[str, str] = {}
    for block in blocks_of(page):
        is_elsewhere = block.file == GUNICORN or (block.reason or "").startswith("part of ")
        if block.language == "python" and not is_elsewhere:
            name = block.file or f"page_{page.stem.replace('-', '_')}.py"
            if block.file and not block.is_added and name in texts:  # the page writes it anew
                texts[name.replace(".py", f"_before_{block.line}.py")] = texts.pop(name)
            texts[name] = _with(texts.get(name, ""), block)
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        if file.parent != folder:
            (file.parent / "__init__.py").touch()
    return [folder / name for name in texts]


def _with(text: str, block: Block) -> str:
    return text + "\n" * (block.line - text.count("\n")) + block.text


@pytest.fixture(scope="module")
def said_of(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[str]]:
    """What both checkers say of each page: pages of one module are checked in one run."""
    folder = tmp_path_factory.mktemp("pages")
    files = {page: written(page, folder / page.stem) for page in STRICT}
    alone = [each for each in STRICT if files[each][0].name.startswith("page_")]
    alone = [each for each in alone if len(files[each]) == 1]
    runs = [(None, [files[each][0] for each in alone])]
    runs += [(folder / each.stem, files[each]) for each in STRICT if each not in alone]
    said: list[Said] = []
    for root, checked in runs:
        said += mypy_says(checked, folder, root=root, plugin=True)
        said += pyright_says(checked, folder, root=root)
    return {page: _lines(said, folder / page.stem) for page in STRICT}


def _lines(said: Sequence[Said], folder: Path) -> list[str]:
    return [
        f"{each.file.name}:{each.line}: {each.text}"
        for each in said
        if each.file.is_relative_to(folder) and not _UNTYPED.match(each.text)
    ]


@pytest.mark.parametrize("page", STRICT, ids=lambda page: page.stem)
def test_a_page_has_no_error(page: Path, said_of: dict[Path, list[str]]) -> None:
    assert said_of[page] == []


@pytest.mark.parametrize("page", STRICT, ids=lambda page: page.stem)
def test_a_page_ignores_nothing(page: Path) -> None:
    assert [block.line for block in blocks_of(page) if "type: ignore" in block.text] == []
