"""The values of a loaded document, of which some are converted when they are first read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import ref

from mongoengine.errors import InvalidDocumentError

_ABSENT: Any = object()

# What makes a value of a raw one: called with the document (or None, where it is gone) and it.
Converter = Callable[[Any, Any], Any]


class Converters(dict[str, Converter]):
    """What makes the values of raw ones, by the names of the fields of one class; a raw value
    without such is the value itself."""

    __slots__ = ("class_name",)

    def __init__(self, class_name: str, converters: Mapping[str, Converter]) -> None:
        super().__init__(converters)
        self.class_name = class_name

    def convert(self, name: str, document: Any, raw: Any) -> Any:
        """The value of a raw one; fails as MongoEngine does when it loads such a document."""
        convert = self.get(name)
        if convert is None:
            return raw
        try:
            return convert(document, raw)
        except (AttributeError, ValueError) as exc:
            raise InvalidDocumentError(
                f"Invalid data to create a `{self.class_name}` instance.\nField '{name}' - {exc}"
            ) from exc


def stop_waiting(pending: Any, name: str) -> bool:
    """Take the raw value called ``name`` out of those that wait; whether it was there."""
    if type(pending) is not dict:
        return bool(pending.discard(name))
    return pending.pop(name, _ABSENT) is not _ABSENT


class LazyData(dict[str, Any]):
    """A document's ``_data``: a dictionary, of which some values aren't there yet.

    A value that waits stands in ``pending``: in a dictionary as the driver gave it, or in the
    document's BSON bytes (``Elements`` in C). It is converted, and moved into the dictionary, when
    somebody asks for it. What the dictionary itself holds wins, so that
    of two threads that read a value first, both get the same one.

    To C code that looks into a dictionary past its methods, waiting values are absent.
    """

    __slots__ = ("converters", "document", "loaded", "pending")

    pending: Any
    converters: Converters
    document: ref[Any]
    loaded: Any  # of PartialData alone

    def load(self, name: str, document: Any) -> Any:
        """The value called ``name``, converted for ``document``; ``KeyError`` if there is none."""
        raw = self.pending.get(name, _ABSENT)
        if raw is _ABSENT:
            if dict.__contains__(self, name):  # another thread was here
                return dict.__getitem__(self, name)
            raise KeyError(name)
        value = self.setdefault_now(name, self.converters.convert(name, document, raw))
        stop_waiting(self.pending, name)
        return value

    def setdefault_now(self, name: str, value: Any) -> Any:
        """What the dictionary holds under ``name``, or else ``value``, put there."""
        return dict.setdefault(self, name, value)

    def waits(self, name: str) -> bool:
        """Whether the value called ``name`` was never read or set."""
        return name in self.pending and not dict.__contains__(self, name)

    def load_all(self) -> None:
        """Convert all that waits."""
        for name in list(self.pending):
            self[name]

    def __missing__(self, name: str) -> Any:
        return self.load(name, self.document())

    def get(self, name: str, default: Any = None) -> Any:
        """The value called ``name``."""
        try:
            return self[name]
        except KeyError:
            if name in self.pending:  # it is there, and can't be converted
                raise
            return default

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) or name in self.pending

    def __iter__(self) -> Iterator[str]:
        self.load_all()
        return dict.__iter__(self)

    def __reversed__(self) -> Iterator[str]:
        self.load_all()
        return dict.__reversed__(self)

    def __len__(self) -> int:
        # MongoEngine asks for it to tell whether a document is true: nothing is read by that.
        return dict.__len__(self) + sum(not dict.__contains__(self, n) for n in [*self.pending])

    def __delitem__(self, name: str) -> None:
        self.load_all()
        dict.__delitem__(self, name)

    def __eq__(self, other: object) -> bool:
        self.load_all()
        if isinstance(other, LazyData):
            other.load_all()
        return dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # as of any dictionary

    def __repr__(self) -> str:
        self.load_all()
        return dict.__repr__(self)

    def __reduce__(self) -> Any:
        return dict, (self.copy(),)

    def keys(self) -> Any:
        """The names of the values."""
        self.load_all()
        return dict.keys(self)

    def values(self) -> Any:
        """The values, all of them converted."""
        self.load_all()
        return dict.values(self)

    def items(self) -> Any:
        """Names and values, all of them converted."""
        self.load_all()
        return dict.items(self)

    def copy(self) -> dict[str, Any]:
        """A plain dictionary of the same values."""
        return dict(self.items())

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The value called ``name``, set to ``default`` where there is none."""
        return self[name] if name in self else self.setdefault_now(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        """Take the value called ``name`` out."""
        self.load_all()
        return dict.pop(self, name, *default)

    def popitem(self) -> tuple[str, Any]:
        """Take the last value out."""
        self.load_all()
        return dict.popitem(self)

    def clear(self) -> None:
        """Take all values out, also those that wait."""
        self.pending = {}
        dict.clear(self)


class PartialData(LazyData):
    """The ``_data`` of a document that was loaded in part, by ``only()`` or ``exclude()``.

    Its attributes ``load`` what was not loaded from the database. Otherwise that is absent: it
    is neither validated nor written. ``loaded`` says what was, and fetches the rest.
    """

    __slots__ = ()  # as LazyData, which becomes this where it is known what was loaded

    def load(self, name: str, document: Any) -> Any:
        """The value called ``name``, fetched where it was not loaded."""
        if self.lacks(name):
            return self.loaded.fetch(self, name, document)
        return super().load(name, document)

    def lacks(self, name: str) -> bool:
        """Whether the value called ``name`` was not loaded, and not set since."""
        return name in self.loaded.absent and not LazyData.__contains__(self, name)

    def waits(self, name: str) -> bool:
        """Whether the value called ``name`` was never read or set."""
        return super().waits(name) or self.lacks(name)

    def __missing__(self, name: str) -> Any:
        return super().load(name, self.document())


def lacks(document: Any, name: str) -> bool:
    """Whether ``document`` was loaded without the value called ``name``, and didn't get one."""
    data = document._data
    return type(data) is PartialData and data.lacks(name)
