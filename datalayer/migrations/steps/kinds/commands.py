"""Steps that are one command to the server: indexes and validators. Doing one again changes
nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymongo import IndexModel
from pymongo.errors import OperationFailure

from datalayer import indexes, schema
from datalayer.context.deadlines import deadline
from datalayer.errors import MigrationError
from datalayer.failures.server_codes import ServerCode
from datalayer.indexes.progress import watched
from datalayer.migrations.steps.kinds.step import Single, Tell
from datalayer.migrations.steps.targets import Target

_BUILD_SECONDS = 86_400.0
"""For one index: large collections take hours, and nobody waits for it in a request."""


def build_index(target: Target, keys: Any, options: Mapping[str, Any]) -> Single:
    """``m.build_index``."""
    try:
        IndexModel(keys, **options)
    except (TypeError, ValueError) as exc:
        raise target.error(f"m.build_index() of {target} declares no index: {exc}") from None

    def count() -> int:
        return int(target.collection.estimated_document_count())

    def build(resumed: bool, tell: Tell) -> tuple[int, int]:
        with (
            _refused(target, f"the index {_shown(keys)}"),
            deadline(_BUILD_SECONDS),
            watched(target.connection, target.name, lambda one: tell(one.done, one.total)) as more,
        ):
            target.collection.create_index(keys, **options, **more)
        return count(), 0

    def exists() -> bool:
        target.exists()  # for what it raises: where it isn't there, the server makes it
        return True

    return Single("build_index", target, (keys, options), build, count, exists=exists)


def hide_index(target: Target, index: Any, *, hidden: bool) -> Single:
    """``m.hide_index`` and ``m.unhide_index``."""
    change = indexes.hide if hidden else indexes.unhide

    def hide(resumed: bool, tell: Tell) -> tuple[int, int]:
        change(target.alias, target.name, _found(target, index))
        return 0, 0

    kind = "hide_index" if hidden else "unhide_index"
    return Single(kind, target, (index,), hide, check=lambda: _check(target, index))


def drop_index(target: Target, index: Any) -> Single:
    """``m.drop_index``."""

    def drop(resumed: bool, tell: Tell) -> tuple[int, int]:
        try:
            name = _found(target, index)
        except MigrationError:
            if resumed:  # the earlier run has dropped it
                return 0, 0
            raise
        with _refused(target, f"the index {_shown(index)}"):
            target.collection.drop_index(name)
        return 0, 0

    return Single("drop_index", target, (index,), drop, check=lambda: _check(target, index))


def validator(target: Target) -> Single:
    """``m.validator``."""
    if target.model is None:
        raise target.error("m.validator() takes a model, which says what is valid")

    def change(resumed: bool, tell: Tell) -> tuple[int, int]:
        _set_validator(target)
        return 0, 0

    return Single("validator", target, (), change)


def remove_validator(target: Target) -> Single:
    """``m.remove_validator``."""

    def change(resumed: bool, tell: Tell) -> tuple[int, int]:
        command = {"collMod": target.name, "validator": {}, "validationLevel": "off"}
        with _refused(target, "the validator"):
            target.collection.database.command(command)
        return 0, 0

    return Single("remove_validator", target, (), change)


def _set_validator(target: Target) -> None:
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


def _check(target: Target, index: Any) -> None:
    _found(target, index)


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
