"""What documents do with their files, numbers and references, which go where they go."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from mongoengine.fields import FileField

from datalayer.documents.related.field_replacement import (
    complete,
    needs_completing,
    replace_fields,
)
from datalayer.documents.related.files import kept
from datalayer.documents.related.references import Dereference


class Belongings:
    """Gives each class fields that know it."""

    _own_fields: ClassVar[tuple[str, ...]] = ()  # those with files or numbers

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "_fields"):
            replace_fields(cls)


class DocumentBelongings(Belongings):
    """The same for documents with a collection."""

    def save(self, *args: Any, **kwargs: Any) -> Self:
        """Complete the document's files and numbers before it is written."""
        if needs_completing(self):
            complete(self)
        return super().save(*args, **kwargs)  # type: ignore[misc,no-any-return]

    def delete(self, *args: Any, **kwargs: Any) -> None:
        """Delete the files after the document, which may be refused, and not before it."""
        document: Any = self
        files = [
            getattr(document, name)
            for name in self._own_fields
            if isinstance(document._fields[name], FileField)
        ]
        with kept(files):
            super().delete(*args, **kwargs)  # type: ignore[misc]
        for file in files:
            file.delete()

    def select_related(self, max_depth: int = 1) -> Self:
        """Fetch what the document refers to, with one query for each model; returns it."""
        Dereference()([self], max_depth + 1)
        return self
