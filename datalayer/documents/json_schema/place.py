"""Where in a document a schema is being written, and which rules there it can't express."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Unexpressed:
    """A rule of a model that ``$jsonSchema`` can't express.

    ``path`` names the field as in the database: ``lines[].amount`` is that of each element of a
    list, ``prices.*`` each value of a mapping, and an empty path the whole document. ``rule`` is a
    word for it (``"unique"``, ``"max_bytes"``, ``"clean()"``), and ``why`` says what it means.
    """

    path: str
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Place:
    """A path in a document, the classes around it, and what isn't expressed: ``beside``."""

    path: str = ""
    within: tuple[type, ...] = ()
    beside: list[Unexpressed] = field(default_factory=list)

    def at(self, key: str) -> Place:
        """The place of what stands under ``key``."""
        return replace(self, path=f"{self.path}.{key}" if self.path else key)

    def of_items(self) -> Place:
        """The place of each element of the list that stands here."""
        return replace(self, path=f"{self.path}[]")

    def inside(self, model: Any) -> Place:
        """The same place, in a part of the class ``model``."""
        return replace(self, within=(*self.within, model))

    def leave_out(self, rule: str, why: str) -> None:
        """Note that the schema here doesn't hold ``rule``."""
        self.beside.append(Unexpressed(self.path, rule, why))
