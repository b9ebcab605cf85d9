"""Is ``import datalayer`` ours? Another project on the package index has that name, and where both
are installed, the one that came last has replaced files of the other."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from types import ModuleType

from datalayer.doctor.findings import Remark, error, warning
from datalayer.errors import DataLayerError

_OURS = "mongoengine-datalayer"


def judge_installation(
    package: ModuleType | None = None, installed: Iterable[Distribution] | None = None
) -> Iterator[Remark]:
    """What stands where our package should, and who else has files in it.

    ``package`` is what ``import datalayer`` gave, ``installed`` what is installed; by default
    those of this process.
    """
    package = sys.modules["datalayer"] if package is None else package
    others = sorted(_others(distributions() if installed is None else installed))
    named = " and ".join(others)
    if getattr(package, "DataLayerError", None) is not DataLayerError:
        file = getattr(package, "__file__", None)
        yield error(
            f"`import datalayer` gives {file}, a file of another project ({named or 'not listed'})"
            if file
            else "datalayer/__init__.py is gone, as after removing another project's `datalayer`",
            _advice(others),
        )
    elif others:
        yield warning(
            f"{named} has files in the package `datalayer` too; removing or updating it takes "
            f"away those of {_OURS}",
            _advice(others),
        )


def _others(installed: Iterable[Distribution]) -> set[str]:
    found = set()
    for each in installed:
        # Only what an installer has put there: the metadata of a checkout list no such files.
        record = each.read_text("RECORD") or ""
        if re.search(r"^datalayer/", record, re.MULTILINE):
            name = each.metadata["Name"]
            if re.sub(r"[-_.]+", "-", name).lower() != _OURS:
                found.add(f"{name} {each.version}")
    return found


def _advice(others: list[str]) -> str:
    names = " ".join(each.partition(" ")[0] for each in others)
    removed = f"pip uninstall {names}, then " if names else ""
    return (
        f"{removed}pip install --force-reinstall --no-deps {_OURS}; who needs both takes a "
        "virtual environment for each"
    )
