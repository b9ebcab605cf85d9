"""A URI that is shown without its secrets, and is compared with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datalayer.settings.uri.uri import redact


class SecretUri(str):
    """A URI whose text has ``***`` in the place of credentials and secret options.

    Printing, logging, serialising, copying a dataclass or looking at attributes shows that text.
    ``get_secret_value()`` gives the whole one. Two are equal when their whole texts are, and one
    without secrets is its own text. A pickle holds no secret.
    """

    __slots__ = ("_whole",)
    _whole: Callable[[], str]
    """A closure: what walks over attributes to show them finds a function."""

    def __new__(cls, uri: str) -> SecretUri:
        """``uri`` as it may be shown; itself where it is a ``SecretUri`` already."""
        if isinstance(uri, SecretUri):
            return uri
        self = super().__new__(cls, redact(uri))
        self._whole = lambda: uri
        return self

    def get_secret_value(self) -> str:
        """The whole URI, with its credentials: for a driver, and never for a log."""
        return self._whole()

    def __eq__(self, other: object) -> bool:
        whole = other.get_secret_value() if isinstance(other, SecretUri) else other
        return self.get_secret_value() == whole

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.get_secret_value())

    def __copy__(self) -> SecretUri:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> SecretUri:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return SecretUri, (str(self),)


def whole(uri: str) -> str:
    """The whole text of ``uri``, where that is shown without its secrets."""
    return uri.get_secret_value() if isinstance(uri, SecretUri) else uri
