"""Compiled writing: what MongoDB gets of a document, without a call per field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bson import Binary
from mongoengine.base import BaseField
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import BinaryField, DictField, EmbeddedDocumentField, ListField

from datalayer.documents.engine.compile.c_core import list_copy, plain_copy
from datalayer.documents.engine.compile.codegen import Names, compiled
from datalayer.documents.engine.field_plan import Plan, scalar_types
from datalayer.documents.engine.mongoengine_internals import stock
from datalayer.documents.engine.program import Program
from datalayer.documents.engine.values.equality import plain
from datalayer.documents.engine.values.lazy_data import lacks
from datalayer.documents.engine.values.tracking import Tracked

# Makes the kind of mapping that is asked for of the dictionary of an embedded document.
Wrap = Callable[[dict[str, Any]], Any] | None
Writer = Callable[[Any, Wrap], dict[str, Any]]
ValueWriter = Callable[[Any, Wrap], Any]

# What the to_mongo of an embedded document is where no class overrides it.
own_to_mongo: set[Any] = {stock.embedded_to_mongo}


def writer_for(program: Program) -> Writer:
    """The function that makes a dictionary of a document, in MongoEngine's order of keys.

    A value that waits is converted first, so that it is written as its class would write it.
    """
    names = Names()
    lines = ["def write(document, wrap):", " get = document._data.get", " out = {}"]
    ids = [plan for plan in program.in_order if plan.key == "_id"]
    others = [plan for plan in program.in_order if plan.key != "_id"]
    for plan in ids:
        lines += _lines_for(plan, names, program)
    if not ids and not program.is_embedded:
        lines += [" v = get('id')", " if v is not None: out['_id'] = v"]
    if program.model._meta.get("allow_inheritance"):
        lines.append(f" out['_cls'] = {program.model._class_name!r}")
    for plan in others:
        lines += _lines_for(plan, names, program)
    lines.append(" return out")
    write: Writer = compiled(lines, "write", names, program.model)
    return write


def with_unknown(write: Writer, program: Program) -> Writer:
    """``write`` with what the database has under keys that the class doesn't know."""
    known = {*program.by_name, *_NOT_STORED}

    def write_all(document: Any, wrap: Wrap) -> dict[str, Any]:
        out = write(document, wrap)
        # Past LazyData's own methods: only what is known waits.
        for key, value in dict.items(document._data):
            if key not in known:
                out.setdefault(key, plain(value))
        return out

    return write_all


# What stands beside the fields in a document's data and isn't the database's.
_NOT_STORED = ("_cls", "_id", "_text_score", "id", "pk")


def _lines_for(plan: Plan, names: Names, program: Program) -> list[str]:
    field, name, put = plan.field, repr(plan.name), f"out[{plan.key!r}] = v"
    convert = f"v = {names.add(value_writer_for(field, program))}(v, wrap)"
    is_kept = field.null and plan.key != "_id"
    is_lacking = f"{names.add(lacks)}(document, {name})"
    lines = [f" v = get({name})"]
    if plan.written and not field._auto_gen:
        after = put if is_kept else f"if v is not None: {put}"
        lines += [f" if type(v) is {names.add(plan.written[0])}: {put}"]
        lines += [" elif v is not None:", f"  {convert}", f"  {after}"]
        return [*lines, f" elif not {is_lacking}: {put}"] if is_kept else lines
    lines.append(f" if v is not None: {convert}")
    if field._auto_gen:
        generate = names.add(field.generate)
        lines.append(f" if v is None and not {is_lacking}:")
        lines.append(f"  v = document._data[{name}] = {generate}()")
    return [
        *lines,
        f" if v is not None or not {is_lacking}: {put}"
        if is_kept
        else f" if v is not None: {put}",
    ]


def value_writer_for(field: Any, program: Program) -> ValueWriter:
    """What writes a value of ``field`` that isn't ``None``."""
    kind: Any = type(field)
    if kind.to_mongo is EmbeddedDocumentField.to_mongo:
        return _writer_of_part(field, program)
    if isinstance(field, ListField) and kind.to_mongo is ComplexBaseField.to_mongo:
        return _writer_of_list(field, program)
    if isinstance(field, DictField) and kind.to_mongo is ComplexBaseField.to_mongo:
        return _writer_of_mapping(field)
    if kind.to_mongo is BinaryField.to_mongo:
        return _write_binary
    to_mongo = field.to_mongo
    # As MongoEngine finds out what a field's to_mongo takes.
    if "use_db_field" in to_mongo.__code__.co_varnames:
        return lambda value, wrap: to_mongo(value, use_db_field=True)
    if program.tracks_changes and kind.to_python is BaseField.to_python:
        return lambda value, wrap: _as_plain(to_mongo(value))
    return lambda value, wrap: to_mongo(value)


def _as_plain(written: Any) -> Any:
    """A list or mapping of the document's own as what may be handed on."""
    return plain(written) if isinstance(written, Tracked) else written


def _write_binary(value: Any, wrap: Wrap) -> Any:
    """Bytes stay as they are for the driver, which stores them as the same: a ``Binary`` is a copy
    of them, and they may be large."""
    return value if wrap is None and type(value) is bytes else Binary(value)


def _writer_of_part(field: Any, program: Program) -> ValueWriter:
    program_of = program.of

    def write(value: Any, wrap: Wrap) -> Any:
        declared = field.document_type
        if isinstance(value, declared) and declared.to_mongo in own_to_mongo:
            part = program_of(type(value))
            if part.reason is None:
                written = part.write(value, wrap)
                return written if wrap is None else wrap(written)
        return field.to_mongo(value, True)

    return write


def _writer_of_list(field: Any, program: Program) -> ValueWriter:
    inner = field.field
    passed: set[type] = set()
    if inner is not None and type(inner).to_mongo is BaseField.to_mongo:
        passed = set(scalar_types(inner))
    is_of_parts = type(inner) is EmbeddedDocumentField
    write_part = _writer_of_part(inner, program) if is_of_parts else None

    def write(value: Any, wrap: Wrap) -> Any:
        if inner is None and (copied := plain_copy(value)) is not None:
            return copied
        if isinstance(value, list):
            # Past BaseList's own iterator, which is a generator.
            if passed and passed.issuperset(map(type, list.__iter__(value))):
                return list_copy(value)
            if write_part is not None:
                return [write_part(item, wrap) for item in list.__iter__(value)]
        return field.to_mongo(value, True)

    return write


def _writer_of_mapping(field: Any) -> ValueWriter:
    is_untyped = field.field is None

    def write(value: Any, wrap: Wrap) -> Any:
        copied = plain_copy(value) if is_untyped else None
        return field.to_mongo(value, True) if copied is None else copied

    return write
