"""Compiled reading: a document from what the driver gave, without a call per field."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from mongoengine.base import BaseDocument, get_document
from mongoengine.errors import NotRegistered

from datalayer.documents.engine.compile.codegen import Names, compiled
from datalayer.documents.engine.compile.lazy_reads import converters_for, default_of, waiting_tests
from datalayer.documents.engine.field_plan import Load, Plan
from datalayer.documents.engine.mongoengine_internals import (
    EMPTY,
    listened_to,
    post_init,
    pre_init,
    slots,
    stock,
)
from datalayer.documents.engine.program import Program
from datalayer.documents.engine.values.lazy_data import LazyData

Reader = Callable[[Any, bool], Any]


def reader_for(program: Program) -> Reader:
    """The function that makes a document of ``program``'s class from a dictionary.

    A document that has every field, each of the expected type, takes a compiled path; another
    one a loop over its fields; and what is out of the ordinary is left to MongoEngine, errors
    included.
    """
    any_document: AnyReader = program.any_reader
    return _reader_of_complete(program, any_document) if any_document.is_regular else any_document


def finisher_for(program: Program) -> Callable[[Any], None] | None:
    """What gives a new document the rest that MongoEngine gives each one, where there is any."""
    # Where the class has a method of this name, MongoEngine's stands before it.
    shows = any(
        plan.field.choices and hasattr(program.model, f"get_{plan.name}_display")
        for plan in program.plans
    )
    fields = None if program.dereferences else program.fields
    if not shows and fields is None:
        return None

    def finish(document: Any) -> None:
        if shows:
            document._BaseDocument__set_field_display()
        if fields is not None:
            document._fields = fields

    return finish


def _reader_of_complete(program: Program, any_document: AnyReader) -> Reader:
    names = Names(
        any_document=any_document,
        converters=any_document.converters,
        Data=LazyData,
        EMPTY=EMPTY,
        finish=any_document.finish,
        listened_to=listened_to,
        model=program.model,
        new=object.__new__,
        post=post_init,
        pre=pre_init,
        ref=weakref.ref,
        set_changed=slots.changed_fields,
        set_created=slots.created,
        set_data=slots.data,
        set_dynamic=slots.dynamic_fields,
        set_initialised=slots.initialised,
        set_instance=slots.instance,
    )
    taken: list[str] = []
    tests: list[str] = []
    now: list[str] = []
    later: list[str] = []
    for number, plan in enumerate(program.plans):
        value = f"v{number}"
        taken.append(f"  {value} = son[{plan.key!r}]")
        tests.append(_test(plan, value, any_document, names))
        if plan.load is Load.CONVERTED:
            convert = names.add(plan.field.to_python)
            taken.append(f"  if {value} is not None: {value} = {convert}({value})")
        (later if plan.load is Load.DEFERRED else now).append(f"{plan.name!r}: {value}")
    lines = [
        "def read(son, created=False):",
        f" if type(son) is not dict or len(son) != {len(program.plans)}:",
        "  return any_document(son, created)",
        " if (pre.receivers or post.receivers) and listened_to(model):",
        "  return any_document(son, created)",
        " try:",
        *taken,
        " except (KeyError, AttributeError, ValueError):",
        "  return any_document(son, created)",
        *_unless_all(tests, "return any_document(son, created)"),
        " document = new(model)",
        *_data_lines(", ".join(now), ", ".join(later)),
        " set_initialised(document, True)",
        " set_created(document, created)",
        " set_dynamic(document, EMPTY)",
        " set_changed(document, [])",
    ]
    if program.is_embedded:
        lines.append(" set_instance(document, None)")
    if any_document.finish is not None:
        lines.append(" finish(document)")
    read: Reader = compiled([*lines, " return document"], "read", names, program.model)
    return read


def _data_lines(now: str, later: str) -> list[str]:
    if not later:
        return [f" set_data(document, {{{now}}})"]
    return [
        f" data = Data({{{now}}})",
        f" data.pending = {{{later}}}",
        " data.converters = converters",
        " data.document = ref(document)",
        " set_data(document, data)",
    ]


def _test(plan: Plan, value: str, any_document: AnyReader, names: Names) -> str:
    if plan.name == "_cls":
        return f"{value} == {any_document.model._class_name!r}"
    if plan.load is Load.SCALAR:
        return f"type({value}) is {names.add(plan.types[0])}"
    if plan.load is not Load.DEFERRED or plan.deferred is object:
        return f"{value} is not None"
    if plan.deferred is list:
        return f"type({value}) is list"
    return f"{names.add(any_document.waiting[plan.name])}({value})"


def _unless_all(tests: list[str], otherwise: str) -> list[str]:
    lines = []
    for start in range(0, len(tests), 50):  # the parser goes only so deep
        lines += [f" if not ({' and '.join(tests[start : start + 50])}):", f"  {otherwise}"]
    return lines


class AnyReader:
    """Reads any document of a class, field by field."""

    def __init__(self, program: Program) -> None:
        self.model = program.model
        self.program = program
        self.is_eager = bool(program.model._meta.get("eager"))
        is_assigned = any(plan.load is Load.ASSIGNED for plan in program.plans)
        self.is_regular = bool(program.plans) and not self.is_eager and not is_assigned
        self.converters = converters_for(program)
        self.waiting = {} if self.is_eager else waiting_tests(program)
        self.finish = finisher_for(program)
        # MongoEngine takes an attribute's name for a key, too, and gives these a meaning.
        self.special = {"id", "pk"} | {
            plan.name for plan in program.plans if plan.name != plan.key
        }

    def __call__(self, son: Any, created: bool = False) -> Any:
        """A document from what the driver gave."""
        program = self.program
        if not isinstance(son, dict) or not son or listened_to(self.model):
            return self._as_mongoengine(son, created)
        named = son.get("_cls", self.model._class_name)
        if named != self.model._class_name:
            other = get_document(named)
            if other is not self.model:
                return other._from_son(
                    son, _auto_dereference=program.dereferences, created=created
                )
        unknown = son.keys() - program.keys
        if unknown and not self._may_stay(unknown, created):
            return self._as_mongoengine(son, created)
        document = object.__new__(self.model)
        try:
            self._fill(document, son)
        except (AttributeError, ValueError):
            return self._as_mongoengine(son, created)
        for key in unknown:
            if key != "_cls":
                document._data[key] = son[key]
            elif named != self.model._class_name:
                document._cls = named
        self._complete(document, created)
        return document

    def _complete(self, document: Any, created: bool) -> None:
        slots.initialised(document, True)
        slots.created(document, created)
        slots.changed_fields(document, [])
        if self.program.is_embedded:
            slots.instance(document, None)
        if self.finish is not None:
            self.finish(document)
        if self.is_eager:
            _settle(document)

    def loader_of(self, class_name: str) -> Any:
        """What makes documents of another class of their bytes; ``None`` where nothing does."""
        try:
            other: Any = get_document(class_name)
        except NotRegistered:
            return None
        uses_engine = getattr(other._from_son, "__func__", None) is self.model._from_son.__func__
        if other is self.model or not uses_engine:
            return None
        program = self.program.of(other)
        if not self.program.dereferences:
            program = program.without_dereferencing
        return program.load

    def _as_mongoengine(self, son: Any, created: bool) -> Any:
        return stock.base_from_son(self.model, son, self.program.dereferences, created)

    def _may_stay(self, unknown: set[Any], created: bool) -> bool:
        if not self.special.isdisjoint(unknown) or not all(type(key) is str for key in unknown):
            return False
        is_strict = self.program.is_strict or created
        return not is_strict or unknown <= {"_cls", "_text_score"}

    def _default_of(self, plan: Plan) -> Any:
        return self.model._class_name if plan.name == "_cls" else default_of(plan.field)

    def _fill(self, document: Any, son: dict[str, Any]) -> None:
        slots.initialised(document, False)
        slots.created(document, True)
        slots.dynamic_fields(document, EMPTY)
        data: dict[str, Any] = {}
        pending: dict[str, Any] = {}
        if self.waiting:
            lazy = data = LazyData()
            lazy.pending = pending
            lazy.converters = self.converters
            lazy.document = weakref.ref(document)
        slots.data(document, data)
        put = dict.__setitem__
        for plan in self.program.plans:
            value = son.get(plan.key)
            load = plan.load
            if load is Load.ASSIGNED:
                _assign(document, plan, value, plan.key in son)
            elif value is None:
                if plan.field.default is None or plan.is_set_plainly:
                    put(data, plan.name, self._default_of(plan))
                else:
                    _assign(document, plan, None, True)
            elif load is Load.AS_IS or type(value) in plan.types:
                put(data, plan.name, value)
            elif load is not Load.DEFERRED:
                put(data, plan.name, plan.field.to_python(value))
            elif plan.name in self.waiting and self.waiting[plan.name](value):
                pending[plan.name] = value
            else:
                _assign(document, plan, value, True)


def assigner_for(plan: Plan) -> Callable[[Any, Any, bool], None]:
    """What assigns a value that was loaded, or ``None`` where there is none, through its field."""

    def assign(document: Any, value: Any, is_given: bool) -> None:
        _assign(document, plan, value, is_given)

    return assign


def _assign(document: Any, plan: Plan, value: Any, is_given: bool) -> None:
    if not is_given:
        value = getattr(document, plan.name, None)
    elif value is not None:
        value = plan.field.to_python(value)
    setattr(document, plan.name, value)


def _settle(value: Any) -> None:
    """Convert all that waits in ``value``, at any depth."""
    if isinstance(value, BaseDocument):
        for each in value._data.values():
            _settle(each)
    elif isinstance(value, (list, dict)):
        for each in list(value.values() if isinstance(value, dict) else value):
            _settle(each)
