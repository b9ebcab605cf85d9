"""Reads the stubs of the package, to compare them with what is there at run time."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

from paths import PACKAGE


class Stub:
    """The stub files of a folder of the package."""

    def __init__(self, folder: str) -> None:
        self._classes: dict[str, ast.ClassDef] = {}
        self._aliases: dict[str, str] = {}
        self.exported: set[str] = set()
        for path in sorted((PACKAGE / folder).glob("*.pyi")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    self._classes[node.name] = node
                elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
                    alias = node.targets[0]
                    assert isinstance(alias, ast.Name)
                    self._aliases[alias.id] = node.value.id
                elif isinstance(node, ast.ImportFrom) and path.name == "__init__.pyi":
                    self.exported |= {each.asname for each in node.names if each.asname}

    def methods(self, name: str) -> set[str]:
        """The public methods of a class and of its bases in the same stubs."""
        found = {each.name for each in self._functions(name)}
        return {each for each in found if not each.startswith("_")}

    def parameters(self, name: str, method: str) -> set[str]:
        """The names of a method's parameters, those of all its overloads, as the class or the
        nearest of its bases has them."""
        functions = [each for each in self._functions(name) if each.name == method]
        owner = functions[0]
        return {
            argument.arg
            for each in functions
            if self._class_of(each) is self._class_of(owner)
            for argument in [
                *each.args.args,
                *each.args.kwonlyargs,
                *filter(None, [each.args.vararg, each.args.kwarg]),
            ]
            if not _is_private(argument.arg)
        } - {"self", "cls"}

    def bases(self, name: str) -> set[str]:
        """The names of a class's own bases, without their parameters."""
        node = self._classes[self._aliases.get(name, name)]
        return {ast.unparse(base).partition("[")[0] for base in node.bases}

    def _class_of(self, function: ast.FunctionDef) -> ast.ClassDef:
        return next(each for each in self._classes.values() if function in each.body)

    def _functions(self, name: str) -> Iterator[ast.FunctionDef]:
        node = self._classes[self._aliases.get(name, name)]
        yield from (each for each in node.body if isinstance(each, ast.FunctionDef))
        for base in node.bases:
            inner = base.value if isinstance(base, ast.Subscript) else base
            if isinstance(inner, ast.Name) and inner.id in self._classes:
                yield from self._functions(inner.id)


def parameters_of(kind: Any, method: str) -> set[str]:
    """The names of a method's parameters at run time: those of the nearest class that names some,
    where others only hand on what they are given."""
    found: set[str] = set()
    for each in kind.__mro__:
        function = vars(each).get(method)
        if function is None or each is object:
            continue
        wrapped = getattr(function, "__func__", function)
        if not callable(wrapped):
            wrapped = getattr(kind, method)
        names = {name for name in inspect.signature(wrapped).parameters if not _is_private(name)}
        found = names - {"self", "cls"}
        if found - {"args", "kwargs"}:
            break
    return found


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")
