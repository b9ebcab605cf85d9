"""What do mypy and pyright say of files, both strict, and is it what the files say beside it?

A line of a file says what has to be found there: ``# is: str | None`` beside a ``reveal_type``,
``# error: some words`` beside what is wrong (words of mypy's message; ``# error: words || others``
where pyright uses others). Both checkers must find each of these, and nothing more.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paths import ROOT

_MYPY = """\
[mypy]
strict = true
show_error_codes = true
pretty = false
{plugins}
mypy_path = {roots}

[mypy-datalayer.*]
follow_imports = silent

[mypy-mongoengine.*]
ignore_missing_imports = true
"""
_PYRIGHT = {
    "typeCheckingMode": "strict",
    "pythonVersion": "3.11",
}
_SECONDS = 240
_KINDS = {"is": "type", "error": "error"}  # mypy before 2.0 would read `# type:` itself
_EXPECTED = re.compile(r"#\s(is|error):\s(.*?)\s*$")
_REVEALED = re.compile(r'(?:Revealed type is|Type of ".*" is) "(.*)"$', re.DOTALL)
_MYPY_LINE = re.compile(r"^(.*?\.py):(\d+): (error|note): (.*)$")
# A module in front of a name, and what only one of the two shows.
_MODULES = re.compile(r"\b(?:[a-z_][a-z_0-9]*\.)+(?=[A-Za-z_])")


@dataclass(frozen=True)
class Said:
    """What a checker says of a line: an error, or a type that it reveals."""

    file: Path
    line: int
    kind: str
    text: str


@dataclass(frozen=True)
class Expected:
    """What a file says of one of its lines."""

    line: int
    kind: str
    text: str


def mypy_says(
    files: Sequence[Path], folder: Path, *, root: Path | None = None, plugin: bool = False
) -> list[Said]:
    """What mypy finds in ``files``, which may import from ``root``; its configuration and cache
    lie in ``folder``.

    Raises:
        AssertionError: where it can't check at all.
    """
    config = folder / "mypy.ini"
    plugins = "plugins = datalayer.mypy_plugin\n" if plugin else ""
    config.write_text(
        _MYPY.format(plugins=plugins, roots=":".join(map(str, _roots(root)))), encoding="utf-8"
    )
    said = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--no-error-summary", "--no-color-output"),
            *("--config-file", str(config), "--cache-dir", str(folder / "cache")),
            *map(str, files),
        ],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        cwd=folder,
        check=False,
    )
    assert said.returncode in (0, 1), said.stdout + said.stderr
    assert said.stderr == ""
    found = []
    for each in said.stdout.splitlines():
        match = _MYPY_LINE.match(each)
        if match is not None:
            file, line, kind, text = match.groups()
            if kind == "error" or text.startswith("Revealed"):
                found.append(Said(folder / file, int(line), _kind(kind, text), text))
    return found


def why_no_pyright() -> str | None:
    """Why pyright can't be run here; ``None`` where it can, whatever it then says of files.

    The package gets pyright itself from npm at its first run. It tells its version only where
    it has that, and Node.js.
    """
    command = [sys.executable, "-m", "pyright", "--version"]
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return "pyright could not be fetched in time"
    if said.returncode == 0:
        return None
    lines = (said.stderr + said.stdout).strip().splitlines()
    return f"pyright can't be run: {lines[-1] if lines else said.returncode}"


def pyright_says(files: Sequence[Path], folder: Path, *, root: Path | None = None) -> list[Said]:
    """What pyright finds in ``files``, which may import from ``root``; its configuration lies in
    ``folder``.

    Raises:
        AssertionError: where it can't check at all.
    """
    config = folder / "pyrightconfig.json"
    rules = {
        **_PYRIGHT,
        "extraPaths": list(map(str, _roots(root))),
        "include": [os.path.relpath(each, folder) for each in files],
    }
    config.write_text(json.dumps(rules), encoding="utf-8")
    said = subprocess.run(
        [
            *(sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable),
            *("--project", str(config)),
        ],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        cwd=folder,
        check=False,
    )
    assert said.returncode in (0, 1), said.stdout + said.stderr
    return [
        Said(
            Path(each["file"]),
            each["range"]["start"]["line"] + 1,
            _kind(each["severity"], each["message"]),
            each["message"],
        )
        for each in json.loads(said.stdout)["generalDiagnostics"]
    ]


def _roots(root: Path | None) -> list[Path]:
    return [ROOT] if root is None else [ROOT, root]


def _kind(severity: str, text: str) -> str:
    return "type" if _REVEALED.match(text) else severity


def expected_in(file: Path) -> list[Expected]:
    """What the lines of a file say of themselves."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [
        Expected(number, _KINDS[match.group(1)], match.group(2))
        for number, line in enumerate(lines, 1)
        if (match := _EXPECTED.search(line)) is not None
    ]


def differences(file: Path, said: Sequence[Said], *, by: str) -> list[str]:
    """Where a checker and a file differ, as lines to be read."""
    found = [each for each in said if each.file.resolve() == file.resolve()]
    expected = {(each.line, each.kind): each.text for each in expected_in(file)}
    # What is wrong in one place makes several errors, of which one is the expected.
    met = {
        (each.line, each.kind)
        for each in found
        if _fits(each, expected.get((each.line, each.kind)), by)
    }
    problems = [
        f"{file.name}:{each.line}: {by} says {each.kind}: {each.text}"
        for each in found
        if (each.line, each.kind) not in met
    ]
    for line, kind in sorted(expected.keys() - met):
        problems.append(f"{file.name}:{line}: {by} doesn't find {kind}: {expected[line, kind]}")
    return problems


def _fits(said: Said, wanted: str | None, by: str) -> bool:
    if wanted is None:
        return False
    of_mypy, _, of_pyright = wanted.partition(" || ")
    wanted = of_pyright if of_pyright and by == "pyright" else of_mypy
    if said.kind == "type":
        revealed = _REVEALED.match(said.text)
        assert revealed is not None
        return _plain(revealed.group(1)) == _plain(wanted)
    return wanted in said.text


def _plain(text: str) -> str:
    """A type without modules, with the parts of a union in one order."""
    text = _MODULES.sub("", text).replace("?", "").replace("*", "")
    return " | ".join(sorted(_union(text)))


def _union(text: str) -> list[str]:
    parts, depth, part = [], 0, ""
    for sign in text:
        depth += (sign in "[(") - (sign in "])")
        if sign == "|" and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += sign
    return [*parts, part.strip()]
