"""Steps that are one command to the server, or another part of datalayer's: indexes, validators
and transfers. Doing one again changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymongo import IndexModel
from pymongo.errors import OperationFailure

from datalayer import indexes, schema, transfer
from datalayer.context.deadlines import deadline
from datalayer.errors import MigrationError
from datalayer.failures.server_codes import ServerCode
from datalayer.indexes.progress import BuildProgress, watched
from datalayer.migrations.steps.targets import Target
from datalayer.transfer import Plan, Progress

_BUILD_SECONDS = 86_400.0
"""For one index: large collections take hours, and nobody waits for it in a request."""
_LONGEST_TRANSFER = 50


def build_index(
    target: Target, keys: Any, options: Mapping[str, Any], tell: Callable[[BuildProgress], None]
) -> None:
    """``m.build_index``: nothing happens where the same stands already."""
    with (
        _refused(target, f"the index {_shown(keys)}"),
        deadline(_BUILD_SECONDS),
        watched(target.connection, target.name, tell) as more,
    ):
        target.collection.create_index(keys, **options, **more)


def set_validator(target: Target) -> None:
    """``m.validator``.

    Raises:
        MigrationError: where documents that are stored break it, with how many and which; and for
            a model that declares none.
    """
    name = target.model.__name__
    if not target.model._meta.get("validator"):
        raise target.error(f'{name} declares no validator; let its meta say "validator": "model"')
    for applied in schema.apply([target.model], aliases=[target.alias]):
        if applied.outcome != "refused":
            continue
        broken = "; ".join(
            f"{each.path}: {each.rule} in {each.documents} documents, "
            f"_id {', '.join(map(repr, each.ids))}"
            for each in applied.findings
        )
        raise target.error(
            f"the validator of {name} would refuse documents that are in {target} ({broken}); "
            "bring them in line in an earlier step"
        )


def remove_validator(target: Target) -> None:
    """``m.remove_validator``."""
    change = {"collMod": target.name, "validator": {}, "validationLevel": "off"}
    with _refused(target, "the validator"):
        target.collection.database.command(change)


def check_index(target: Target, keys: Any, options: Mapping[str, Any]) -> None:
    """Refuse what declares no index.

    Raises:
        MigrationError: for keys and options that the driver doesn't take.
    """
    try:
        IndexModel(keys, **options)
    except (TypeError, ValueError) as exc:
        raise target.error(f"m.build_index() of {target} declares no index: {exc}") from None


def hide_index(target: Target, index: Any, *, hidden: bool) -> None:
    """``m.hide_index`` and ``m.unhide_index``."""
    change = indexes.hide if hidden else indexes.unhide
    change(target.alias, target.name, _found(target, index))


def drop_index(target: Target, index: Any, *, again: bool) -> None:
    """``m.drop_index``; ``again`` where an earlier run may have dropped it."""
    try:
        name = _found(target, index)
    except MigrationError:
        if again:
            return
        raise
    with _refused(target, f"the index {_shown(index)}"):
        target.collection.drop_index(name)


def check_existing(target: Target, index: Any) -> None:
    """Refuse an index that isn't there.

    Raises:
        MigrationError: with the names of those that are.
    """
    _found(target, index)


def transfer_name(migration: str, number: int, run: str) -> str:
    """What a transfer is called that a migration makes; the first part finds it again."""
    return f"{_prefix(migration)}{number}-{run[:8]}"


def run_transfer(plan: Plan, tell: Callable[[Progress], None]) -> transfer.Report:
    """``m.transfer``: go on with it where an earlier run has begun it."""
    if plan.name in {report.name for report in transfer.transfers()}:
        return transfer.resume(plan.name, target=plan.target, wait_seconds=60.0, on_progress=tell)
    return transfer.run(plan, on_progress=tell)


def standing_transfers(migration: str, target: str) -> Iterable[transfer.Report]:
    """The transfers of a migration into ``target`` that weren't taken back, the latest first."""
    for report in transfer.transfers():
        mine = report.name.startswith(_prefix(migration)) and report.target == target
        if mine and report.state != "rolled_back":
            yield report


def _prefix(migration: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', migration)[:_LONGEST_TRANSFER]}-"


def _found(target: Target, index: Any) -> str:
    """The name of an index that was given by its name, or by its keys."""
    there = target.collection.index_information()
    if isinstance(index, str) and index in there:
        name = index
    else:
        keys = _keys(index)
        name = next((each for each, facts in there.items() if facts["key"] == keys), "")
    if not name:
        raise target.error(
            f"{target} has no index {_shown(index)}; there are {', '.join(sorted(there))}"
        )
    if name == "_id_":
        raise target.error(f"the index on _id of {target} can be neither hidden nor dropped")
    return name


def _keys(index: Any) -> list[tuple[str, Any]]:
    if isinstance(index, str):
        return [(index, 1)]
    if isinstance(index, Mapping):
        return list(index.items())
    return [(each, 1) if isinstance(each, str) else tuple(each) for each in index]


def _shown(index: Any) -> str:
    return repr(index) if isinstance(index, str) else ", ".join(map(str, _keys(index)))


@contextmanager
def _refused(target: Target, what: str) -> Iterator[None]:
    try:
        yield
    except OperationFailure as exc:
        if exc.timeout:
            raise
        reason = {
            ServerCode.DuplicateKey: "documents have the same value, which is to be unique",
            ServerCode.IndexOptionsConflict: "the same index stands with other options or names",
            ServerCode.IndexKeySpecsConflict: "another index has its name",
        }.get(exc.code or 0, f"error {exc.code}")  # type: ignore[call-overload]
        raise target.error(
            f"the server refused to change {what} of {target}: {reason}; correct that, and apply "
            "it again"
        ) from None
