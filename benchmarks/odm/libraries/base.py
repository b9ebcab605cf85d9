"""What every library has to do for the benchmark."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any, ClassVar

from benchmarks.odm.data import document, string_parts
from benchmarks.odm.tasks import Kind

__all__ = ["Library", "Objects", "built"]


class Library(ABC):
    """One library at work. The methods up to ``read_embedded`` are timed: they hold what a user
    of the library writes, by its documentation, and nothing else.

    Arguments:
        uri: the server, with the name of a database of this library's own.
    """

    packages: ClassVar[tuple[str, ...]] = ("pymongo",)

    @abstractmethod
    def __init__(self, uri: str) -> None: ...

    # Timed

    @abstractmethod
    def create(self, kind: Kind, source: Mapping[str, Any]) -> None:
        """Make an instance of the values of ``source`` and save it."""

    @abstractmethod
    def insert(self, kind: Kind, sources: Iterable[Mapping[str, Any]]) -> None:
        """Make instances and save them all at once."""

    @abstractmethod
    def update(self, instance: Any, value: str) -> None:
        """Set ``field1`` of an instance that was loaded before, and save it."""

    @abstractmethod
    def update_embedded(self, instance: Any, value: str) -> None:
        """Set ``embedded_str_doc_1.field1`` and save."""

    @abstractmethod
    def update_in_list(self, instance: Any, value: str) -> None:
        """Set ``field1`` of the first of ``embedded_str_doc_array`` and save."""

    @abstractmethod
    def find(self, key: Any) -> Any:
        """The small document with this id."""

    @abstractmethod
    def find_by_foreign_key(self, key: Any) -> Any:
        """The small document that refers to this id."""

    @abstractmethod
    def find_by_embedded(self, unique_id: str) -> Any:
        """The nested document with this ``embedded_str_doc_1.unique_id``."""

    @abstractmethod
    def find_by_array(self, unique_id: str) -> Any:
        """The nested document with this ``embedded_str_doc_array.unique_id``."""

    @abstractmethod
    def all(self, kind: Kind) -> Iterable[Any]:
        """All instances, to iterate over."""

    @abstractmethod
    def list_small(self) -> list[Any]:
        """``field1`` of all small documents."""

    @abstractmethod
    def list_nested(self) -> list[Any]:
        """``embedded_str_doc_1.field1`` of all nested documents."""

    @abstractmethod
    def read_embedded(self, key: Any) -> Any:
        """``embedded_str_doc_1.field1`` of the nested document with this id."""

    # Not timed

    @abstractmethod
    def subscript(self) -> tuple[str, str]:
        """How to read a field in Python, written around its name: ``.`` and nothing, say."""

    @abstractmethod
    def value(self, instance: Any, *path: str | int) -> Any:
        """What stands at a path, to see that the right documents were found."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def every_field_reader(self) -> Callable[[Any], Any]:
        """A function that reads every field of a nested document, with a line of Python each, as
        a user would, and returns the last one."""
        before, after = self.subscript()
        lines = ["def read(document):"]
        for name, part in document("nested").items():
            lines.append(f"    part = document{before}{name}{after}")
            unique = ["unique_id"] if name in string_parts(document("nested")) else []
            if isinstance(part, list):
                lines.append("    for each in part:")
                reads = [f"each{before}{field}{after}" for field in [*unique, *part[0]]]
                lines += [f"        value = {read}" for read in reads]
            else:
                reads = [f"part{before}{field}{after}" for field in [*unique, *part]]
                lines += [f"    value = {read}" for read in reads]
        namespace: dict[str, Any] = {}
        exec("\n".join([*lines, "    return value"]), namespace)
        reader: Callable[[Any], Any] = namespace["read"]
        return reader

    def adapt(self, run: Callable[[], None]) -> dict[str, Any]:
        """Choose what suits a task best, by running it, and return what was chosen. Libraries
        are measured as they come, and choose nothing."""
        return {}

    def versions(self) -> dict[str, str]:
        """The versions of the packages that matter."""
        return {name: version(name) for name in self.packages}


class Objects(Library):
    """Libraries whose documents have attributes."""

    def subscript(self) -> tuple[str, str]:
        return ".", ""

    def value(self, instance: Any, *path: str | int) -> Any:
        for step in path:
            instance = instance[step] if isinstance(step, int) else getattr(instance, step)
        return instance


def built(nested: Mapping[str, Any], texts: Any, numbers: Any) -> dict[str, Any]:
    """The values of a nested document, with instances of the two embedded classes."""
    values: dict[str, Any] = {}
    for name, part in nested.items():
        if isinstance(part, list):
            values[name] = [texts(**each) for each in part]
        elif name.startswith("embedded_str"):
            values[name] = texts(**part)
        else:
            values[name] = numbers(**part)
    return values
