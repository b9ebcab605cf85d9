"""Makes a class's program: compiles its functions at the first use, or finds out why it has
none."""

from __future__ import annotations

import copy
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from mongoengine.base import BaseDocument
from mongoengine.base.document import NON_FIELD_ERRORS
from mongoengine.errors import ValidationError

from datalayer.documents.engine import attributes, mongoengine_internals
from datalayer.documents.engine.compile import c_table
from datalayer.documents.engine.compile.c_core import core
from datalayer.documents.engine.compile.codegen import on_first_call
from datalayer.documents.engine.compile.construct import constructor_for
from datalayer.documents.engine.compile.load import AnyReader, reader_for
from datalayer.documents.engine.compile.validate import validator_for
from datalayer.documents.engine.compile.write import (
    value_writer_for,
    with_unknown,
    writer_for,
)
from datalayer.documents.engine.field_plan import Plan, plan_for
from datalayer.documents.engine.mongoengine_internals import stock
from datalayer.documents.engine.program import Program
from datalayer.documents.engine.values.lazy_data import PartialData

_ATTRIBUTE = "_engine_program"
_TABLE = "_engine_table"


class _Own:
    """The functions that the engine puts in the place of MongoEngine's, with those: a class that
    has one of them doesn't override it."""

    init: set[Any] = {stock.document_init, stock.embedded_init}
    to_mongo: set[Any] = {stock.document_to_mongo, stock.embedded_to_mongo}
    validate: set[Any] = {stock.validate}
    get_changed_fields: set[Any] = {stock.get_changed_fields}


own = _Own

_compiling = threading.RLock()  # guards the compilation of a class, and _compiled
_compiled: weakref.WeakSet[Any] = weakref.WeakSet()  # the classes that have a program


class _Compiled(Program):
    """A program, with all that it takes to make it."""

    def __init__(self, model: Any, fields: Mapping[str, Any], *, dereferences: bool) -> None:
        self.model = model
        self.fields = fields
        self.dereferences = dereferences
        self.tracks_changes = getattr(model, "_tracks_changes", False)
        self.reason = reason_against(model)
        self.saves_as_stock = self.reason is not None
        self.fetches = False
        self.load: Callable[..., Any] | None = None
        self._without_dereferencing: Program | None = None
        if self.reason is not None:
            self.read = self._read_as_mongoengine
            self.construct = self._construct_as_mongoengine
            self.is_flat = False
            return
        self.plans = tuple(plan_for(model, name, field) for name, field in fields.items())
        self.by_name = {plan.name: plan for plan in self.plans}
        self.in_order = tuple(self.by_name[name] for name in model._fields_ordered)
        self.containers = tuple(plan for plan in self.in_order if plan.is_container)
        notes_itself = model._get_changed_fields in own.get_changed_fields
        self.is_flat = notes_itself and not self.containers
        self.is_embedded = not model._is_document
        self.shares_class_name = "_cls" not in fields
        self.has_own_clean = model.clean is not stock.clean
        self.has_own_validate = model.validate not in own.validate
        self.has_own_to_mongo = model.to_mongo not in own.to_mongo
        self.saves_as_stock = any(plan.field._auto_gen for plan in self.plans)
        self.keys = frozenset(plan.key for plan in self.plans)
        self.is_strict = bool(model._meta.get("strict", True))
        self.keeps_unknown = self.tracks_changes and not self.is_strict
        self.any_reader = AnyReader(self)
        self.read = self._read_first
        self.construct = self._construct_first
        self.reader = _in_python(reader_for, self)
        self.made = _in_python(constructor_for, self)
        self.write = _in_python(writer_for, self)
        self.errors_of = _in_python(validator_for, self)
        self._value_writers = {
            plan.name: value_writer_for(plan.field, self) for plan in self.plans
        }
        self.is_linkable = False
        self.table = c_table.use(self)
        if self.table is not None and not self.any_reader.is_eager:
            self.load = self._load_first
        if self.keeps_unknown:
            self.write = with_unknown(self.write, self)

    @staticmethod
    def of(model: Any) -> Program:
        return program_of(model)

    @property
    def without_dereferencing(self) -> Program:
        # MongoEngine copies the fields for each document that it reads so; one copy does.
        found = self._without_dereferencing
        if found is None:
            # Where MongoEngine reads, it copies them itself.
            fields = {} if self.reason is not None else copy.deepcopy(self.model._fields)
            found = self._without_dereferencing = _Compiled(self.model, fields, dereferences=False)
        return found

    def _use_links(self) -> None:
        # On first use, when the classes of all parts are defined.
        self.construct = self.made
        if self.table is not None:
            c_table.link(self, self.table)
            if self.dereferences and self.made == self.table.construct:
                type.__setattr__(self.model, _TABLE, self.table)

    def _construct_first(self, document: Any, values: dict[str, Any]) -> None:
        self._use_links()
        self.construct(document, values)

    def _read_first(self, son: Any, created: bool) -> Any:
        self._prepare_reading()
        return self.reader(son, created)

    def _load_first(self, raw: bytes, codec: Any) -> Any:
        self._prepare_reading()
        return self.table.load(raw, codec)

    def _prepare_reading(self) -> None:
        self._use_links()
        for field in self.fields.values():
            field.set_auto_dereferencing(self.dereferences)
        self.read = self.reader
        if self.load is not None:
            self.load = self.table.load

    def _read_as_mongoengine(self, son: Any, created: bool) -> Any:
        return stock.base_from_son(self.model, son, self.dereferences, created)

    def _construct_as_mongoengine(self, document: Any, values: dict[str, Any]) -> None:
        if self.model._is_document:
            stock.document_init(document, **values)
        else:
            stock.embedded_init(document, **values)

    def write_value(self, plan: Plan, value: Any) -> Any:
        return self._value_writers[plan.name](value, _as_it_is)

    def check(self, document: Any, clean: bool, *, skips: bool) -> None:
        errors: dict[str, Any] = {}
        if clean and self.has_own_clean:
            try:
                document.clean()
            except ValidationError as error:
                errors[NON_FIELD_ERRORS] = error
        found = self.errors_of(document, clean, skips)
        errors = {**errors, **found} if errors else found
        if errors and (errors := without_lacking(document, errors)):
            key = _shown_key(document)
            raise ValidationError(
                f"ValidationError ({document._class_name}:{key}) ", errors=errors
            )


