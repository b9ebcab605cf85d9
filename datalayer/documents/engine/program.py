"""What is known of a class, and what was compiled for it: the value that the compiled parts, the
methods of documents and the querysets read. ``programs`` makes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from bson import CodecOptions

from datalayer.documents.engine.field_plan import Plan


class Program(ABC):
    """What was compiled for ``model``; of one that MongoEngine must see to itself, the ``reason``.

    ``fields`` are the class's own, or copies of them that don't dereference. What stands below
    ``construct`` is there only where there is no ``reason``.
    """

    model: Any
    fields: Mapping[str, Any]
    dereferences: bool
    tracks_changes: bool
    reason: str | None
    saves_as_stock: bool
    fetches: bool
    is_flat: bool
    read: Callable[[Any, bool], Any]
    load: Callable[..., Any] | None
    """Makes a document of its BSON bytes and a codec; ``None`` where it takes a dictionary."""
    construct: Callable[[Any, dict[str, Any]], None]

    plans: tuple[Plan, ...]
    by_name: dict[str, Plan]
    in_order: tuple[Plan, ...]
    containers: tuple[Plan, ...]
    keys: frozenset[str]
    is_embedded: bool
    is_linkable: bool
    is_strict: bool
    keeps_unknown: bool
    shares_class_name: bool
    has_own_clean: bool
    has_own_validate: bool
    has_own_to_mongo: bool
    any_reader: Any
    reader: Callable[[Any, bool], Any]
    made: Callable[[Any, dict[str, Any]], None]
    write: Callable[[Any, Callable[[dict[str, Any]], Any] | None], dict[str, Any]]
    encode: Callable[[Any, CodecOptions[Any]], Any] | None = None
    errors_of: Callable[[Any, bool, bool], dict[str, Any]]
    table: Any = None

    @staticmethod
    @abstractmethod
    def of(model: Any) -> Program:
        """The program of another class."""

    @property
    @abstractmethod
    def without_dereferencing(self) -> Program:
        """The program with copies of the fields that leave references alone."""

    @abstractmethod
    def write_value(self, plan: Plan, value: Any) -> Any:
        """What MongoDB gets of one field's value, which isn't ``None``."""

    @abstractmethod
    def check(self, document: Any, clean: bool, *, skips: bool) -> None:
        """Validate ``document``; with ``skips`` without what was loaded and never read.

        Raises:
            ValidationError: with all fields that don't pass in ``errors``.
        """
