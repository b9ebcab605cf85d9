"""Imports between the package's modules flow one way, read from the source by AST."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "datalayer"

# From the ground up. A module may import modules of lower floors, and of its own room (package).
FLOORS = (
    (
        "errors",
        "blocks",
        "concurrency",
        "contents",
        "deadlines",
        "decorating",
        "driver_errors",
        "operation_errors",
        "events",
        "flows",
        "forks",
        "monkey_patching",
        "named_modules",
        "prepared",
        "replica_lag",
        "server_codes",
        "short_tracebacks",
        "terminal",
        "traceback_locals",
        "unsafe_forks",
    ),
    ("settings", "embedded"),
    ("retry", "monitoring", "logs", "bounded_pool", "breaker", "joining", "shutdown"),
    ("clients",),
    ("core",),
    ("evidence", "indexes", "status", "operations", "waiting"),
    ("transactions", "routing"),
    ("documents",),
    ("opening", "recorder"),
    ("service", "models", "outbox"),
    ("database", "database1"),
    ("db",),
)
EDGE = len(FLOORS)  # cli, doctor, pytest_plugin, … : everything that no floor names
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
OPTIONAL = {
    "argon2", "celery", "django", "faker", "fiftyone", "flask", "mongomock", "opentelemetry",
    "prometheus_client", "pytest", "rich",
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported_rooms(tree: ast.Module) -> Iterator[str]:
    for name in imported_names(ast.walk(tree)):
        parts = name.split(".")
        if parts[0] == "datalayer" and len(parts) > 1:
            yield parts[1]


def imported_names(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                target = file_of(inside)
                is_module = target is not None and (PACKAGE / target).exists()
                yield inside if is_module else str(node.module)


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


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    floor = FLOOR_OF.get(room, EDGE)
    tree = ast.parse(path.read_text())
    upwards = {
        other
        for other in imported_rooms(tree)
        if other != room and floor < EDGE and FLOOR_OF.get(other, EDGE) > floor
    }
    assert upwards == set()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_needs_an_optional_package_to_be_imported(path: Path) -> None:
    if room_of(path) in ("contrib", "pytest_plugin"):
        return
    tree = ast.parse(path.read_text())
    roots = {name.split(".")[0] for name in imported_names(at_import(tree))}
    assert roots & OPTIONAL == set()


def test_models_import_only_documents_and_errors() -> None:
    # And the log handler, which stands beside the model that it stores, the recorder.
    allowed = {"documents", "errors", "models", "recorder"}
    found = {
        (path.name, room)
        for path in (PACKAGE / "models").rglob("*.py")
        for room in imported_rooms(ast.parse(path.read_text()))
        if room not in allowed
    }
    assert found == set()


def test_only_core_connects_and_disconnects_mongoengine() -> None:
    found = {
        path.name
        for path in modules()
        if room_of(path) != "core"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "mongoengine"
        and node.attr in ("connect", "disconnect", "disconnect_all", "register_connection")
    }
    assert found == set()


def test_there_is_no_import_cycle() -> None:
    graph = {
        path.relative_to(PACKAGE): {
            target
            for name in imported_names(at_import(ast.parse(path.read_text())))
            if (target := file_of(name)) is not None
        }
        for path in modules()
    }
    done: set[Path] = set()
    while ready := {path for path, needs in graph.items() if needs <= done and path not in done}:
        done |= ready
    assert set(graph) - done == set()


def file_of(name: str) -> Path | None:
    parts = name.split(".")
    if parts[0] != "datalayer" or len(parts) == 1:
        return None
    inside = PACKAGE.joinpath(*parts[1:])
    if inside.is_dir():
        return (inside / "__init__.py").relative_to(PACKAGE)
    return inside.with_suffix(".py").relative_to(PACKAGE)
