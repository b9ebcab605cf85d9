"""Imports between the package's modules flow one way, read from the source by AST."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from imports import PACKAGE, as_list, floors, imported_names, imports, modules, name_of, within

CONTRIBUTING = PACKAGE.parent / "CONTRIBUTING.md"
FOLDERS = [name_of(path) for path in modules() if path.name == "__init__.py"]
OPTIONAL = {
    "argon2", "celery", "django", "faker", "fiftyone", "flask", "flask_wtf", "mongomock",
    "opentelemetry", "prometheus_client", "pytest", "rich", "wtforms",
}  # fmt: skip


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: outside functions and TYPE_CHECKING."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def test_no_module_imports_one_that_imports_it() -> None:
    graph = imports()
    assert set(graph) - {name for floor in floors(graph) for name in floor} == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_stands_side_by_side_in_a_folder_imports_one_way(folder: str) -> None:
    graph = within(folder, imports())
    assert set(graph) - {name for floor in floors(graph) for name in floor} == set()


def test_contributing_shows_the_floors() -> None:
    assert as_list(floors(within("datalayer", imports()))) in CONTRIBUTING.read_text()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_needs_an_optional_package_to_be_imported(path: Path) -> None:
    if room_of(path) in ("contrib", "pytest_plugin"):
        return
    tree = ast.parse(path.read_text())
    roots = {name.split(".")[0] for name in imported_names(at_import(tree))}
    assert roots & OPTIONAL == set()


def test_models_import_only_documents_fields_and_errors() -> None:
    # And the log handler, which stands beside the model that it stores, the recorder.
    assert within("datalayer", imports())["models"] == {
        "documents",
        "errors",
        "fields",
        "recorder",
    }


def test_only_the_registry_connects_and_disconnects_mongoengine() -> None:
    found = {
        name_of(path)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "mongoengine"
        and node.attr in ("connect", "disconnect", "disconnect_all", "register_connection")
    }
    assert found == {"datalayer.connections.registry"}
