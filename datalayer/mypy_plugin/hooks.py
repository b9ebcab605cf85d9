"""Where mypy asks about a model, its querysets and its documents, and what it keeps of a class."""

from __future__ import annotations

from collections.abc import Callable

from mypy.nodes import (
    AssignmentStmt,
    CallExpr,
    DictExpr,
    Expression,
    NameExpr,
    RefExpr,
    StrExpr,
    TypeAlias,
    TypeInfo,
    Var,
)
from mypy.plugin import (
    AttributeContext,
    ClassDefContext,
    FunctionSigContext,
    MethodContext,
    MethodSigContext,
    Plugin,
)
from mypy.plugins.common import add_attribute_to_class
from mypy.types import (
    CallableType,
    FunctionLike,
    Instance,
    NoneType,
    Type,
    TypeType,
    UnionType,
    get_proper_type,
)

from datalayer.mypy_plugin import signatures
from datalayer.mypy_plugin.models import (
    BASE_DOCUMENT,
    DOCUMENT,
    EMBEDDED_LIST,
    METADATA,
    QUERYSET,
    VERSION,
    base_of,
    declared,
)

_MODEL_METHODS = frozenset({"update", "modify"})


class DatalayerPlugin(Plugin):
    """mypy's plugin: takes part wherever a document or a queryset does."""

    def get_base_class_hook(self, fullname: str) -> Callable[[ClassDefContext], None] | None:
        """Keeps what a model's body says, which isn't in mypy's cache."""
        return _remember if self._is(fullname, BASE_DOCUMENT) else None

    def get_function_signature_hook(
        self, fullname: str
    ) -> Callable[[FunctionSigContext], FunctionLike] | None:
        """Gives constructors their fields."""
        return signatures.of_constructor if self._is(fullname, BASE_DOCUMENT) else None

    def get_method_signature_hook(
        self, fullname: str
    ) -> Callable[[MethodSigContext], FunctionLike] | None:
        """Gives querysets' and documents' methods their keywords."""
        owner, _, method = fullname.rpartition(".")
        if self._has(owner, method, QUERYSET) or self._has(owner, method, EMBEDDED_LIST):
            return signatures.of_queryset
        if method in _MODEL_METHODS and self._has(owner, method, DOCUMENT):
            return signatures.of_document
        return None

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        """Gives single values their types."""
        owner, _, method = fullname.rpartition(".")
        if method in signatures.VALUES and self._has(owner, method, QUERYSET):
            return signatures.values_of
        return None

    def get_class_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        """Gives ``Model.objects`` the queryset class of ``meta``."""
        owner, _, attribute = fullname.rpartition(".")
        if attribute == "objects" and self._is(owner, DOCUMENT):
            return self._objects
        return None

    def _objects(self, ctx: AttributeContext) -> Type:
        model = _class_of(ctx.type)
        given = get_proper_type(ctx.default_attr_type)
        name = declared(model.type, "queryset_class") if model is not None else None
        queryset = self._class(name) if name else None
        if model is None or queryset is None or not isinstance(given, Instance):
            return ctx.default_attr_type
        if base_of(given, QUERYSET) is None or not queryset.has_base(QUERYSET):
            return ctx.default_attr_type
        return Instance(queryset, [model] * len(queryset.type_vars))

    def _is(self, fullname: str, base: str) -> bool:
        info = self._class(fullname)
        return info is not None and info.has_base(base)

    def _has(self, fullname: str, method: str, base: str) -> bool:
        """Whether the class has the method from datalayer, and none of its own."""
        info = self._class(fullname)
        if info is None or not info.has_base(base):
            return False
        home = info.get_containing_type_info(method)
        return home is not None and home.module_name.startswith("datalayer.")

    def _class(self, fullname: str) -> TypeInfo | None:
        symbol = self.lookup_fully_qualified(fullname) if "." in fullname else None
        node = symbol.node if symbol is not None else None
        if isinstance(node, TypeAlias):
            target = get_proper_type(node.target)
            node = target.type if isinstance(target, Instance) else None
        return node if isinstance(node, TypeInfo) and node.mro else None


def _class_of(kind: Type) -> Instance | None:
    proper = get_proper_type(kind)
    if isinstance(proper, TypeType):
        proper = get_proper_type(proper.item)
    elif isinstance(proper, CallableType):
        proper = get_proper_type(proper.ret_type)
    upper = getattr(proper, "upper_bound", None)
    proper = get_proper_type(upper) if upper is not None else proper
    return proper if isinstance(proper, Instance) else None


def _remember(ctx: ClassDefContext) -> None:
    said: dict[str, object] = {}
    for statement in ctx.cls.defs.body:
        if not isinstance(statement, AssignmentStmt):
            continue
        target = statement.lvalues[0]
        if not isinstance(target, NameExpr):
            continue
        if target.name == "meta" and isinstance(statement.rvalue, DictExpr):
            said.update(_of_meta(statement.rvalue, ctx))
        elif isinstance(statement.rvalue, CallExpr) and _is_key(statement.rvalue, ctx):
            said["primary_key"] = target.name
    if said.get("versioned"):
        number = ctx.api.named_type("builtins.int")
        version = UnionType([number, NoneType()])
        add_attribute_to_class(ctx.api, ctx.cls, VERSION, version)
    _let_own_key_stand(ctx)
    ctx.cls.info.metadata[METADATA] = said


def _let_own_key_stand(ctx: ClassDefContext) -> None:
    """A class may declare an ``id`` of another kind than the ObjectId that it has otherwise."""
    own = ctx.cls.info.names.get("id")
    if own is not None and isinstance(own.node, Var):
        own.node.allow_incompatible_override = True


def _of_meta(meta: DictExpr, ctx: ClassDefContext) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in meta.items:
        if not isinstance(key, StrExpr):
            continue
        if key.value in ("strict", "allow_inheritance", "abstract", "versioned"):
            found[key.value] = ctx.api.parse_bool(value)
        elif key.value == "queryset_class":
            found[key.value] = _name_of(value)
    return {name: value for name, value in found.items() if value is not None}


def _name_of(expression: Expression) -> str | None:
    return (expression.fullname or None) if isinstance(expression, RefExpr) else None


def _is_key(call: CallExpr, ctx: ClassDefContext) -> bool:
    return any(
        name == "primary_key" and ctx.api.parse_bool(value)
        for name, value in zip(call.arg_names, call.args, strict=True)
    )
