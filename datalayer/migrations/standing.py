"""How does each migration stand? Compares the files with the history, and says which come next,
or why none may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from datalayer.connections.registry import registry
from datalayer.errors import MigrationError
from datalayer.migrations.definitions import Definition
from datalayer.migrations.files import File
from datalayer.migrations.history import Entry

UNFINISHED = frozenset({"applying", "undoing", "failed"})


def state_of(file: File | None, entry: Entry | None, newest: int) -> str:
    """``pending``, ``applying``, ``applied``, ``undoing`` or ``failed``; and of applied ones whose
    file is another by now, ``edited``, gone, ``missing``, or that of later code, ``newer``, as its
    number is behind that of the ``newest`` file."""
    if entry is None or entry.state == "undone":
        return "pending"
    if file is None:
        return "newer" if entry.number > newest else "missing"
    if entry.state == "applied" and entry.checksum != file.checksum:
        return "edited"
    return entry.state


@dataclass(frozen=True)
class Standing:
    """One migration: its file, and what the history says; one of them may be missing."""

    name: str
    file: File | None
    entry: Entry | None
    state: str

    @property
    def number(self) -> int:
        """The file's."""
        return int(self.name.partition("_")[0])


def standings(files: Iterable[File], history: Mapping[str, Entry]) -> tuple[Standing, ...]:
    """How each migration stands that has a file or is applied, by their numbers."""
    by_name = {file.name: file for file in files}
    newest = max((file.number for file in by_name.values()), default=0)
    applied = {name for name, entry in history.items() if entry.state != "undone"}
    found = []
    for name in sorted(by_name.keys() | applied, key=lambda name: (len(name.split("_")[0]), name)):
        file, entry = by_name.get(name), history.get(name)
        found.append(Standing(name, file, entry, state_of(file, entry, newest)))
    return tuple(found)


def to_apply(
    definitions: Sequence[Definition], all_standings: Sequence[Standing], to: int | None
) -> tuple[Definition, ...]:
    """Which migrations are next, in their order: all that are not applied, or those until ``to``.

    Raises:
        MigrationError: where ``to`` is none of them, and for whatever has to be put right before.
    """
    _check_numbers(definitions, to)
    _refuse_changed(all_standings)
    by_name = {each.name: each for each in all_standings}
    chosen = [each for each in _until(definitions, to) if by_name[each.name].state != "applied"]
    for each in all_standings:
        if _direction(each) == "undo":
            raise MigrationError(
                f"{each.name} is being undone; finish that by `datalayer migrations undo`, or "
                f"say how it is by `datalayer migrations resolve {each.number}`"
            )
        if chosen and each.state == "newer":
            raise MigrationError(
                f"{each.name} is applied, and has no file here: later code has changed the "
                f"database. Apply {chosen[0].name} from that code, which has all files"
            )
    _check_applied(definitions, by_name)
    _check_aliases(chosen)
    return tuple(chosen)


def to_undo(
    definitions: Sequence[Definition], all_standings: Sequence[Standing], to: int | None
) -> tuple[Definition, ...]:
    """Which migrations are to be undone, in the order of undoing: the one applied last, or all
    that come after ``to`` (0: all).

    Raises:
        MigrationError: as above; and where one of them can't be undone.
    """
    _check_numbers(definitions, to or None)
    _refuse_changed(all_standings)
    by_name = {each.name: each for each in all_standings}
    for each in all_standings:
        if each.state == "newer":
            raise MigrationError(
                f"{each.name} is applied, and has no file here: later code has changed the "
                "database. Undo it from that code first"
            )
        if _direction(each) == "apply" and each.state in UNFINISHED:
            raise MigrationError(
                f"{each.name} is not wholly applied; finish it by `datalayer migrations apply`, "
                f"or say that it is by `datalayer migrations resolve {each.number} --as applied`, "
                "then undo it"
            )
    kept = {each.name for each in _until(definitions, to)} if to else set()
    chosen = [
        each
        for each in reversed(definitions)
        if each.name not in kept and by_name[each.name].state != "pending"
    ]
    if to is None:
        del chosen[1:]
    for one in chosen:
        if one.undo is None:
            raise MigrationError(
                f"{one.name} can't be undone, as it has no function undo(m); nothing was undone. "
                "Write one, or a migration that changes the documents in another way"
            )
    _check_aliases(chosen)
    return tuple(chosen)


def _direction(each: Standing) -> str | None:
    return each.entry.direction if each.entry is not None and each.state in UNFINISHED else None


def _check_numbers(definitions: Sequence[Definition], to: int | None) -> None:
    if to is not None and all(each.number != to for each in definitions):
        last = max((each.number for each in definitions), default=0)
        raise MigrationError(f"there is no migration {to}; the last one is {last}")


def _until(definitions: Sequence[Definition], to: int | None) -> Iterator[Definition]:
    for each in definitions:
        yield each
        if each.number == to:
            return


def _refuse_changed(all_standings: Sequence[Standing]) -> None:
    for each in all_standings:
        if each.state == "edited":
            raise MigrationError(
                f"{each.name} was edited after it was applied; bring the file back as it was and "
                "write another migration, or, if it does the same, take it as it is: "
                f"`datalayer migrations resolve {each.number} --as applied`"
            )
        if each.state == "missing":
            raise MigrationError(
                f"{each.name} is applied, and its file is gone; bring it back, or, if it counts "
                f"no more, `datalayer migrations resolve {each.number} --as not-applied`"
            )


def _check_applied(definitions: Sequence[Definition], by_name: Mapping[str, Standing]) -> None:
    for each in definitions:
        for required in each.requires if by_name[each.name].state == "applied" else ():
            if by_name[required].state != "applied":
                raise MigrationError(
                    f"{each.name} is applied, and {required}, which it requires, is not; if it "
                    f"is, `datalayer migrations resolve {by_name[required].number} --as applied`, "
                    f"else give {required} a number behind"
                )


def _check_aliases(chosen: Sequence[Definition]) -> None:
    for each in chosen:
        unknown = [alias for alias in each.transaction if alias not in registry.aliases()]
        if unknown:
            raise MigrationError(
                f"{each.name} writes to {unknown[0]!r} in its transaction, and no database of "
                f"that name is connected; there are {', '.join(registry.aliases())}",
                alias=unknown[0],
            )
