"""HTML that can't be broken by what it shows: every text is escaped unless it is ``Markup``."""

from __future__ import annotations

from html import escape
from typing import TypeAlias


class Markup(str):
    """Text that is HTML already. Made by ``element`` and ``joined`` only, and for constants."""

    __slots__ = ()


Content: TypeAlias = str | int | float | None
Value: TypeAlias = str | int | float | bool | None

_WITHOUT_END = frozenset({"br", "link", "meta"})


def element(name: str, /, *contents: Content, **attributes: Value) -> Markup:
    """An element of HTML or SVG.

    Attributes are written as Python allows: ``class_``, ``text_anchor``. One that is ``None`` or
    ``False`` is left out.
    """
    start = f"<{name}{''.join(_attribute(*each) for each in attributes.items())}>"
    end = "" if name in _WITHOUT_END else f"</{name}>"
    return Markup(f"{start}{joined(*contents)}{end}")


def joined(*contents: Content) -> Markup:
    """Contents one after the other; ``None`` is nothing."""
    return Markup("".join(_text(each) for each in contents if each is not None))


def _attribute(name: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    shown = name.rstrip("_").replace("_", "-")
    return f" {shown}" if value is True else f' {shown}="{_escaped(str(value))}"'


def _text(content: Content) -> str:
    return content if isinstance(content, Markup) else _escaped(str(content))


def _escaped(text: str) -> str:
    """Also without what UTF-8 and HTML can't hold: lone surrogates, and the character 0."""
    if not text.isprintable():
        text = text.encode(errors="replace").decode().replace("\0", "\ufffd")
    return escape(text)
