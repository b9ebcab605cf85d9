"""What ``doctor`` tells where another project's package ``datalayer`` is installed beside ours."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import PathDistribution
from pathlib import Path
from types import ModuleType

import pytest
from running_programs import python

import datalayer
from datalayer.doctor.judgements.installation import judge_installation

PACKAGE = Path(datalayer.__file__).parent
ADVICE = (
    "pip uninstall datalayer, then pip install --force-reinstall --no-deps mongoengine-datalayer; "
    "who needs both takes a virtual environment for each"
)


def distribution(place: Path, name: str, *files: str, record: str = "RECORD") -> PathDistribution:
    directory = place / f"{name}-1.7.7.dist-info"
    directory.mkdir()
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.7.7\n")
    (directory / record).write_text("".join(f"{each},,\n" for each in files))
    return PathDistribution(directory)


@pytest.fixture
def other(tmp_path: Path) -> PathDistribution:
    """The other project's distribution, as an installer leaves it."""
    return distribution(tmp_path, "datalayer", "datalayer/__init__.py")


def test_ours_alone_is_nothing_to_tell(tmp_path: Path) -> None:
    ours = distribution(tmp_path, "mongoengine_datalayer", "datalayer/__init__.py")
    neighbour = distribution(tmp_path, "neighbour", "datalayer_neighbour/__init__.py")
    assert list(judge_installation(datalayer, [ours, neighbour])) == []


def test_the_metadata_of_an_old_checkout_are_nothing_to_tell(tmp_path: Path) -> None:
    old = distribution(tmp_path, "datalayer", "datalayer/__init__.py", record="SOURCES.txt")
    assert list(judge_installation(datalayer, [old])) == []


def test_another_distribution_with_files_in_our_package_is_a_warning(
    other: PathDistribution,
) -> None:
    assert list(judge_installation(datalayer, [other])) == [
        (
            "warning",
            "datalayer 1.7.7 has files in the package `datalayer` too; removing or updating it "
            "takes away those of mongoengine-datalayer",
            ADVICE,
        )
    ]


def test_another_package_in_the_place_of_ours_is_an_error(other: PathDistribution) -> None:
    theirs = ModuleType("datalayer")
    theirs.__file__ = "/site-packages/datalayer/__init__.py"
    assert list(judge_installation(theirs, [other])) == [
        (
            "error",
            "`import datalayer` gives /site-packages/datalayer/__init__.py, a file of another "
            "project (datalayer 1.7.7)",
            ADVICE,
        )
    ]


def test_what_uninstalling_the_other_took_away_is_an_error() -> None:
    assert list(judge_installation(ModuleType("datalayer"), [])) == [
        (
            "error",
            "datalayer/__init__.py is gone, as after removing another project's `datalayer`",
            "pip install --force-reinstall --no-deps mongoengine-datalayer; who needs both takes "
            "a virtual environment for each",
        )
    ]


@pytest.mark.parametrize("theirs", ["contents = None\n", None], ids=["installed", "uninstalled"])
def test_the_command_runs_and_tells_of_it(tmp_path: Path, theirs: str | None) -> None:
    place = tmp_path / "datalayer"
    place.mkdir()
    for entry in PACKAGE.iterdir():
        if entry.name not in ("__init__.py", "__pycache__"):
            (place / entry.name).symlink_to(entry)
    if theirs is not None:
        (place / "__init__.py").write_text(theirs)
        distribution(tmp_path, "datalayer", "datalayer/__init__.py")
    # -S: an editable installation would be found before a package without __init__.py.
    paths = [str(tmp_path), *(each for each in sys.path if each.endswith("site-packages"))]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "MONGODB_URI": "mongomock://a"}
    words = ("-S", "-m", "datalayer", "doctor", "--json")
    done = python(*words, cwd=tmp_path, environment=environment)
    assert done.returncode == 3, done.stderr
    errors = [each for each in json.loads(done.stdout)["findings"] if each["severity"] == "error"]
    assert [(each["check"], each["alias"]) for each in errors] == [("settings", None)]
    assert "mongoengine-datalayer" in errors[0]["advice"]
    assert "another project" in errors[0]["saw"]
