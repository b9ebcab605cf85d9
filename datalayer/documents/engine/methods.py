"""The methods of documents that the engine replaces. Each asks for the class's program and, where
there is none, does what MongoEngine does."""

from __future__ import annotations

from typing import Any

from datalayer.documents.engine.changes import changed_fields, written_changes
from datalayer.documents.engine.internals import (
    listened_to,
    post_init,
    pre_init,
    slots,
    son_of,
    stock,
)
from datalayer.documents.engine.programs import own, program_of
from datalayer.documents.engine.saving import save
from datalayer.documents.engine.writing import own_to_mongo

__all__ = ["FastDocument", "FastEmbeddedDocument", "is_fast", "uses_engine"]


class _Fast:
    """What both kinds of documents have."""

    @classmethod
    def _from_son(cls, son: Any, _auto_dereference: bool = True, created: bool = False) -> Any:
        program = program_of(cls)
        if not _auto_dereference:
            program = program.without_dereferencing
        return program.read(son, created)

    def validate(self, clean: bool = True) -> None:
        """Check the values of all fields, also of those that were never read.

        Raises:
            ValidationError: with all fields that don't pass in ``errors``.
        """
        program = program_of(type(self))
        if program.reason is not None:
            stock.validate(self, clean)
        else:
            program.check(self, clean, skips=False)

    def _get_changed_fields(self) -> list[str]:
        program = program_of(type(self))
        if program.reason is not None:
            found: list[str] = stock.get_changed_fields(self)
            return found
        return changed_fields(self, program)

    def _clear_changed_fields(self) -> None:
        program = program_of(type(self))
        if program.reason is not None or self._get_changed_fields():
            stock.clear_changed_fields(self)
        else:
            slots.changed_fields(self, [])

    def _delta(self) -> Any:
        program = program_of(type(self))
        if program.reason is not None or not hasattr(self, "_changed_fields"):
            return stock.delta(self)
        return written_changes(self, program)


class FastDocument(_Fast):
    """A mixin before MongoEngine's ``Document``."""

    def __init__(self, *args: Any, **values: Any) -> None:
        if args or pre_init.receivers or post_init.receivers:
            _construct(self, stock.document_init, args, values)
        else:
            program_of(type(self)).construct(self, values)

    def to_mongo(self, *args: Any, **kwargs: Any) -> Any:
        """What MongoDB gets of the document, in order."""
        program = program_of(type(self))
        if args or kwargs or program.reason is not None:
            return stock.document_to_mongo(self, *args, **kwargs)
        return son_of(program.write(self, son_of))

    save = save


class FastEmbeddedDocument(_Fast):
    """A mixin before MongoEngine's ``EmbeddedDocument``."""

    def __init__(self, *args: Any, **values: Any) -> None:
        if args or pre_init.receivers or post_init.receivers:
            _construct(self, stock.embedded_init, args, values)
        else:
            program_of(type(self)).construct(self, values)

    def to_mongo(self, *args: Any, **kwargs: Any) -> Any:
        """What MongoDB gets of the embedded document, in order."""
        program = program_of(type(self))
        if args not in _ALL_FIELDS or kwargs or program.reason is not None:
            return stock.embedded_to_mongo(self, *args, **kwargs)
        return son_of(program.write(self, son_of))


def _construct(document: Any, stock_init: Any, args: Any, values: dict[str, Any]) -> None:
    if args or listened_to(type(document)):
        stock_init(document, *args, **values)
    else:
        program_of(type(document)).construct(document, values)


def uses_engine(model: Any) -> bool:
    """Whether ``model`` has the engine's methods."""
    return getattr(model._from_son, "__func__", None) is _from_son


def is_fast(model: Any) -> bool:
    """Whether documents of ``model`` are read by its program."""
    return uses_engine(model) and program_of(model).reason is None


# MongoEngine's fields say that they want the names of the database, and of all fields.
_ALL_FIELDS: tuple[tuple[Any, ...], ...] = ((), (True,), (True, None), (True, []))

_from_son: Any = _Fast.__dict__["_from_son"].__func__

own.init.update({FastDocument.__init__, FastEmbeddedDocument.__init__})
own.to_mongo.update({FastDocument.to_mongo, FastEmbeddedDocument.to_mongo})
own.validate.add(_Fast.validate)
own.get_changed_fields.add(_Fast._get_changed_fields)
own_to_mongo.add(FastEmbeddedDocument.to_mongo)
