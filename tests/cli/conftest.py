"""Runs the command in process, with the servers that a new user may meet."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fresh_databases import model_registry
from running import Outcome, Run

from datalayer.cli import main
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings

OURS = ("MONGODB_", "DATABASE1_", "DATALAYER_ALIASES", "DATALAYER_PROFILE", "DATALAYER_REQUIRE")


@pytest.fixture(autouse=True)
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable, ``.env`` or model from elsewhere reaches the command."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with model_registry():
        yield


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """``--verbose`` configures logging for the whole process."""
    logger = logging.getLogger("datalayer")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_main(*words: str) -> Outcome:
        capsys.readouterr()
        code = main(words)
        return Outcome(code, *capsys.readouterr())

    return run_main


@pytest.fixture
def configured(
    mongod: EmbeddedMongo, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Two databases of the test's own on a real server, set in the environment."""
    monkeypatch.setenv("MONGODB_URI", mongod.uri_for(database_name))
    monkeypatch.setenv("DATABASE1_URI", mongod.uri_for(f"{database_name}_1"))
    return Settings.from_env()
