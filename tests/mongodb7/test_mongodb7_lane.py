"""The lane on MongoDB 7.0, as far as it goes without Wine: what it calls, with which words."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import tomllib
from pathlib import Path

import on_mongodb7
import pytest
from paths import ROOT

SHOWING = '#!/bin/sh\nprintf "%s\\n" "$WINEPREFIX" "$@"\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What the lane prepares, with a Wine that shows what it is asked for."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    shutil.copy(on_mongodb7.HERE / "mongod", folder / "mongod")
    (folder / "wine").mkdir()
    wine = folder / "fake_wine"
    wine.write_text(SHOWING)
    wine.chmod(0o755)
    (folder / "where_wine_is").write_text(f"wine='{wine}'\n")
    return folder


def asked_for(place: Path, *words: str) -> list[str]:
    done = subprocess.run(
        [place / "mongod", *words], env={}, check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.splitlines()


def test_without_wine_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(on_mongodb7, "LOADERS", ("/nowhere/wine",))
    assert on_mongodb7.main([]) == 2
    assert "apt-get install --no-install-recommends wine wine64" in capsys.readouterr().err


def test_the_server_gets_paths_of_windows_and_no_option_that_it_lacks(place: Path) -> None:
    _, program, *words = asked_for(place, "--port", "1", "--nounixsocket", "--dbpath", "/a b/c")
    assert program == f"{place}/mongod.exe"
    assert words[:4] == ["--port", "1", "--dbpath", "Z:/a b/c"]
    assert words[4:] == ["--setParameter", "diagnosticDataCollectionEnabled=false"]


def test_wine_keeps_its_files_beside_the_server_whatever_the_environment(place: Path) -> None:
    prefix, *_ = asked_for(place)
    assert prefix == f"{place}/wine"


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"MONGOD7_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/datalayer-mongodb7")),
        ({}, Path.home() / ".cache" / "datalayer-mongodb7"),
    ],
    ids=["named", "of the desktop", "of the user"],
)
def test_everything_is_kept_outside_of_the_repository(
    environment: dict[str, str], folder: Path
) -> None:
    assert on_mongodb7.cache(environment) == folder


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        on_mongodb7.alone_in(tmp_path),
        pytest.raises(SystemExit, match="MONGOD7_CACHE"),
        on_mongodb7.alone_in(tmp_path),
    ):
        pass


def test_the_wheel_is_checked_against_its_hash() -> None:
    assert "--hash=sha256:" in (on_mongodb7.HERE / "requirements.txt").read_text()


def test_the_lane_leaves_out_markers_that_are_known() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    known = {marker.partition(":")[0] for marker in project["tool"]["pytest"]["markers"]}
    left_out = on_mongodb7.OPTIONS[on_mongodb7.OPTIONS.index("-m") + 1]
    assert left_out == "not stops_processes and not linux_server"
    assert {"stops_processes", "linux_server"} <= known


def test_tox_runs_it() -> None:
    lanes = configparser.ConfigParser(interpolation=None)
    lanes.read(ROOT / "tox.ini")
    assert "tests/mongodb7/on_mongodb7.py" in lanes["testenv:mongodb7"]["commands"]
