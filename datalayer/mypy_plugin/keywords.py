"""What a keyword of a filter or an update leads to, and which values it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mypy.nodes import TypeInfo
from mypy.plugin import CheckerPluginInterface
from mypy.typeops import make_simplified_union
from mypy.types import AnyType, Instance, NoneType, Type

from datalayer.mypy_plugin.models import (
    ANY,
    DOCUMENT,
    EMBEDDED_DOCUMENT,
    LAZY_REFERENCE,
    FieldTypes,
    alternatives,
    base_of,
    key_of,
    only_class,
)
from datalayer.mypy_plugin.paths import field_at

COMPARISONS = frozenset({"ne", "gt", "gte", "lt", "lte"})
MEMBERSHIPS = frozenset({"in", "nin", "all"})
TEXTS = frozenset(
    {"contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "exact"}
    | {"iexact", "regex", "iregex", "wholeword", "iwholeword"}
)
PLACES = frozenset(
    {"within_distance", "within_spherical_distance", "within_box", "within_polygon", "near"}
    | {"near_sphere", "max_distance", "min_distance", "geo_within", "geo_within_box"}
    | {"geo_within_polygon", "geo_within_center", "geo_within_sphere", "geo_intersects"}
)
OTHERS = frozenset({"mod", "size", "exists", "elemMatch", "type", "match"})
FILTERS = COMPARISONS | MEMBERSHIPS | TEXTS | PLACES | OTHERS
UPDATES = frozenset(
    {"set", "unset", "inc", "dec", "mul", "pop", "push", "push_all", "pull", "pull_all"}
    | {"add_to_set", "set_on_insert", "min", "max", "rename"}
)
_AMOUNTS = frozenset({"inc", "dec", "mul"})
_NUMBERS = ("builtins.int", "builtins.float", "decimal.Decimal")
_ALSO_TEXT = ("bson.objectid.ObjectId", "uuid.UUID", "decimal.Decimal")
_ALSO_NUMBERS = ("decimal.Decimal",)

Values = Callable[[TypeInfo, str, CheckerPluginInterface], Type]


def filtered(info: TypeInfo, keyword: str, api: CheckerPluginInterface) -> Type:
    """What a filter's ``keyword`` takes; raises ``UnknownName``."""
    if keyword == "__raw__":
        return ANY
    parts, operator = _without_operator(keyword.split("__"))
    types = field_at(info, parts)
    return _compared(types, operator, api)


def updated(info: TypeInfo, keyword: str, api: CheckerPluginInterface) -> Type:
    """What an update's ``keyword`` takes; raises ``UnknownName``."""
    if keyword == "__raw__":
        return ANY
    parts = keyword.split("__")
    operator = parts.pop(0) if len(parts) > 1 and parts[0] in UPDATES else "set"
    comparison = None
    if operator == "pull" and len(parts) > 1 and parts[-1] in COMPARISONS | MEMBERSHIPS:
        comparison = parts.pop()
    if len(parts) > 1 and parts[-1] == "":
        parts.pop()
    types = field_at(info, parts)
    if operator == "pull":
        return _compared(_member_of(types), comparison, api) if comparison else ANY
    return _changed(types, operator, api)


def _without_operator(parts: list[str]) -> tuple[Sequence[str], str | None]:
    operator = parts.pop() if len(parts) > 1 and parts[-1] in FILTERS | {"not"} else None
    if len(parts) > 1 and parts[-1] == "":  # escapes a field called like an operator
        parts.pop()
    if len(parts) > 1 and parts[-1] == "not":
        parts.pop()
    return parts, None if operator == "not" else operator


def _compared(types: FieldTypes, operator: str | None, api: CheckerPluginInterface) -> Type:
    if operator is None or operator in COMPARISONS:
        return comparable(types, api)
    if operator in MEMBERSHIPS:
        return api.named_generic_type("typing.Iterable", [comparable(types, api)])
    if operator == "exists":
        return api.named_generic_type("builtins.bool", [])
    if operator == "size":
        return api.named_generic_type("builtins.int", [])
    if operator in TEXTS and "regex" not in operator:
        return _text(api)
    return ANY


