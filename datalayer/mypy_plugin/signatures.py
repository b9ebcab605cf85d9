"""Gives each call the keywords that its model has, so that mypy itself compares names and types
with what it is given."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mypy.errorcodes import ARG_TYPE, CALL_ARG
from mypy.messages import format_type
from mypy.nodes import (
    ARG_NAMED,
    ARG_NAMED_OPT,
    ARG_OPT,
    ARG_POS,
    ARG_STAR2,
    CallExpr,
    Expression,
    OpExpr,
    RefExpr,
    StrExpr,
    TypeInfo,
    UnaryExpr,
)
from mypy.plugin import (
    CheckerPluginInterface,
    FunctionSigContext,
    MethodContext,
    MethodSigContext,
)
from mypy.subtypes import is_subtype
from mypy.types import CallableType, Instance, TupleType, Type, get_proper_type

from datalayer.mypy_plugin.keywords import Values, filtered, updated
from datalayer.mypy_plugin.models import (
    ANY,
    BASE_DOCUMENT,
    DOCUMENT,
    EMBEDDED_LIST,
    QUERYSET,
    base_of,
    fields_of,
    key_of,
    only_class,
    takes_any_name,
)
from datalayer.mypy_plugin.paths import UnknownName, field_at, unknown

_CONDITIONS = re.compile(r"datalayer\..*\bQ")
_MESSAGES_404 = frozenset({"message", "description"})
_ALWAYS_TAKEN = frozenset({"pk", "id", "_cls", "_created", "_text_score"})
_NAMED = frozenset({ARG_NAMED, ARG_NAMED_OPT, ARG_OPT, ARG_POS})
_TAKES_VALUES = frozenset({"create", "filter", "exclude", "get"})  # lists of parts filter by them
VALUES = frozenset({"scalar", "values_list", "distinct"})


def of_constructor(ctx: FunctionSigContext) -> CallableType:
    """``User(name=..., ...)``: the fields, none of which has to be given."""
    signature = ctx.default_signature
    made = get_proper_type(signature.ret_type)
    if not isinstance(made, Instance) or not isinstance(ctx.context, CallExpr):
        return signature
    initialiser = made.type.get_method("__init__")
    if initialiser is None or initialiser.info.fullname != BASE_DOCUMENT:
        return signature  # its own signature says what it takes
    return _with_keywords(signature, ctx.context, made.type, constructed, ctx.api)


def of_queryset(ctx: MethodSigContext) -> CallableType:
    """``objects(...)``, ``filter(...)``, ``update(...)`` and whatever else takes names."""
    signature, call = ctx.default_signature, ctx.context
    info = _model_of(ctx.type)
    if info is None or not isinstance(call, CallExpr) or not isinstance(signature, CallableType):
        return signature
    takes = signature.arg_names[-1] if signature.arg_kinds[-1:] == [ARG_STAR2] else None
    if takes == "query":
        _check_conditions(call, info, ctx.api)
        values = _filtered_or_404 if _called(call).endswith("_404") else filtered
        return _with_keywords(signature, call, info, values, ctx.api)
    if takes == "update":
        return _of_update(signature, call, info, ctx.api)
    if _called(call) in _TAKES_VALUES and takes is not None:
        return _with_keywords(signature, call, info, constructed, ctx.api)
    if {"fields", "keys", "field"} & set(signature.arg_names):
        _check_names(call, info, ctx.api)
    return signature


def of_document(ctx: MethodSigContext) -> CallableType:
    """``document.update(...)`` and ``document.modify(...)``."""
    kind = get_proper_type(ctx.type)
    signature = ctx.default_signature
    if not isinstance(kind, Instance) or not isinstance(ctx.context, CallExpr):
        return signature
    return _of_update(signature, ctx.context, kind.type, ctx.api)


def values_of(ctx: MethodContext) -> Type:
    """What ``scalar(...)``, ``values_list(...)`` and ``distinct(...)`` give."""
    info = _model_of(ctx.type)
    given = get_proper_type(ctx.default_return_type)
    names = [each for group in ctx.args for each in group]
    if info is None or not isinstance(given, Instance) or not given.args:
        return ctx.default_return_type
    types = [_read(info, each, ctx.api) for each in names]
    if given.type.fullname == "builtins.list":
        return given.copy_modified(args=[_member(types[0])]) if types else given
    if not types or base_of(given, QUERYSET) is None or len(given.args) != 2:
        return given
    item = types[0] if len(types) == 1 else _tuple_of(types, ctx.api)
    return given.copy_modified(args=[given.args[0], item])


def constructed(info: TypeInfo, keyword: str, api: CheckerPluginInterface) -> Type:
    """What a constructor's ``keyword`` takes; raises ``UnknownName``."""
    fields = fields_of(info)
    if keyword in fields:
        return fields[keyword].set
    if keyword == "pk":
        return key_of(info).set
    if keyword in _ALWAYS_TAKEN or takes_any_name(info):
        return ANY
    raise UnknownName(unknown(info, keyword, fields))


