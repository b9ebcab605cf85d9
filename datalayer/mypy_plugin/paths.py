"""Where names with ``__`` between them lead from a model: into lists, mappings and parts."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from mypy.nodes import TypeInfo
from mypy.types import AnyType, Instance, TypeVarType, get_proper_type

from datalayer.mypy_plugin.models import (
    ANYTHING,
    DOCUMENT,
    EMBEDDED_DOCUMENT,
    FieldTypes,
    alternatives,
    base_of,
    fields_of,
    finds_any_name,
    key_of,
    only_class,
)

_POSITION = re.compile(r"\d+|S|\$|\$\[\w*\]")
_REFERENCES = (DOCUMENT, "bson.dbref.DBRef")


class UnknownName(Exception):
    """A name leads nowhere; says so."""


def field_at(info: TypeInfo, parts: Sequence[str]) -> FieldTypes:
    """The types at the end of a path that begins with a field of ``info``.

    Raises:
        UnknownName: with what is wrong, for the user.
    """
    types = _field_of(info, parts[0])
    path = parts[0]
    for part in parts[1:]:
        types = _inside(types, part, path)
        path = f"{path}.{part}"
    return types


def unknown(info: TypeInfo, name: str, names: Iterable[str]) -> str:
    """The message for a name that isn't there, with close ones."""
    close = difflib.get_close_matches(name, names, 3)
    said = f'"{info.name}" has no field "{name}"'
    if not close:
        return said
    quoted = " or ".join(f'"{each}"' for each in close)
    return f"{said}; did you mean {quoted}?"


def _field_of(info: TypeInfo, name: str) -> FieldTypes:
    fields = fields_of(info)
    if name in fields:
        return fields[name]
    if name == "pk":
        return key_of(info)
    if name == "_cls" or finds_any_name(info):
        return ANYTHING
    raise UnknownName(unknown(info, name, [*fields, "pk"]))


def _inside(types: FieldTypes, part: str, path: str) -> FieldTypes:
    kind = only_class(types.get)
    if kind is None:
        if _may_be_anything(types):
            return ANYTHING
        raise UnknownName(f'"{path}" has no field "{part}"')
    if (members := base_of(kind, "builtins.list")) is not None:
        member = FieldTypes(members.args[0], members.args[0])
        return member if _POSITION.fullmatch(part) else _inside(member, part, path)
    if (mapping := base_of(kind, "builtins.dict")) is not None:
        return FieldTypes(mapping.args[1], mapping.args[1])
    if kind.type.has_base(EMBEDDED_DOCUMENT):
        return _field_of(kind.type, part)
    if any(kind.type.has_base(each) for each in _REFERENCES):
        raise UnknownName(
            f'"{path}" refers to another collection: its documents\' "{part}" can\'t be asked for '
            "here; ask for them first, and then by __in"
        )
    if part.isdigit() or kind.type.fallback_to_any or kind.type.fullname == "builtins.object":
        return ANYTHING
    raise UnknownName(f'"{path}" has no field "{part}"')


def _may_be_anything(types: FieldTypes) -> bool:
    kinds = alternatives(types.get)
    return any(isinstance(each, (AnyType, TypeVarType)) for each in kinds) or any(
        isinstance(get_proper_type(each), Instance) for each in kinds
    )
