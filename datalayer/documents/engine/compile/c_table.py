"""A class's table for the loops in C: its fields in rows, linked to the tables of the embedded
documents in them."""

from __future__ import annotations

from typing import Any

from mongoengine.errors import NotRegistered, ValidationError
from mongoengine.fields import EmbeddedDocumentField, EmbeddedDocumentListField, ListField

from datalayer.documents.engine.compile.c_core import core
from datalayer.documents.engine.compile.construct import preset_for, taker_for
from datalayer.documents.engine.compile.encode import direct_encoding_of
from datalayer.documents.engine.compile.lazy_reads import waiting_tests
from datalayer.documents.engine.compile.load import assigner_for
from datalayer.documents.engine.compile.validate import check_for, is_required, judge_for, missing
from datalayer.documents.engine.compile.write import own_to_mongo, value_writer_for
from datalayer.documents.engine.field_plan import Load, Plan
from datalayer.documents.engine.mongoengine_internals import post_init, pre_init
from datalayer.documents.engine.program import Program


class _Never:
    """No value is of this type."""


def use(program: Program) -> Any:
    """Let ``program`` use the loops in C for what they know; returns its table, if it has one."""
    if core is None or not program.plans:
        return None
    table = _table_of(program)
    is_assigned = any(plan.load is Load.ASSIGNED for plan in program.plans)
    makes_keys = any(plan.field._auto_gen for plan in program.plans)
    has_key = program.is_embedded or any(plan.key == "_id" for plan in program.plans)
    program.reader = table.read if program.any_reader.is_regular else program.any_reader
    if not is_assigned:
        program.made = table.construct
    if has_key and not makes_keys:
        program.write = table.write
        if not (program.is_embedded or program.has_own_to_mongo or program.keeps_unknown):
            program.encode = table.encode
    program.errors_of = table.errors_of
    program.is_linkable = not (program.any_reader.is_eager or makes_keys or program.keeps_unknown)
    return table


def in_table_order(program: Program) -> tuple[Plan, ...]:
    """The fields as they stand in a table: the key first, the others as they are written."""
    return tuple(sorted(program.in_order, key=lambda plan: plan.key != "_id"))


def link(program: Program, table: Any) -> None:
    """Tell the ``table`` of ``program`` of the tables of the embedded documents in its fields."""
    for index, plan in enumerate(in_table_order(program)):
        field: Any = plan.field
        is_list = type(field) in (ListField, EmbeddedDocumentListField)
        holder: Any = field.field if is_list else field
        if type(holder) is not EmbeddedDocumentField or plan.load is not Load.DEFERRED:
            continue
        try:
            part = program.of(holder.document_type)
        except (NotRegistered, ValidationError):
            continue  # its class isn't defined yet
        if (
            part.reason is not None
            or not part.is_linkable
            or part.model.to_mongo not in own_to_mongo
        ):
            continue
        if not program.dereferences:
            part = part.without_dereferencing
        is_free = (
            not any(each.choices or each.validation is not None for each in {field, holder})
            and getattr(field, "max_length", None) is None
        )
        validates = is_free and not part.has_own_clean and not part.has_own_validate
        table.link(index, part.table, is_list, validates)


def _table_of(program: Program) -> Any:
    ordered = in_table_order(program)
    allows = bool(program.model._meta.get("allow_inheritance"))
    receivers = tuple(
        signal.receivers for signal in (pre_init, post_init) if isinstance(signal.receivers, dict)
    )
    may_wait = waiting_tests(program)
    return core.Table(
        fields=tuple(_row(plan, program, may_wait.get(plan.name)) for plan in ordered),
        model=program.model,
        class_name=program.model._class_name,
        converters=program.any_reader.converters,
        finish=program.any_reader.finish,
        missing=missing,
        allowed=frozenset(plan.name for plan in ordered),
        read_otherwise=program.any_reader,
        construct_otherwise=program.made,
        receivers=receivers,
        prefix=program.model._class_name if allows else None,
        keys=program.keys if program.is_strict else None,
        is_embedded=program.is_embedded,
        id_first=ordered[0].key == "_id",
    )


_LOADS = (Load.SCALAR, Load.AS_IS, Load.DEFERRED, Load.CONVERTED)
_CLASS_NAME = 4
_ASSIGN = 5


def _row(plan: Plan, program: Program, may_wait: Any) -> dict[str, Any]:
    """One field, by the names that the part in C has for what it knows of it."""
    field = plan.field
    if plan.name == "_cls":
        load = _CLASS_NAME
    else:
        load = _LOADS.index(plan.load) if plan.load in _LOADS else _ASSIGN
    is_part = type(field) is EmbeddedDocumentField and may_wait is not None
    preset_kind, preset = preset_for(plan, program)
    check = check_for(field)
    return {
        "name": plan.name,
        "key": plan.key,
        "type": plan.types[0] if plan.types else _Never,
        "raw_type": None if plan.deferred in (None, object) else plan.deferred,
        "may_wait": may_wait if is_part else None,
        "to_python": field.to_python,
        "preset": preset,
        "take": taker_for(plan),
        "written": plan.written[0] if plan.written else _Never,
        "write": value_writer_for(field, program),
        "passing": check.type,
        "judge": judge_for(field),
        "field": field,
        "assign": assigner_for(plan) if load == _ASSIGN else None,
        "load": load,
        "preset_kind": int(preset_kind),
        "check": int(check.passing),
        "is_null": bool(field.null and plan.key != "_id"),
        "is_required": is_required(field),
        "shortest": check.shortest,
        "longest": check.longest,
        "direct": direct_encoding_of(field),
    }
