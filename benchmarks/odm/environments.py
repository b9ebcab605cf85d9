"""The virtual environments of the libraries that don't go with datalayer's own packages."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

__all__ = ["PACKAGES", "python_for"]

# The others need what is installed here anyway.
PACKAGES = {
    "django": ("django-mongodb-backend==5.2.4",),
    "bunnet": ("bunnet==1.3.0",),
}


def python_for(library: str, directory: Path) -> Path:
    """The interpreter for a library: this one, or that of an environment in ``directory``, which
    is made if need be, with the driver of the same version.

    Raises:
        OSError, subprocess.CalledProcessError: when the environment can't be made.
    """
    if library not in PACKAGES:
        return Path(sys.executable)
    wanted = "\n".join((*PACKAGES[library], f"pymongo=={version('pymongo')}", sys.version))
    place = (directory / library).absolute()
    python, stamp = place / "bin" / "python", place / "packages.txt"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"making the environment {place}", file=sys.stderr)
        venv.EnvBuilder(with_pip=True, clear=True).create(place)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        packages = [*PACKAGES[library], f"pymongo=={version('pymongo')}"]
        subprocess.run([*install, *packages], check=True, env={**os.environ})
        stamp.write_text(wanted, encoding="utf-8")
    return python
