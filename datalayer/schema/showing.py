"""What do models say of their documents? As JSON Schema, with the rules that it can't express."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from datalayer.documents.extended_json import json_ready
from datalayer.documents.json_schema import Dialect, Unexpressed, json_schema, unexpressed
from datalayer.schema.targets import described


@dataclass(frozen=True)
class Shown:
    """The schema of one model, or of a tree of classes that share a collection.

    ``unexpressed`` lists the rules that ``$jsonSchema`` can't hold documents to.
    """

    alias: str
    collection: str
    model: str
    schema: dict[str, Any]
    unexpressed: tuple[Unexpressed, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "schema": json_ready(self.schema)}


def show(
    models: Iterable[Any] | None = None,
    *,
    aliases: Sequence[str] | None = None,
    collection: str | None = None,
    dialect: Dialect = "mongodb",
) -> list[Shown]:
    """What models say of their documents. Asks no server.

    ``models``, ``aliases`` and ``collection`` choose as in ``check``; ``dialect`` is ``"mongodb"``
    for documents as they are stored, or ``"2020-12"`` for documents as an API shows them.

    Raises:
        ConfigurationError: for what has no collection, or no model.
    """
    return [
        Shown(
            alias=alias,
            collection=plan.name,
            model=model.__name__,
            schema=json_schema(model, dialect),
            unexpressed=tuple(unexpressed(model)),
        )
        for alias, plan in described(models, aliases, collection)
        for model in plan.models
        if not any(base in plan.models for base in model.__mro__[1:])
    ]