def _model_of(kind: Type) -> TypeInfo | None:
    proper = get_proper_type(kind)
    if not isinstance(proper, Instance):
        return None
    queryset = base_of(proper, QUERYSET) or base_of(proper, EMBEDDED_LIST)
    model = get_proper_type(queryset.args[0]) if queryset is not None and queryset.args else None
    while model is not None and hasattr(model, "upper_bound"):
        model = get_proper_type(model.upper_bound)
    if not isinstance(model, Instance) or model.type.fullname in (BASE_DOCUMENT, DOCUMENT):
        return None
    return model.type


def _called(call: CallExpr) -> str:
    return str(getattr(call.callee, "name", ""))


def _filtered_or_404(info: TypeInfo, keyword: str, api: CheckerPluginInterface) -> Type:
    if keyword in _MESSAGES_404 and keyword not in fields_of(info):
        return ANY
    return filtered(info, keyword, api)


def _of_update(
    signature: CallableType, call: CallExpr, info: TypeInfo, api: CheckerPluginInterface
) -> CallableType:
    """Updates are overloaded, of which mypy would show all variants for one wrong type."""
    own = {each for each in signature.arg_names[:-1] if each}
    for name, value in zip(call.arg_names, call.args, strict=True):
        if name is not None and name not in own:
            _check_value(updated, info, name, value, api)
    return signature


def _with_keywords(
    signature: CallableType,
    call: CallExpr,
    info: TypeInfo,
    values: Values,
    api: CheckerPluginInterface,
) -> CallableType:
    """The signature with each keyword of the call that is none of its own."""
    if signature.arg_kinds[-1:] != [ARG_STAR2]:
        return signature
    kinds = zip(signature.arg_names, signature.arg_kinds, strict=True)
    own = {name for name, kind in kinds if kind in _NAMED}
    names: list[str | None] = []
    types: list[Type] = []
    for name, value in zip(call.arg_names, call.args, strict=True):
        if name is None or name in own:
            continue
        names.append(name)
        types.append(_taken(values, info, name, value, api))
    return signature.copy_modified(
        arg_names=[*signature.arg_names[:-1], *names, signature.arg_names[-1]],
        arg_kinds=[*signature.arg_kinds[:-1], *[ARG_NAMED_OPT] * len(names), ARG_STAR2],
        arg_types=[*signature.arg_types[:-1], *types, signature.arg_types[-1]],
    )


def _taken(
    values: Values, info: TypeInfo, name: str, value: Expression, api: CheckerPluginInterface
) -> Type:
    try:
        return values(info, name, api)
    except UnknownName as exc:
        api.fail(str(exc), value, code=CALL_ARG)
        return ANY


def _check_conditions(call: CallExpr, info: TypeInfo, api: CheckerPluginInterface) -> None:
    """The same for each ``Q(...)`` among the arguments, which knows no model itself."""
    for argument, name in zip(call.args, call.arg_names, strict=True):
        for condition in _conditions(argument) if name is None else ():
            for keyword, value in zip(condition.arg_names, condition.args, strict=True):
                if keyword is not None:
                    _check_value(filtered, info, keyword, value, api)


def _check_value(
    values: Values, info: TypeInfo, name: str, value: Expression, api: CheckerPluginInterface
) -> None:
    """Compares by itself, where no signature could: of an overload mypy would show all."""
    expected = _taken(values, info, name, value, api)
    actual = api.get_expression_type(value, expected)
    if not is_subtype(actual, expected):
        given, wanted = (format_type(each, api.options) for each in (actual, expected))
        said = f'Argument "{name}" has incompatible type {given}; expected {wanted}'
        api.fail(said, value, code=ARG_TYPE)


def _conditions(expression: Expression) -> Iterator[CallExpr]:
    if isinstance(expression, OpExpr):
        yield from _conditions(expression.left)
        yield from _conditions(expression.right)
    elif isinstance(expression, UnaryExpr):
        yield from _conditions(expression.expr)
    elif (
        isinstance(expression, CallExpr)
        and isinstance(expression.callee, RefExpr)
        and _CONDITIONS.fullmatch(expression.callee.fullname)
    ):
        yield expression


def _check_names(call: CallExpr, info: TypeInfo, api: CheckerPluginInterface) -> None:
    for argument, name in zip(call.args, call.arg_names, strict=True):
        if name in (None, "field", "fields", "keys") and isinstance(argument, StrExpr):
            _taken(_named, info, argument.value, argument, api)


def _named(info: TypeInfo, text: str, api: CheckerPluginInterface) -> Type:
    """What the path in a text leads to; raises ``UnknownName``."""
    parts = text.lstrip("+-").replace("__", ".").split(".")
    if text.startswith("$") or parts == ["_id"] or "" in parts:
        return ANY
    return field_at(info, parts).get


def _read(info: TypeInfo, name: Expression, api: CheckerPluginInterface) -> Type:
    if not isinstance(name, StrExpr):
        return ANY
    try:
        return _named(info, name.value, api)
    except UnknownName:
        return ANY


def _member(kind: Type) -> Type:
    """``distinct`` gives the members of lists, and no list."""
    given = only_class(kind)
    members = base_of(given, "builtins.list") if given is not None else None
    return members.args[0] if members is not None else given or ANY


def _tuple_of(types: list[Type], api: CheckerPluginInterface) -> Type:
    return TupleType(types, api.named_generic_type("builtins.tuple", [ANY]))
