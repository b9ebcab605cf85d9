"""How does a text fit the width of a terminal? What is too long is shortened where that hurts
least, or wrapped between words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from math import ceil

_PORT = re.compile(r":\d+$")
_WORD = re.compile(r"\S+\s*|\s+")
_SEAMS = re.compile(r"(?<=[/?&,;=@_])|(?<=\.)(?=[A-Za-z])")  # of URIs, hosts and long names


def width_of(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    return len(text) if text.isascii() else sum(map(_width_of_letter, text))


def padded(text: str, width: int, *, right: bool = False) -> str:
    """``text`` with blanks up to ``width``, before it where it is to stand to the ``right``."""
    blanks = " " * (width - width_of(text))
    return blanks + text if right else text + blanks


def clipped(text: str, width: int, ellipsis: str) -> str:
    """``text``, or as much of its beginning as ``width`` takes, with an ``ellipsis``."""
    if width_of(text) <= width:
        return text
    return _beginning(text, max(width - len(ellipsis), 0)) + ellipsis[:width]


def host_clipped(host: str, width: int, ellipsis: str) -> str:
    """``host``, or as much of it as ``width`` takes, with its port: two thirds of that from the
    beginning, where the members of a set differ, and the rest from the end of its name."""
    if width_of(host) <= width:
        return host
    port = _PORT.search(host)
    end = port[0] if port is not None else ""
    name, room = host.removesuffix(end), width - len(ellipsis) - len(end)
    if room < 1:
        return clipped(host, width, ellipsis)
    begins = ceil(room * 2 / 3)
    ends = _beginning(name[::-1], room - begins)[::-1]
    return _beginning(name, begins) + ellipsis + ends + end


def wrapped(text: str, width: int) -> list[str]:
    """``text`` in lines of ``width`` at most, broken between words. A word that is longer is
    broken where URIs and lists have their seams, and anywhere only where it has none."""
    lines, line = [], ""
    for piece in _pieces(text, width):
        if line and width_of((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
        while width_of(line.rstrip()) > width:
            first = _beginning(line, width) or line[0]
            lines.append(first)
            line = line.removeprefix(first)
    return [*lines, line.rstrip()] if line.rstrip() or not lines else lines


def wrapped_lines(text: str, width: int) -> str:
    """Each line of ``text`` wrapped, with its own indentation."""
    lines = []
    for line in text.split("\n"):
        indent = line[: len(line) - len(line.lstrip(" "))]
        told = wrapped(line.lstrip(" "), max(width - len(indent), 1))
        lines += [indent + part for part in told]
    return "\n".join(lines)


def shared_out(least: Sequence[int], wanted: Sequence[int], room: int) -> list[int]:
    """The widths of columns that together take ``room`` at most.

    Each has its ``least``, and what is left goes to the narrowest that want more. Where even the
    least is too much, the widest give way.
    """
    widths = list(least)
    while sum(widths) > max(room, len(widths)):
        widths[widths.index(max(widths))] -= 1
    left = room - sum(widths)
    while left > 0 and (eager := [at for at, w in enumerate(widths) if w < wanted[at]]):
        widths[min(eager, key=widths.__getitem__)] += 1
        left -= 1
    return widths


def _pieces(text: str, width: int) -> Iterator[str]:
    for word in _WORD.findall(text):
        if width_of(word.rstrip()) <= width:
            yield word
        else:
            yield from filter(None, _SEAMS.split(word))


def _beginning(text: str, width: int) -> str:
    """As many letters of ``text`` as ``width`` takes."""
    taken = 0
    for at, letter in enumerate(text):
        taken += _width_of_letter(letter)
        if taken > width:
            return text[:at]
    return text


def _width_of_letter(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
