"""Runs MongoEngine's own test suite without and with the engine, and compares test by test.

    python tests/compatibility/compare.py [--source DIRECTORY] [PYTEST-ARGUMENT ...]

DIRECTORY holds MongoEngine's repository at the installed version; without it, it is cloned from
GitHub. (The source distribution on the package index lacks most of the tests.) Exit code 1 where
a test ends in another way with the engine than without.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import mongoengine

HERE = Path(__file__).parent
VERSION = ".".join(map(str, mongoengine.VERSION))
REPOSITORY = "https://github.com/MongoEngine/mongoengine"
# Not the installed package's affair: these look at the repository's own papers.
LEFT_OUT = ("--ignore=tests/test_changelog_consistency.py",)


def main() -> int:
    """Run, compare, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="MongoEngine's repository")
    options, words = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as directory:
        source = options.source or cloned(Path(directory) / "mongoengine")
        stock = run(source, Path(directory) / "stock.xml", words, accelerated=False)
        fast = run(source, Path(directory) / "fast.xml", words, accelerated=True)
    differing = {name for name in stock.keys() | fast.keys() if stock.get(name) != fast.get(name)}
    for name in sorted(differing):
        print(f"{name}: {stock.get(name)} without the engine, {fast.get(name)} with it")
    for title, outcomes in (("without", stock), ("with", fast)):
        print(f"{title} the engine: {dict(Counter(outcomes.values()))}")
    return 1 if differing or not stock else 0


def cloned(target: Path) -> Path:
    """MongoEngine's repository at the installed version."""
    command = ["git", "clone", "--quiet", "--depth=1", f"--branch=v{VERSION}", REPOSITORY, target]
    subprocess.run(command, check=True, timeout=300)
    return target


def run(source: Path, report: Path, words: list[str], *, accelerated: bool) -> dict[str, str]:
    """The outcome of each test."""
    environment = {**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{source}"}
    environment.pop("ACCELERATE", None)
    if accelerated:
        environment["ACCELERATE"] = "1"
    command = [sys.executable, "-m", "pytest", "tests", "-q", "--override-ini=addopts="]
    command += ["-p", "on_embedded_server", "-p", "no:cacheprovider", "--tb=no"]
    command += [*LEFT_OUT, f"--junitxml={report}", *words]
    subprocess.run(command, cwd=source, env=environment, check=False, timeout=1800)
    return {f"{case.get('classname')}.{case.get('name')}": outcome(case) for case in cases(report)}


def cases(report: Path) -> list[ElementTree.Element]:
    """All tests of a report that pytest wrote just now."""
    return list(ElementTree.parse(report).iter("testcase"))


def outcome(case: ElementTree.Element) -> str:
    """How one test ended."""
    kinds = ("failure", "error", "skipped")
    return next((kind for kind in kinds if case.find(kind) is not None), "passed")


if __name__ == "__main__":
    sys.exit(main())
