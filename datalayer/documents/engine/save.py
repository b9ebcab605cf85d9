"""``save()``: MongoEngine's steps, each value written once and what nobody touched left alone."""

from __future__ import annotations

from typing import Any

import mongoengine
from bson import CodecOptions
from mongoengine import signals
from mongoengine.errors import InvalidDocumentError, NotUniqueError, OperationError
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from datalayer.documents.engine.compile.encode import EncodedDocument
from datalayer.documents.engine.compiling import program_of
from datalayer.documents.engine.mongoengine_internals import Slots, stock
from datalayer.documents.engine.program import Program

# The functions ``_save_update`` that need no more of a document than its id and shard key.
own_save_update: set[Any] = {stock.save_update}
# The functions ``_save_create`` that need no dictionary of a document.
own_save_create: set[Any] = set()


def save(
    self: Any,
    force_insert: bool = False,
    validate: bool = True,
    clean: bool = True,
    write_concern: dict[str, Any] | None = None,
    cascade: bool | None = None,
    cascade_kwargs: dict[str, Any] | None = None,
    _refs: list[Any] | None = None,
    save_condition: dict[str, Any] | None = None,
    signal_kwargs: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Insert the document, or write what changed in it; returns it.

    Takes what MongoEngine's ``save`` takes. Values that were loaded and never read are neither
    validated nor written; ``validate()`` checks them all.

    Raises:
        ValidationError: for values that don't fit their fields.
        NotUniqueError: where another document has a value that must be unique.
        OperationError: for what else the server refuses.
        SaveConditionError: where ``save_condition`` doesn't hold.
        StaleDocumentError: of datalayer's documents, for one that isn't any more what was loaded.
    """
    program = program_of(type(self))
    if program.saves_as_stock:
        passed = (force_insert, validate, clean, write_concern, cascade, cascade_kwargs)
        return stock.save(self, *passed, _refs, save_condition, signal_kwargs, **kwargs)
    meta = self._meta
    if meta.get("abstract"):
        raise InvalidDocumentError("Cannot save an abstract document.")
    told = signal_kwargs or {}
    _tell(signals.pre_save, self, told)
    if validate:
        _validate(self, program, clean)
    id_field = meta["id_field"]
    created = self._created or force_insert or self._data.get(id_field) is None
    _tell(signals.pre_save_post_validation, self, told, created=created)
    if created:
        # Who writes the document anew makes what the collection takes best.
        is_own = type(self)._save_create in own_save_create and program.encode is not None
        doc = None if is_own else written(self)
    else:
        doc = _written_key(self, program)
    _see_to_collection(self)
    try:
        concern = write_concern or {}
        if created:
            key = self._save_create(doc=doc, force_insert=force_insert, write_concern=concern)
        else:
            key, created = self._save_update(doc, save_condition, concern)
        is_asked_for = meta.get("cascade", False) or cascade_kwargs is not None
        if is_asked_for if cascade is None else cascade:
            how = {"force_insert": force_insert, "validate": validate, "write_concern": concern}
            how = {**how, "cascade": True, **(cascade_kwargs or {})}
            self.cascade_save(**{**how, "_refs": _refs})
    except OperationFailure as exc:
        raise mongoengine_error(exc) from exc
    if created or id_field not in meta.get("shard_key", ()):
        _keep_key(self, id_field, key)
    _tell(signals.post_save, self, told, created=created)
    _note_nothing(self, program)
    return self


def _see_to_collection(document: Any) -> None:
    """Fetch the collection before the write: what may go wrong then is none of its errors.

    After the document is written out: one that can't be leaves no indexes behind."""
    if document._collection is None:
        if document._builds_indexes_when_fetched:
            document._get_collection()
    elif document._meta.get("auto_create_index_on_save", False):
        document.ensure_indexes()


def mark_saved(document: Any, key: Any) -> None:
    """Take ``document`` as it is for what the database has, under this key."""
    _keep_key(document, document._meta["id_field"], key)
    _note_nothing(document, program_of(type(document)))


def _note_nothing(document: Any, program: Program) -> None:
    if program.table is None or not program.table.mark_saved(document):
        document._clear_changed_fields()
        Slots.created(document, False)


def written(document: Any) -> Any:
    """What the driver gets of a document: a plain dictionary, which it encodes faster than SON."""
    program = program_of(type(document))
    if program.reason is not None or program.has_own_to_mongo:
        return document.to_mongo()
    return program.write(document, None)


def encoded(document: Any, options: CodecOptions[Any]) -> EncodedDocument | None:
    """The same as BSON; ``None`` where only the way over the dictionary knows, and where it would
    be refused: what is wrong is found there. The document needs its id."""
    encode = program_of(type(document)).encode
    return None if encode is None else encode(document, options)


def written_key(document: Any) -> Any:
    """What the database has as the document's ``_id``."""
    program, name = program_of(type(document)), document._meta["id_field"]
    plan, value = program.by_name[name], document._data[name]
    return value if type(value) in plan.written else program.write_value(plan, value)


def _tell(signal: Any, document: Any, told: dict[str, Any], **more: Any) -> None:
    if getattr(signal, "receivers", None):
        signal.send(type(document), document=document, **more, **told)


def _validate(document: Any, program: Program, clean: bool) -> None:
    if program.has_own_validate:
        document.validate(clean=clean)
    else:
        program.check(document, clean, skips=True)


def written_field(document: Any, key: str) -> dict[str, Any]:
    """What the driver gets of one field, under its key."""
    program = program_of(type(document))
    name = document._reverse_db_field_map.get(key, key)
    value = document._data.get(name)
    if program.reason is not None or value is None:
        return {key: document.to_mongo().get(key)}
    return {key: program.write_value(program.by_name[name], value)}


def _keep_key(document: Any, id_field: str, key: Any) -> None:
    if document._data.get(id_field) is key:
        return
    key = document._fields[id_field].to_python(key)
    if document._data.get(id_field) != key:
        document[id_field] = key


def _written_key(document: Any, program: Program) -> Any:
    needs_all = document._meta.get("shard_key") or program.has_own_to_mongo
    if needs_all or type(document)._save_update not in own_save_update:
        return document.to_mongo()
    return {"_id": written_key(document)}


def mongoengine_error(exc: OperationFailure) -> Any:
    """MongoEngine's error for what the server refuses."""
    if isinstance(exc, BulkWriteError):
        return mongoengine.errors.BulkWriteError(f"Bulk write error: ({exc.details})")
    duplicate = str(exc).startswith(("E11000 duplicate key", "E11001 duplicate key"))
    if duplicate or isinstance(exc, DuplicateKeyError):
        return NotUniqueError(f"Tried to save duplicate unique keys ({exc})")
    return OperationError(f"Could not save document ({exc})")