def _in_python(make: Callable[[Program], Any], program: Program) -> Any:
    """What the generated Python does: all of it without the part in C, else what that leaves."""
    return make(program) if core is None else on_first_call(make, program)


def without_lacking(document: Any, errors: dict[str, Any]) -> dict[str, Any]:
    """The ``errors`` of fields that ``document`` was loaded with: nobody demands the others."""
    if not errors or type(document._data) is not PartialData:
        return errors
    return {name: error for name, error in errors.items() if not document._data.lacks(name)}


def _as_it_is(mapping: dict[str, Any]) -> dict[str, Any]:
    return mapping


def _shown_key(document: Any) -> Any:
    if hasattr(document, "pk"):
        return document.pk
    if document._instance and hasattr(document._instance, "pk"):
        return document._instance.pk
    return "None"


def _after_fork() -> None:
    global _compiling  # noqa: PLW0603 # another thread of the parent may have held it
    _compiling = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def program_of(model: Any) -> Program:
    """The program of ``model``, compiled on first use."""
    program: Program | None = model.__dict__.get(_ATTRIBUTE)
    return program if program is not None else _compile(model)


def forget_all() -> None:
    """Compile every class anew when it is used next: one may be linked to the other."""
    with _compiling:
        for model in list(_compiled):
            attributes.uninstall(model)
            type.__delattr__(model, _ATTRIBUTE)
            if _TABLE in model.__dict__:
                type.__delattr__(model, _TABLE)
        _compiled.clear()


def _compile(model: Any) -> Program:
    with _compiling:
        program: Program | None = model.__dict__.get(_ATTRIBUTE)
        if program is None:
            program = _Compiled(model, model._fields, dereferences=True)
            if program.reason is None:
                attributes.install(program)
            elif program.tracks_changes:
                attributes.install_tracking(model)
            type.__setattr__(model, _ATTRIBUTE, program)
            _compiled.add(model)
    return program


def reason_against(model: Any) -> str | None:
    """Why ``model`` takes MongoEngine's own path; ``None`` if it doesn't."""
    if not mongoengine_internals.is_supported():
        return f"the engine is off: {mongoengine_internals.unsupported_because()}"
    if model._dynamic:
        return "it is dynamic: its fields differ from document to document"
    if model.STRICT:
        return "it is STRICT, and keeps its values in another way"
    if model.__init__ not in own.init:
        return "it has its own __init__"
    if model.__new__ is not object.__new__:
        return "it has its own __new__"
    if model.__setattr__ is not stock.set_attribute:
        return "it has its own __setattr__"
    if not hasattr(model, "_fields") or model.__dictoffset__ == 0:
        return "it is no complete document class"
    for slot in ("_data", "_initialised", "_created", "_dynamic_fields", "_changed_fields"):
        if getattr(model, slot) is not getattr(BaseDocument, slot):
            return f"it has its own {slot}"
    return _reason_against_names(model._fields)


def _reason_against_names(fields: Mapping[str, Any]) -> str | None:
    keys = {field.db_field for field in fields.values()}
    if len(keys) < len(fields):
        return "two fields have the same key"
    for name, field in fields.items():
        if name != field.db_field and (name in keys or field.db_field in fields):
            return f"the field {name!r} and another one's key have the same name"
    return None
