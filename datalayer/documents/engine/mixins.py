"""The methods of documents that the engine replaces. Each asks for the class's program and, where
there is none, does what MongoEngine does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mongoengine.errors import ValidationError

from datalayer.documents.engine.attributes import install_fetching
from datalayer.documents.engine.compile.c_core import fast_init
from datalayer.documents.engine.compile.write import own_to_mongo
from datalayer.documents.engine.compiling import own, program_of, without_lacking
from datalayer.documents.engine.diff import changed_fields, clear_changes, written_changes
from datalayer.documents.engine.mongoengine_internals import (
    slots,
    son_of,
    stock,
)
from datalayer.documents.engine.program import Program
from datalayer.documents.engine.save import save
from datalayer.documents.engine.values.lazy_data import PartialData


class _Fast:
    """What both kinds of documents have."""

    _tracks_changes: ClassVar[bool] = False
    """Whether its lists and mappings are datalayer's, which tell of every change."""

    _engine_table: ClassVar[Any] = None  # of the class, where its documents are made in C

    if TYPE_CHECKING:

        def __init__(self, *args: Any, **values: Any) -> None: ...

    else:
        __init__ = fast_init()

    def _engine_prepare(self) -> None:
        program_of(type(self))

    def _engine_construct(self, values: dict[str, Any]) -> None:
        program_of(type(self)).construct(self, values)

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
            _validate_as_mongoengine(self, clean)
        else:
            program.check(self, clean, skips=False)

    def _get_changed_fields(self) -> list[str]:
        program = program_of(type(self))
        if program.reason is not None and not program.tracks_changes:
            found: list[str] = stock.get_changed_fields(self)
            return found
        if _is_clean(self, program):
            return list(getattr(self, "_changed_fields", ()))
        return changed_fields(self, program)

    def _clear_changed_fields(self) -> None:
        program = program_of(type(self))
        if _is_clean(self, program):
            slots.changed_fields(self, [])
        elif program.tracks_changes:
            clear_changes(self, program)
        elif program.reason is not None or self._get_changed_fields():
            stock.clear_changed_fields(self)
        else:
            slots.changed_fields(self, [])

    def _delta(self) -> Any:
        program = program_of(type(self))
        is_left = program.reason is not None and not program.tracks_changes
        if is_left or not hasattr(self, "_changed_fields"):
            return stock.delta(self)
        return written_changes(self, program)


class FastDocument(_Fast):
    """A mixin before MongoEngine's ``Document``."""

    _builds_indexes_when_fetched: ClassVar[bool] = True
    """Whether fetching the collection may build its indexes, whose errors are their own."""

    def to_mongo(self, *args: Any, **kwargs: Any) -> Any:
        """What MongoDB gets of the document, in order."""
        program = program_of(type(self))
        if args or kwargs or program.reason is not None:
            return stock.document_to_mongo(self, *args, **_with_loaded(self, args, kwargs))
        return son_of(program.write(self, son_of))

    save = save


class FastEmbeddedDocument(_Fast):
    """A mixin before MongoEngine's ``EmbeddedDocument``."""

    def to_mongo(self, *args: Any, **kwargs: Any) -> Any:
        """What MongoDB gets of the embedded document, in order."""
        program = program_of(type(self))
        if args not in _ALL_FIELDS or kwargs or program.reason is not None:
            return stock.embedded_to_mongo(self, *args, **_with_loaded(self, args, kwargs))
        return son_of(program.write(self, son_of))


def _is_clean(document: Any, program: Program) -> bool:
    """Whether it is known that nothing in the document noted a change of its own."""
    if program.reason is not None or program.table is None:
        return False
    clean: bool = program.table.is_clean(document)
    return clean


def _validate_as_mongoengine(document: Any, clean: bool) -> None:
    try:
        stock.validate(document, clean)
    except ValidationError as error:
        errors = without_lacking(document, error.errors)
        if errors is error.errors:
            raise
        if errors:
            raise ValidationError(error.message, errors=errors) from None


def _with_loaded(document: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of MongoEngine's ``to_mongo`` that leave out what was not loaded."""
    is_chosen = len(args) > 1 or kwargs.get("fields")
    if is_chosen or type(document._data) is not PartialData:
        return kwargs
    return {**kwargs, "fields": [*document._data] or [""]}


def let_fetch(model: Any) -> None:
    """Let the attributes of ``model`` fetch what one of its documents was loaded without."""
    program = program_of(model)
    if not program.fetches:
        install_fetching(model)
        program.fetches = True


def uses_engine(model: Any) -> bool:
    """Whether ``model`` has the engine's methods."""
    return getattr(model._from_son, "__func__", None) is _from_son


def reading_program(model: Any) -> Program | None:
    """The program that reads documents of ``model``; ``None`` where MongoEngine reads them."""
    if not uses_engine(model):
        return None
    program = program_of(model)
    return program if program.reason is None else None


# MongoEngine's fields say that they want the names of the database, and of all fields.
_ALL_FIELDS: tuple[tuple[Any, ...], ...] = ((), (True,), (True, None), (True, []))

_from_son: Any = _Fast.__dict__["_from_son"].__func__

own.init.add(_Fast.__init__)
own.to_mongo.update({FastDocument.to_mongo, FastEmbeddedDocument.to_mongo})
own.validate.add(_Fast.validate)
own.get_changed_fields.add(_Fast._get_changed_fields)
own_to_mongo.add(FastEmbeddedDocument.to_mongo)
