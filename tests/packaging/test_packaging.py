"""The wheel and the source distribution, built and installed into environments of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from paths import PACKAGE, ROOT

import datalayer

SECONDS = 300.0
DIST_INFO = f"mongoengine_datalayer-{datalayer.__version__}.dist-info"
OPTIONAL = (
    "argon2", "celery", "django", "faker", "flask", "gunicorn", "mongomock", "opentelemetry",
    "prometheus_client", "pytest", "rich",
)  # fmt: skip
MODELS = """
from datalayer import BusinessDocument
from datalayer.fields import IntField, StringField

class User(BusinessDocument):
    email = StringField(required=True)
    age = IntField()

user = User.objects.get()
reveal_type(user.email)
reveal_type(user.age)
"""
REVEALED = ['"str"', '"int | None"']
FOR_PROMETHEUS = ("alerts.yml", "grafana-dashboard.json")
LOOK = f"""
import json, sys
import datalayer
from datalayer import db, BusinessDocument
import datalayer.models, datalayer.recorder, datalayer.transfer, datalayer.web
print(json.dumps({{
    "version": datalayer.__version__,
    "where": datalayer.__file__,
    "optional": [name for name in {OPTIONAL!r} if name in sys.modules],
}}))
"""

pytestmark = [pytest.mark.applications, pytest.mark.slow, pytest.mark.timeout(SECONDS)]


def run(*words: object, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as opened:
        return message_from_bytes(opened.read(f"{DIST_INFO}/METADATA"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Both distributions, of the files that are under version control or would be."""
    room = tmp_path_factory.mktemp("built")
    source = room / "source"
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    run(sys.executable, "-m", "build", "--outdir", room / "dist", source, cwd=room)
    yield {
        "wheel": next((room / "dist").glob("*.whl")),
        "sdist": next((room / "dist").glob("*.tar.gz")),
    }
    shutil.rmtree(room, ignore_errors=True)


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def python(
    request: pytest.FixtureRequest,
    built: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The Python of a clean environment with one of the two in it, and no extra."""
    room = tmp_path_factory.mktemp(request.param)
    run(sys.executable, "-m", "venv", room / "venv", cwd=room)
    python = room / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", built[request.param], cwd=room)
    return python


def test_it_can_be_imported_and_brings_no_optional_package(python: Path, tmp_path: Path) -> None:
    told = json.loads(run(python, "-c", LOOK, cwd=tmp_path))
    assert told["version"] == datalayer.__version__
    assert Path(told["where"]).is_relative_to(python.parents[1])
    assert told["optional"] == []


def revealed(python: Path, folder: Path) -> list[str]:
    """The types that mypy finds with the package as it is installed for ``python``."""
    (folder / "models.py").write_text(MODELS)
    options = ("--strict", "--config-file=", "--cache-dir", folder, "--python-executable", python)
    said = run(sys.executable, "-m", "mypy", *options, "models.py", cwd=folder)
    return [line.rpartition(" is ")[2] for line in said.splitlines() if "Revealed" in line]


def test_type_checkers_find_the_types_that_are_installed(python: Path, tmp_path: Path) -> None:
    assert revealed(python, tmp_path) == REVEALED


def test_type_checkers_find_the_types_of_an_editable_install(
    built: dict[str, Path], tmp_path: Path
) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    source = built["sdist"].parents[1] / "source"
    run(python, "-m", "pip", "install", "--quiet", "--editable", source, cwd=tmp_path)
    assert revealed(python, tmp_path) == REVEALED


def test_the_stubs_are_in_both_distributions(built: dict[str, Path]) -> None:
    stubs = {str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.pyi")}
    assert len(stubs) > 10
    with zipfile.ZipFile(built["wheel"]) as wheel:
        assert stubs - set(wheel.namelist()) == set()
    with tarfile.open(built["sdist"]) as sdist:
        assert stubs - {name.partition("/")[2] for name in sdist.getnames()} == set()


def test_the_command_is_there(python: Path, tmp_path: Path) -> None:
    said = run(python.with_name("datalayer"), "--version", cwd=tmp_path)
    assert said == f"{datalayer.__version__}\n"


@pytest.mark.parametrize(
    "integration", ["flask", "django", "celery", "prometheus", "opentelemetry"]
)
def test_an_integration_says_which_extra_it_needs(
    python: Path, tmp_path: Path, integration: str
) -> None:
    program = (
        "try:\n"
        f"    import datalayer.contrib.{integration}\n"
        "except ImportError as exc:\n"
        "    print(exc)\n"
    )
    said = run(python, "-c", program, cwd=tmp_path)
    assert f'pip install "mongoengine-datalayer[{integration}]"' in said


def test_the_wheel_holds_the_package_and_nothing_else(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"datalayer", DIST_INFO}
    assert "datalayer/py.typed" in names
    assert {f"datalayer/contrib/prometheus/{name}" for name in FOR_PROMETHEUS} <= set(names)
    assert "datalayer/contrib/django/management/commands/datalayer_status.py" in names
    assert any(name.startswith("datalayer/documents/engine/_core.") for name in names)


def test_the_wheel_names_itself_in_its_extras(built: dict[str, Path]) -> None:
    metadata = metadata_of(built["wheel"])
    assert metadata["Name"] == "mongoengine-datalayer"
    needed = [each for each in metadata.get_all("Requires-Dist", []) if "datalayer" in each]
    assert {each.partition("[")[0] for each in needed} == {"mongoengine-datalayer"}


def test_the_license_is_in_both_distributions(built: dict[str, Path]) -> None:
    license_text = (ROOT / "LICENSE").read_bytes()
    assert b"Apache License" in license_text
    metadata = metadata_of(built["wheel"])
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")
    with zipfile.ZipFile(built["wheel"]) as wheel:
        assert wheel.read(f"{DIST_INFO}/licenses/LICENSE") == license_text
    with tarfile.open(built["sdist"]) as sdist:
        (name,) = (each for each in sdist.getnames() if each.count("/") == 1 and "LICENSE" in each)
        held = sdist.extractfile(name)
        assert held is not None
        assert held.read() == license_text


def test_the_source_distribution_holds_what_building_needs(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    sources = (PACKAGE / "documents" / "engine" / "_c").glob("*.[ch]")
    part_in_c = {str(path.relative_to(ROOT)) for path in sources}
    assert len(part_in_c) > 10
    assert {"pyproject.toml", "README.md", "LICENSE", *part_in_c} - names == set()


def test_nothing_is_published_that_has_not_passed_and_been_installed() -> None:
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert "\n  check:\n    uses: ./.github/workflows/ci.yml\n" in release
    assert "\n    needs: [check, source, wheels]\n" in release
    tested = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "\n  workflow_call:" in tested
