"""Which fields a model has, with the types that reading gives and that assigning takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mypy.maptype import map_instance_to_supertype
from mypy.nodes import TypeInfo, Var
from mypy.types import AnyType, Instance, NoneType, Type, TypeOfAny, UnionType, get_proper_type

BASE_DOCUMENT = "datalayer.documents._document.BaseDocument"
DOCUMENT = "datalayer.documents._document.Document"
EMBEDDED_DOCUMENT = "datalayer.documents._document.EmbeddedDocument"
FIELD = "datalayer.fields._field.Field"
LAZY_REFERENCE = "datalayer.fields._references.LazyReference"
QUERYSET = "datalayer.documents._queryset.BaseQuerySet"
EMBEDDED_LIST = "datalayer.fields._embedded.EmbeddedDocumentList"
METADATA = "datalayer"
"""What ``hooks`` keeps of a class's body, which mypy's cache doesn't."""
VERSION = "version"
"""The field that ``meta = {"versioned": True}`` adds."""
_DYNAMIC = "datalayer.documents._document._Dynamic"
_OWN_MODULES = ("datalayer.documents.", "datalayer.fields.")

ANY = AnyType(TypeOfAny.special_form)


@dataclass(frozen=True, slots=True)
class FieldTypes:
    """What reading a field gives, and what may be assigned."""

    get: Type
    set: Type


ANYTHING = FieldTypes(ANY, ANY)


def declared(info: TypeInfo, name: str) -> Any:
    """What the class or the nearest of its bases says under ``name``, in ``meta`` or by a
    field's option; ``None`` where none does."""
    for each in info.mro:
        said = each.metadata.get(METADATA, {})
        if name in said:
            return said[name]
    return None


def takes_any_name(info: TypeInfo) -> bool:
    """Whether documents may have fields that the class doesn't declare."""
    return info.fallback_to_any or info.has_base(_DYNAMIC) or declared(info, "strict") is False


def finds_any_name(info: TypeInfo) -> bool:
    """Whether a filter may ask for fields that the class doesn't declare: a subclass may."""
    own = info.metadata.get(METADATA, {})
    return bool(takes_any_name(info) or declared(info, "allow_inheritance") or own.get("abstract"))


def fields_of(info: TypeInfo) -> dict[str, FieldTypes]:
    """The fields by their names, those of bases and mixins included."""
    found: dict[str, FieldTypes] = {}
    for each in reversed(info.mro):
        is_own = each.fullname.startswith(_OWN_MODULES)
        for name, symbol in each.names.items():
            if not isinstance(symbol.node, Var) or (is_own and name == "pk"):
                continue
            types = _types_of(symbol.node, is_own)
            if name == VERSION and symbol.plugin_generated and symbol.node.type is not None:
                types = FieldTypes(symbol.node.type, symbol.node.type)
            if types is not None:
                found[name] = types
    key = declared(info, "primary_key")
    if key in found and key != "id":
        found.pop("id", None)
    return found


def key_of(info: TypeInfo) -> FieldTypes:
    """The types of the primary key."""
    return fields_of(info).get(declared(info, "primary_key") or "id", ANYTHING)


def _types_of(node: Var, is_own: bool) -> FieldTypes | None:
    if node.type is None:  # not inferred so far: it may be anything
        return None if is_own else ANYTHING
    kind = get_proper_type(node.type)
    if isinstance(kind, AnyType):  # a field without types, such as MongoEngine's own
        return None if is_own or node.name.startswith("_") else ANYTHING
    if not isinstance(kind, Instance):
        return None
    field = base_of(kind, FIELD)
    return FieldTypes(*field.args) if field is not None and len(field.args) == 2 else None


def base_of(kind: Instance, fullname: str) -> Instance | None:
    """``kind`` as its base of that name."""
    for each in kind.type.mro:
        if each.fullname == fullname:
            return map_instance_to_supertype(kind, each)
    return None


def alternatives(kind: Type) -> list[Type]:
    """The members of a union, or the type alone."""
    proper = get_proper_type(kind)
    if isinstance(proper, UnionType):
        return [one for each in proper.items for one in alternatives(each)]
    return [proper]


def only_class(kind: Type) -> Instance | None:
    """The class of a value where that is one alone, ``None`` aside."""
    kinds = [each for each in alternatives(kind) if not isinstance(each, NoneType)]
    return kinds[0] if len(kinds) == 1 and isinstance(kinds[0], Instance) else None
