"""mypy's plugin finds wrong names and types where users write them, and stays out of the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from checkers import Said, differences, expected_in, mypy_says
from mongoengine.base.common import UPDATE_OPERATORS
from mongoengine.queryset.transform import MATCH_OPERATORS

pytestmark = pytest.mark.applications

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(CORPUS.glob("*.py"))
OWN = [file for file in FILES if file.name.startswith("plugin_")]
MODELS = """\
from datalayer.documents import BusinessDocument, QuerySet
from datalayer.fields import IntField, StringField

class UserQuerySet(QuerySet["User"]):
    def adults(self) -> "UserQuerySet":
        return self.filter(age__gte=18)

class User(BusinessDocument):
    name = StringField(required=True)
    age = IntField()
    meta = {"queryset_class": UserQuerySet}
"""
USE = """\
from models import User

reveal_type(User.objects.adults().first())
User.objects(name="x").first()
User(name="x")
"""


class Run(NamedTuple):
    """A run over the corpus, and the folder with its cache."""

    said: list[Said]
    folder: Path


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("plugin")
    return Run(mypy_says(FILES, folder, plugin=True), folder)


@pytest.mark.parametrize("file", OWN, ids=lambda file: file.stem)
def test_the_plugin_finds_what_the_file_says_and_nothing_else(file: Path, run: Run) -> None:
    assert differences(file, run.said, by="mypy") == []


def test_the_plugin_finds_nothing_in_the_shops(run: Run) -> None:
    for name in ("shop.py", "plugin_shop.py"):
        assert expected_in(CORPUS / name) == []
        assert differences(CORPUS / name, run.said, by="mypy") == []


def test_a_second_run_from_the_cache_finds_the_same(run: Run) -> None:
    assert mypy_says(FILES, run.folder, plugin=True) == run.said


def test_a_field_that_is_renamed_in_one_file_is_missed_in_another(run: Run) -> None:
    models, use = run.folder / "models.py", run.folder / "use.py"
    models.write_text(MODELS)
    use.write_text(USE)
    (revealed,) = mypy_says([models, use], run.folder, plugin=True)
    assert revealed.text == 'Revealed type is "models.User | None"'
    models.write_text(MODELS.replace("name =", "title ="))
    said = mypy_says([models, use], run.folder, plugin=True)
    assert [each.line for each in said if "no field" in each.text] == [4, 5]


def test_the_plugin_knows_mongoengines_operators() -> None:
    pytest.importorskip("mypy", reason="the plugin is imported by mypy")
    from datalayer.mypy_plugin import keywords

    assert frozenset(MATCH_OPERATORS) - {"not"} == keywords.FILTERS
    assert frozenset(UPDATE_OPERATORS) == keywords.UPDATES


def test_datalayer_does_not_import_mypy() -> None:
    modules = "datalayer.db, datalayer.documents, datalayer.fields, datalayer.models"
    program = f"import sys, {modules}; print('mypy' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert said.stdout == "False\n"
