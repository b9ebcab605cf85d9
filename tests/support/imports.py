"""Who imports whom in the package, read from the source by AST, and the floors that follow: a file
or folder stands one floor above the highest that it imports from.

    python tests/support/imports.py

prints the floors as CONTRIBUTING.md shows them.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from paths import PACKAGE

Graph = Mapping[str, set[str]]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def file_of(name: str) -> Path | None:
    """The file that is imported as ``name``; ``None`` where that isn't the package's."""
    inside = PACKAGE.parent.joinpath(*name.split("."))
    for path in (inside / "__init__.py", inside.with_suffix(".py")):
        if path.is_relative_to(PACKAGE) and path.exists():
            return path
    return None


def imported_names(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """What import statements among ``nodes`` name, modules where they name a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield str(node.module) if file_of(inside) is None else inside


@cache
def imports() -> dict[str, set[str]]:
    """By module of the package, which others it imports: when it is imported, when a function
    runs, or for its types alone."""
    return {
        name_of(path): {
            name_of(target)
            for name in imported_names(ast.walk(ast.parse(path.read_text())))
            if (target := file_of(name)) is not None and target != path
        }
        for path in modules()
    }


def within(folder: str, graph: Graph) -> dict[str, set[str]]:
    """By file or folder side by side in ``folder``, which of the others are imported from it."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, targets in graph.items():
        if (here := _child(folder, module)) is not None:
            others = {_child(folder, target) for target in targets} - {here, None}
            found[here] |= {other for other in others if other is not None}
    return dict(found)


def floors(graph: Graph) -> list[list[str]]:
    """The names in ``graph`` from the ground up; those of a circle, and above it, are on none."""
    placed: list[list[str]] = []
    below: set[str] = set()
    while floor := sorted(n for n, needs in graph.items() if needs <= below and n not in below):
        placed.append(floor)
        below |= set(floor)
    return placed


def as_list(found: list[list[str]]) -> str:
    """The floors as CONTRIBUTING.md shows them, the highest first."""
    return "\n".join(
        f"{number}. {', '.join(f'`{name}`' for name in names)}"
        for number, names in zip(range(1, len(found) + 1), reversed(found), strict=True)
    )


def _child(folder: str, module: str) -> str | None:
    if not module.startswith(f"{folder}."):
        return None
    return module.removeprefix(f"{folder}.").partition(".")[0]


if __name__ == "__main__":
    print(as_list(floors(within("datalayer", imports()))))
