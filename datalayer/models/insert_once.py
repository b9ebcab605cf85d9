"""Inserts a document that may have been inserted before: once, however often it is asked for."""

from __future__ import annotations

from typing import Any, TypeVar

from mongoengine.errors import NotUniqueError

from datalayer.documents import Document

Model = TypeVar("Model", bound=Document)


def insert_once(document: Model, **unique: Any) -> Model:
    """Insert ``document``, or return the one that holds these values of a unique index already.

    Raises:
        NotUniqueError: where it is another index that refuses ``document``.
    """
    # Looked for first: the index would abort a transaction that is open around this.
    same = type(document).objects(**unique)
    found: Model | None = same.first()
    if found is None:
        try:
            return document.save(force_insert=True)
        except NotUniqueError:
            found = same.first()
            if found is None:
                raise
    return found
