"""What was found where databases and models differ. Counts and names, never values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datalayer.indexes import CollectionDiff
from datalayer.schema import Finding

Place = tuple[str, str, str]
"""Alias, collection and path of a field."""


@dataclass(frozen=True)
class UnknownField:
    """A field that documents have and their model doesn't."""

    alias: str
    collection: str
    path: str
    documents: int
    """How many documents have it."""
    types: frozenset[str]
    """Of its values, by the server's names."""
    lacking: Mapping[str, int]
    """How many of these documents lack each field that the model has beside it."""
    wanted: Mapping[str, frozenset[str]]
    """The types that the model wants of these; empty where it takes any."""


@dataclass(frozen=True)
class Drift:
    """All that was found."""

    findings: tuple[Finding, ...] = ()
    """What ``schema check`` found."""
    differences: tuple[CollectionDiff, ...] = ()
    """What ``indexes diff`` found."""
    unknown: tuple[UnknownField, ...] = ()
    defaults: Mapping[Place, Any] = field(default_factory=dict)
    """What models give to fields that documents lack."""
    totals: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """About how many documents a collection has."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not self.findings and all(each.in_sync for each in self.differences)