def _changed(types: FieldTypes, operator: str, api: CheckerPluginInterface) -> Type:
    if operator in _AMOUNTS:
        return _amount(types, api)
    if operator in ("push", "add_to_set"):
        member = _member_of(types).set
        several = api.named_generic_type("builtins.list", [member])
        return make_simplified_union([member, several, *_as_mappings(member, api)])
    if operator in ("push_all", "pull_all"):
        return api.named_generic_type("typing.Iterable", [_member_of(types).set])
    if operator == "pop":
        return api.named_generic_type("builtins.int", [])
    if operator == "rename":
        return _text(api)
    if operator == "unset":
        return ANY
    return make_simplified_union([types.set, types.get, *_as_mappings(types.get, api)])


def comparable(types: FieldTypes, api: CheckerPluginInterface) -> Type:
    """What a field may be compared with."""
    accepted: list[Type] = [*alternatives(types.set), *alternatives(types.get), NoneType()]
    if any(isinstance(each, AnyType) for each in accepted):
        return ANY
    for kind in [each for each in accepted if isinstance(each, Instance)]:
        if base_of(kind, "builtins.dict") is not None:
            return ANY
        accepted += _also(kind, api)
    return make_simplified_union(accepted)


def _also(kind: Instance, api: CheckerPluginInterface) -> list[Type]:
    """What else stands for a ``kind`` in a filter."""
    name = kind.type.fullname
    if (members := base_of(kind, "builtins.list")) is not None:
        return [comparable(FieldTypes(members.args[0], members.args[0]), api)]
    if kind.type.has_base(EMBEDDED_DOCUMENT):
        return _as_mappings(kind, api)
    if name == LAZY_REFERENCE and kind.args:
        return [each for one in alternatives(kind.args[0]) for each in _key_types(one, api)]
    if kind.type.has_base(DOCUMENT):
        return _key_types(kind, api)
    found: list[Type] = []
    if name in _ALSO_TEXT:
        found.append(_text(api))
    if name in _ALSO_NUMBERS:
        found.append(api.named_generic_type("builtins.float", []))
    if name == "datetime.datetime":
        found += [Instance(each, []) for each in kind.type.mro if each.name == "date"]
    if name == "builtins.str":
        found.append(api.named_generic_type("re.Pattern", [_text(api)]))
    return found


def _key_types(kind: Type, api: CheckerPluginInterface) -> list[Type]:
    if not isinstance(kind, Instance) or kind.type.fullname == DOCUMENT:
        return [ANY]
    key = key_of(kind.type)
    if (model := only_class(key.get)) is not None and model.type.has_base(DOCUMENT):
        return [ANY]  # a key that is a reference itself
    return [comparable(key, api)]


def _as_mappings(kind: Type, api: CheckerPluginInterface) -> list[Type]:
    """Parts may be given as mappings."""
    part = only_class(kind)
    if part is None or not part.type.has_base(EMBEDDED_DOCUMENT):
        return []
    return [api.named_generic_type("builtins.dict", [_text(api), ANY])]


def _amount(types: FieldTypes, api: CheckerPluginInterface) -> Type:
    kind = only_class(types.get)
    if kind is None or kind.type.fullname not in _NUMBERS:
        return ANY
    if kind.type.fullname == "decimal.Decimal":
        return make_simplified_union([types.get, api.named_generic_type("builtins.float", [])])
    return api.named_generic_type(kind.type.fullname, [])


def _member_of(types: FieldTypes) -> FieldTypes:
    kind = only_class(types.get)
    members = base_of(kind, "builtins.list") if kind is not None else None
    return FieldTypes(members.args[0], members.args[0]) if members else FieldTypes(ANY, ANY)


def _text(api: CheckerPluginInterface) -> Instance:
    return api.named_generic_type("builtins.str", [])
