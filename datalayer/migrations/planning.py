"""What would migrations do? Runs them dry: each step counts, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datalayer.connections.registry import registry
from datalayer.errors import DataLayerError, MigrationError, NotConnectedError
from datalayer.migrations.definitions import Definition, ends_the_process, what_failed
from datalayer.migrations.history import UNDERWAY, Entry
from datalayer.migrations.report import PlannedMigration
from datalayer.migrations.steps import Migration


def foretold(
    chosen: Sequence[Definition],
    history: Mapping[str, Entry],
    direction: str,
    *,
    counting: bool = True,
) -> tuple[PlannedMigration, ...]:
    """What each of ``chosen`` would do on the documents as they are.

    Without ``counting``, it only tells whether they can be done: a count reads all documents.

    Raises:
        MigrationError: where one needs a database that isn't connected, and where the first one
            can't even do its first step. What comes later may need what comes before it.
    """
    planned: list[PlannedMigration] = []
    for each in chosen:
        entry = history.get(each.name)
        planned.append(_foretold(each, entry, direction, first=not planned, counting=counting))
    return tuple(planned)


def _foretold(
    definition: Definition, entry: Entry | None, direction: str, *, first: bool, counting: bool
) -> PlannedMigration:
    begun = entry is not None and entry.state in (UNDERWAY[direction], "failed")
    made = Migration(
        definition.name,
        entry.run if entry is not None and begun else "",
        "apply" if direction == "apply" else "undo",
        lease=None,
        dry=True,
        counting=counting,
    )
    problem = None
    try:
        with made:
            definition.function(direction)(made)
    except NotConnectedError as exc:
        raise MigrationError(
            f"{definition.name} goes to the database {exc.alias!r}, which is not connected; there "
            f"are {', '.join(registry.aliases())}; nothing was written",
            alias=exc.alias,
        ) from exc
    except (Exception, SystemExit) as exc:  # whatever it is, it is told in its line
        if ends_the_process(exc):
            raise
        has_begun = begun or made.outcomes or made.unknown
        if first and not has_begun and isinstance(exc, MigrationError):
            raise MigrationError(
                f"{definition.name} can't begin: {exc.message}; nothing was written",
                alias=exc.alias,
            ) from exc
        problem = (
            exc.message if isinstance(exc, DataLayerError) else what_failed(exc, definition.file)
        )
    else:
        if made.unknown:  # what was refused, and caught
            problem = ", ".join(made.unknown)
    return PlannedMigration(
        definition.number, definition.name, direction, begun, tuple(made.outcomes), problem
    )
