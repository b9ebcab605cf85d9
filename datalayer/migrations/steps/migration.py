"""``m``: what ``apply(m)`` and ``undo(m)`` of a migration are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from pymongo.database import Database

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.documents.collection import database_of
from datalayer.lease import Lease
from datalayer.migrations.steps.dry_run import nothing_is_written
from datalayer.migrations.steps.kinds import changes, commands, transfers, values_of_fields
from datalayer.migrations.steps.kinds.kept import drop_kept
from datalayer.migrations.steps.stepping import Direction, Stepping
from datalayer.migrations.steps.targets import TargetName, target_of
from datalayer.migrations.steps.values import StepOutcome, StepProgress

Model = TypeVar("Model")


class Migration:
    """The databases of a migration, and the steps that it can do with them.

    A target is a model, the name of a collection of ``default``, or ``(alias, name)``; of a model
    that shares its collection with others, its own documents. Names of fields are those that are
    stored. Steps go through the documents in the order of ``_id``, batch by batch, and note how
    far they are: after a kill, ``apply`` goes on with the step at which it was. Each document is
    changed once. A collection that isn't there yet has nothing to be changed.

    Between the steps, what the function does by itself (writes through models or ``database()``)
    is done again when it is resumed: let it change nothing then, or use a step.

    All steps raise ``MigrationError`` for what can't be done, before they write anything: a target
    that isn't there, a view, a time-series or capped collection, a wrong name; when another runner
    has taken over; and where the server refuses a document.
    """

    def __init__(
        self,
        name: str,
        run: str,
        direction: Direction,
        *,
        lease: Lease[Any] | None,
        dry: bool = False,
        counting: bool = True,
        checked: bool = False,
        rate: float | None = None,
        max_lag_seconds: float | None = None,
        batch: int = 1000,
        on_progress: Callable[[StepProgress], None] | None = None,
    ) -> None:
        self._steps = Stepping(
            name,
            run,
            direction,
            lease=lease,
            dry=dry,
            counting=counting,
            checked=checked,
            rate=rate,
            max_lag_seconds=max_lag_seconds,
            batch=batch,
            on_progress=on_progress,
        )
        self.name = name
        """The migration's."""
        self.unknown: list[str] = []
        """What a dry run can't tell: writes that are no steps, and that it has refused."""
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Begin. In a dry run, writes of the present context are refused until the end."""
        if self.dry:
            self._open.enter_context(nothing_is_written(self.unknown.append))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()

    @property
    def dry(self) -> bool:
        """Whether steps only count what they would touch, and nothing is written."""
        return self._steps.dry

    @property
    def outcomes(self) -> list[StepOutcome]:
        """What the steps have done so far."""
        return self._steps.outcomes

    def database(self, alias: str = DEFAULT_ALIAS) -> Database[Any]:
        """PyMongo's database of ``alias``, whose operations raise datalayer's errors and join the
        present transaction. In a dry run it reads only.

        Raises:
            NotConnectedError: for an alias that isn't connected.
        """
        return database_of(registry.connection(alias))

    def update(
        self,
        target: TargetName,
        filter: Mapping[str, Any],
        update: Mapping[str, Any] | list[Mapping[str, Any]],
        batch: int | None = None,
    ) -> None:
        """Update what ``filter`` selects, by operators or a pipeline, each document once.

        Batches of at most ``batch`` documents (default 1,000), each a transaction. Without
        transactions only updates that may be repeated are done (``$set``, ``$unset``, ``$min``,
        ``$max``, ``$addToSet``, ``$pull``, ``$pullAll``).
        """
        self._steps.through(changes.update(target_of(target), filter, update), batch)

    def each(
        self,
        model: type[Model],
        function: Callable[[Model], object],
        filter: Mapping[str, Any] | None = None,
        batch: int | None = None,
    ) -> None:
        """Call ``function`` with each document of ``model``, and save the document if it has
        changed.

        Batches of at most ``batch`` documents (default 1,000; of large ones fewer), each a
        transaction of the model's database. What the function does elsewhere may happen again
        when a batch is: let it change nothing then. ``filter`` is MongoDB's.
        """
        target = target_of(model)
        self._steps.through(values_of_fields.each(model, target, function, filter), batch)

    def rename_field(self, target: TargetName, old: str, new: str) -> None:
        """Call a field ``new`` that is called ``old``.

        Refused where documents have both. Dotted names are fields of embedded documents; refused
        where they lead through arrays.
        """
        self._steps.through(changes.rename_field(target_of(target), old, new))

    def remove_field(self, target: TargetName, name: str) -> None:
        """Remove a field. Its values are kept, until ``restore_field`` has put them back or
        ``drop_kept`` drops them. Stop what writes the field before."""
        self._steps.through(changes.remove_field(target_of(target), name, self.name))

    def set_default(self, target: TargetName, name: str, value: Any) -> None:
        """Give ``value`` to the documents that lack a field; those that have it, ``null`` too,
        keep theirs. With a dotted name, where the embedded document is."""
        self._steps.through(changes.set_default(target_of(target), name, value))

    def convert(
        self,
        target: TargetName,
        name: str,
        function: Callable[[Any], Any],
        batch: int | None = None,
    ) -> None:
        """Put ``function(value)`` in the place of each value of a field that is there.

        The values before are kept, as by ``remove_field``. Batches of at most ``batch`` documents
        (default 1,000; of large ones fewer), each a transaction.
        """
        step = values_of_fields.convert(target_of(target), name, function, self.name)
        self._steps.through(step, batch)

    def restore_field(self, target: TargetName, name: str, migration: str | None = None) -> None:
        """Put the values back that ``remove_field`` or ``convert`` of this ``migration`` (or
        another) has taken away, for its undo.

        A document whose field was written since, or that is gone, stays as it is, and its value
        stays kept: ``matched`` and ``changed`` tell how many there were.
        """
        step = values_of_fields.restore_field(target_of(target), name, migration or self.name)
        self._steps.through(step)

    def drop_kept(self, target: TargetName, name: str, migration: str | None = None) -> None:
        """Drop the values that ``remove_field`` or ``convert`` of a ``migration`` (default: this
        one) has kept. It can't be undone any more."""
        self._steps.once(drop_kept(target_of(target), migration or self.name, name))

    def build_index(self, target: TargetName, keys: Any, **options: Any) -> None:
        """Build an index: ``keys`` and ``options`` as for PyMongo's ``create_index``. Nothing
        happens where it stands."""
        self._steps.once(commands.build_index(target_of(target), keys, options))

    def hide_index(self, target: TargetName, index: Any) -> None:
        """Hide an index, by its name or keys, from queries; it is kept up to date, and
        ``unhide_index`` has it back at once."""
        self._steps.once(commands.hide_index(target_of(target), index, hidden=True))

    def unhide_index(self, target: TargetName, index: Any) -> None:
        """Let queries use a hidden index again."""
        self._steps.once(commands.hide_index(target_of(target), index, hidden=False))

    def drop_index(self, target: TargetName, index: Any) -> None:
        """Drop an index, by its name or keys. ``build_index`` undoes it."""
        self._steps.once(commands.drop_index(target_of(target), index))

    def validator(self, model: type[Any]) -> None:
        """Set the validator that ``model`` declares in its ``meta``, so that the server refuses
        what the model does. Refused where documents that are stored break it."""
        self._steps.once(commands.validator(target_of(model)))

    def remove_validator(self, target: TargetName) -> None:
        """Let the server take any document again. ``validator`` undoes it."""
        self._steps.once(commands.remove_validator(target_of(target)))

    def transfer(self, *, target: str, **options: Any) -> None:
        """Move or copy documents into the database of the alias ``target``: takes what
        ``datalayer.transfer.plan`` takes, and goes on with what an earlier run has begun.

        Raises:
            ConfigurationError, TransferError: as for a transfer.
        """
        steps = self._steps
        steps.refuse_transaction("transfer", target)
        name = transfers.name_of(self.name, steps.number, steps.run)
        steps.once(transfers.transfer_into(target, name, options))

    def undo_transfers(self, target: str) -> None:
        """Take back the transfers that this migration has made into ``target``, the latest first.

        Raises:
            TransferError: where the documents there have changed since.
        """
        self._steps.once(transfers.undo_transfers(target, self.name))
