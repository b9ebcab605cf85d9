"""Modules that a command names are found in the working directory; what else lies there is not
taken for a part of Python or of an installed package, during the command or after it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from running import Run, installed

from datalayer.errors import ConfigurationError
from datalayer.transfer.transform import function_of

BY_A_COMMAND = "a command's --models"
BY_A_TRANSFER = "a transfer's function"


@pytest.fixture(params=[BY_A_COMMAND, BY_A_TRANSFER])
def import_it(request: pytest.FixtureRequest, run: Run) -> Callable[[str], object]:
    """Has a module imported whose name came from outside; false where that failed."""

    def by_a_command(name: str) -> bool:
        return run("doctor", "--documents", "--models", name).code == 0

    def by_a_transfer(name: str) -> object:
        try:
            return function_of(f"{name}:changed")
        except ConfigurationError:
            return None

    return by_a_command if request.param == BY_A_COMMAND else by_a_transfer


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes a module into the working directory, which no test has imported yet."""

    def write_module(name: str, text: str = "def changed(document): return document\n") -> None:
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        for each in (name, name.partition(".")[0]):
            monkeypatch.setitem(sys.modules, each, ModuleType(each))  # so that it is put back
            del sys.modules[each]

    return write_module


def test_a_module_of_the_working_directory_can_be_named(
    import_it: Callable[[str], object], write: Callable[..., None]
) -> None:
    write("named_one")
    assert import_it("named_one")


def test_it_can_import_its_neighbours(
    import_it: Callable[[str], object], write: Callable[..., None]
) -> None:
    write("neighbour", "VALUE = 1\n")
    write("shop.models", "import neighbour\ndef changed(document): return document\n")
    assert import_it("shop.models")
    assert sys.modules["shop.models"].neighbour.VALUE == 1


def test_the_path_is_afterwards_what_it_was(
    import_it: Callable[[str], object], write: Callable[..., None]
) -> None:
    before = list(sys.path)
    write("named_two")
    write("broken", "raise RuntimeError\n")
    for name in ("named_two", "broken", "not_there"):
        import_it(name)
        assert sys.path == before


def test_a_later_import_does_not_look_there(
    import_it: Callable[[str], object], write: Callable[..., None]
) -> None:
    write("named_three")
    write("lies_there")
    import_it("named_three")
    with pytest.raises(ModuleNotFoundError):
        import_module("lies_there")


def test_a_file_there_does_not_replace_a_module_of_pythons_own(
    import_it: Callable[[str], object], write: Callable[..., None]
) -> None:
    write("colorsys", "raise RuntimeError('not the one of Python')\n")
    write("named_four", "import colorsys\ndef changed(document): return document\n")
    assert import_it("named_four")
    assert Path(sys.modules["colorsys"].__file__ or "").parent == Path(os.__file__).parent


def test_what_python_was_told_to_leave_out_of_its_path_stays_out(
    write: Callable[..., None], tmp_path: Path
) -> None:
    write("named_five")
    outcomes = []
    for safe in ("", "1"):
        environment = {**os.environ, "PYTHONSAFEPATH": safe}
        words = ("doctor", "--documents", "--models", "named_five")
        with installed(*words, cwd=tmp_path, env=environment) as process:
            process.communicate()
        outcomes.append(process.returncode)
    assert outcomes == [0, 2]
