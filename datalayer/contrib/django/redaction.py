"""Keeps the passwords in the dict ``DATALAYER`` out of what Django shows of the settings: the
page that ``DEBUG`` gives, and the mails to ``ADMINS``. Django hides values by their names, and
knows none of a URI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datalayer.settings import redact

_HIDDEN = "***"


class _Concealed(str):
    """Text like any other, whose ``repr`` leaves out what is secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(redact(str(self)))


class _Secret(str):
    """Text like any other, whose ``repr`` leaves out all of it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(_HIDDEN)


def concealed(given: Mapping[Any, Any]) -> dict[Any, Any]:
    """``given``, equal to what it was, as it may be shown."""
    return {name: _conceal(name, value) for name, value in given.items()}


def _conceal(name: object, value: object) -> object:
    if not isinstance(value, str):
        return value
    return _Secret(value) if "TOKEN" in str(name) else _Concealed(value)
