"""The program that a rehearsal runs in a process of its own: applies, looks, undoes and compares,
on the private server that it is told on standard input. Answers in lines of JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from datalayer import schema
from datalayer.connections.registry import registry
from datalayer.errors import DataLayerError, MigrationError
from datalayer.failures.connecting import kind_of
from datalayer.importing import import_named
from datalayer.migrations.api import apply, undo
from datalayer.migrations.rehearsal.comparison import differences, states
from datalayer.migrations.report import FinishedMigration
from datalayer.service.service import service_for
from datalayer.settings import Settings

Tell = Callable[[str, Mapping[str, Any]], None]


def main() -> None:
    """Read what to do, do it, and write what came of it."""
    order = json.load(sys.stdin)
    sys.path[:] = order["path"]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the application's modules print is no answer

    def tell(kind: str, facts: Mapping[str, Any]) -> None:
        answers.write(json.dumps({"kind": kind, **facts}, default=str) + "\n")
        answers.flush()

    try:
        if order["django"]:
            _set_up_django()
        for name in order["modules"]:
            _import(name)
        connect(order["databases"])
        play(order, tell)
    except DataLayerError as exc:
        tell("problem", {"text": exc.message})
    except Exception as exc:  # noqa: BLE001 - the other process tells of it; its text may hold values
        tell("problem", {"text": f"it stopped with {kind_of(exc)}"})


def _set_up_django() -> None:
    """As ``manage.py`` does: modules of its applications can't be imported before."""
    import django

    django.setup()


def _import(name: str) -> None:
    try:
        import_named(name)
    except Exception as exc:
        missing = exc.name if isinstance(exc, ModuleNotFoundError) else None
        why = f"there is no module {missing!r}" if missing else kind_of(exc)
        raise MigrationError(
            f"the models of {name!r} can't be imported in a process of their own: {why}"
        ) from exc


def connect(databases: Mapping[str, str]) -> None:
    """Connect each alias to the private server, as its URI says.

    Raises:
        MigrationError: where one is connected to another server already.
    """
    settings = Settings(
        databases={
            alias: {"uri": uri, "auto_create": False, "auto_index": False}
            for alias, uri in databases.items()
        }
    )
    for alias in settings:
        connected = registry.find(alias)
        if connected is None:
            service_for(alias).connect(settings[alias])
        elif connected.settings.hosts != settings[alias].hosts:
            raise MigrationError(
                f"a module of the application's connects {alias!r} when it is imported, and to "
                "another server than the private one; connect in a function, once it has started",
                alias=alias,
            )


def play(order: Mapping[str, Any], tell: Tell) -> None:
    """Apply, check, undo and compare on what is connected, and ``tell`` of each."""
    package, aliases = order["package"], list(order["databases"])
    before, findings_before = states(aliases), schema.check()
    tell("phase", {"name": "apply"})
    applied: list[FinishedMigration] = []
    for number in order["numbers"]:
        for done in apply(number, package=package):
            applied.append(done)
            tell("applied", {"migration": done.as_dict()})
    tell("phase", {"name": "check"})
    found = [each.as_dict() for each in schema.check()]
    tell("checked", {"before": len(findings_before), "findings": found})
    tell("phase", {"name": "undo"})
    if not order["undo"]:
        return
    for _ in applied:
        undo(package=package)
    left = differences(before, states(aliases))
    tell(
        "undone",
        {
            "not_restored": [
                [each.alias, each.collection, each.what, each.documents, list(each.ids)]
                for each in left
            ]
        },
    )


if __name__ == "__main__":
    main()
