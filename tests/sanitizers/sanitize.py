"""Runs the engine's tests with its part in C under AddressSanitizer and UBSan.

    python tests/sanitizers/sanitize.py [PYTEST-ARGUMENT ...]

Where none of them names a file or folder, the tests of the engine run.

What is tested is a copy of the package of this repository, with the part in C built by ``cc`` (or
``CC``) with the sanitizers. A finding ends the process that it is in, so that its test fails.
Leaks aren't looked for: the interpreter itself lets go of much only by ending. A test of its own
does that, without the sanitizers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = "datalayer/documents/engine"
LEAKS = "tests/documents/engine/test_loads_without_end.py"
FLAGS = (
    "-shared", "-fPIC", "-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror",
    "-Wno-unused-parameter", "-Wno-cast-function-type", "-Wno-missing-field-initializers",
    "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
)  # fmt: skip
CHECK = "from datalayer.documents.engine import core; print(core.__file__)"
SERVER = '#!/bin/sh\nunset LD_PRELOAD\nexec "{}" "$@"\n'


def main() -> int:
    """Build, make sure that it is what is imported, and run."""
    compiler = os.environ.get("CC", "cc")
    with tempfile.TemporaryDirectory(prefix="datalayer_sanitized_") as directory:
        home = Path(directory)
        ignored = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(ROOT / "datalayer", home / "datalayer", ignore=ignored)
        built = home / f"{ENGINE}/_core{sysconfig.get_config_var('EXT_SUFFIX')}"
        include = f"-I{sysconfig.get_path('include')}"
        sources = map(str, sorted((ROOT / ENGINE / "_c").glob("*.c")))
        command = [compiler, *FLAGS, include, *sources, "-o", str(built)]
        subprocess.run(command, check=True, timeout=300)
        environment = sanitized(home, compiler)
        imported = subprocess.run(
            [sys.executable, "-c", CHECK], env=environment, cwd=home, check=True,
            timeout=120, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        if imported != str(built):
            print(f"{imported} would be tested instead of {built}")
            return 2
        words = sys.argv[1:]
        if not any((ROOT / word.partition("::")[0]).exists() for word in words):
            words += ["tests/documents/engine", f"--ignore={LEAKS}"]
        command = [sys.executable, "-P", "-m", "pytest", "--timeout=600", *words]
        return subprocess.run(command, check=False, env=environment, cwd=ROOT).returncode


def sanitized(home: Path, compiler: str) -> dict[str, str]:
    """The environment in which ``home`` is imported, with the sanitizers' runtime before all."""
    environment = {**os.environ, "PYTHONPATH": str(home), "PYTHONMALLOC": "malloc"}
    environment.pop("DATALAYER_PURE_PYTHON", None)
    environment["DATALAYER_MONGOD"] = str(plain_server(home))
    environment["LD_PRELOAD"] = runtime_of(compiler)
    environment["ASAN_OPTIONS"] = "detect_leaks=0:abort_on_error=1"
    environment["UBSAN_OPTIONS"] = "print_stacktrace=1"
    return environment


def runtime_of(compiler: str) -> str:
    """Where the sanitizers' runtime lies; only GCC has it as a library to load before all."""
    command = [compiler, "-print-file-name=libasan.so"]
    found = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    if not Path(found.stdout.strip()).is_absolute():
        raise SystemExit(f"{compiler} has no libasan.so: use GCC (CC=gcc), with libasan installed")
    return found.stdout.strip()


def plain_server(home: Path) -> Path:
    """A ``mongod`` that runs without the runtime: it has an allocator of its own."""
    from datalayer.embedded.binary import find_mongod

    program = home / "mongod"
    program.write_text(SERVER.format(find_mongod()))
    program.chmod(0o755)
    return program


if __name__ == "__main__":
    raise SystemExit(main())
