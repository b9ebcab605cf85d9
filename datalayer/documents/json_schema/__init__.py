"""What a model says, as a schema: which documents of its collection are as the model would have
written them?

``stored``: as MongoDB's ``$jsonSchema``, of documents as they are stored, with ``single_values``
for fields that hold no others and ``patterns`` for regular expressions; ``shown``: as JSON Schema
2020-12, of documents as an API shows them. ``place``: where in a document one is, and the rules
that a schema there can't express.
"""

from __future__ import annotations

from typing import Any, Literal

from datalayer.documents.json_schema.place import Place, Unexpressed
from datalayer.documents.json_schema.shown import shown_schema
from datalayer.documents.json_schema.stored import stored_schema

__all__ = ["Dialect", "Unexpressed", "json_schema", "unexpressed"]

Dialect = Literal["mongodb", "2020-12"]


def json_schema(model: Any, dialect: Dialect = "mongodb") -> dict[str, Any]:
    """The schema of the documents of ``model`` and its subclasses.

    ``"mongodb"`` is what ``$jsonSchema`` takes, in filters and as a collection's validator: it
    holds for documents as ``to_mongo`` gives them, by their names in the database. ``"2020-12"``
    is JSON Schema for the documentation of an API: by the attributes' names, without the fields
    marked secret. ``model`` may be any class of MongoEngine's documents, embedded ones too. No
    server is asked, and a new dictionary is returned.

    Raises:
        ValueError: for another dialect.
    """
    if dialect == "mongodb":
        return stored_schema(model, Place())
    if dialect == "2020-12":
        return shown_schema(model)
    raise ValueError(f"{dialect!r} is no dialect of JSON Schema here: mongodb, 2020-12")


def unexpressed(model: Any) -> list[Unexpressed]:
    """The rules of ``model`` that ``$jsonSchema`` can't express, in the order of its fields.

    Where ``validate()`` and the schema of a document differ, one of these says why.
    """
    place = Place()
    stored_schema(model, place)
    return list(dict.fromkeys(place.beside))
