"""Which line of the application wanted what is done just now."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import blinker
import flask
import jinja2
import werkzeug

from datalayer.monitoring.leaks import LIBRARIES

_INSTALLED = tuple(
    os.path.join(sysconfig.get_path(kind), "")
    for kind in ("purelib", "platlib", "stdlib", "platstdlib")
)
"""Where packages are installed, and Python's own."""
_FRAMEWORK = tuple(
    os.path.join(folder, "")
    for package in (blinker, flask, jinja2, werkzeug)
    for folder in package.__path__
)
"""Who calls everything else: it tells nothing."""


class Caller(NamedTuple):
    """A line of source."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{_from_here(self.file)}:{self.line}" if self.line else self.file


NOBODY = Caller("outside the application", 0, "")
"""As the first request's connecting."""


def caller(outermost: object) -> Caller:
    """The innermost line of the application's own code, at most as far out as a function with the
    code ``outermost``; of a template its line.

    Where there is none, that of a package that the application uses, else ``NOBODY``.
    """
    frame: FrameType | None = sys._getframe(1)
    nearest: FrameType | None = None
    while frame is not None and frame.f_code is not outermost:
        file = frame.f_code.co_filename
        if not file.startswith(LIBRARIES):
            template = frame.f_globals.get("__jinja_template__")
            if template is not None:
                line = template.get_corresponding_lineno(frame.f_lineno)
                return Caller(template.filename or template.name or file, line, "template")
            if not file.startswith((*_INSTALLED, "<")):
                return _of(frame)
            if not file.startswith((*_FRAMEWORK, "<")):
                nearest = nearest or frame
        frame = frame.f_back
    return NOBODY if nearest is None else _of(nearest)


def _of(frame: FrameType) -> Caller:
    code = frame.f_code
    return Caller(code.co_filename, frame.f_lineno, code.co_qualname)


def _from_here(file: str) -> str:
    """The path from the working directory, where the file is in it."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file
