"""``datalayer indexes diff|sync``: the indexes that the models declare against those that the
server has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from datalayer import indexes
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.model_options import connected_aliases
from datalayer.cli.output import Output
from datalayer.cli.progress_output import telling
from datalayer.cli.tables import Cell, Name, Prose, Styled, Table
from datalayer.indexes import Action, CollectionDiff, Index
from datalayer.settings import Settings

_STILL_AT_WORK = {
    "unique": "is hidden, and still refuses duplicates",
    "expireAfterSeconds": "is hidden, and documents still expire by it",
}


def diff(
    output: Output,
    settings: Settings,
    *,
    aliases: Sequence[str] | None = None,
    timeout: float = 10.0,
) -> ExitCode:
    """Show how the collections of ``aliases`` (default: all) differ from the known models.

    Raises:
        ConnectError: when one of the databases can't be reached within ``timeout`` seconds.
    """
    with connected_aliases(settings, aliases, timeout) as settings:
        found = {alias: indexes.diff(alias) for alias in settings}
    output.show(_documents(found), [_table(found)])
    for alias, differences in found.items():
        looked_at = len(indexes.plans_on(alias))
        output.message(f"{alias}: {len(differences)} of {looked_at} collections differ")
    return ExitCode.PENDING if any(found.values()) else ExitCode.OK


def sync(
    output: Output,
    settings: Settings,
    *,
    aliases: Sequence[str] | None = None,
    drop: bool = False,
    hide: bool = False,
    commit_quorum: int | str | None = None,
    yes: bool = False,
    timeout: float = 10.0,
) -> ExitCode:
    """Bring ``aliases`` (default: all) in line with the known models and show what was done.

    Changed indexes are rebuilt and unknown ones dropped only with ``drop``, after asking unless
    ``yes``; with ``hide``, unknown ones are hidden. Unknown indexes that stay are mentioned; any
    other difference that stays makes the exit code 3.

    Raises:
        ConnectError: when one of the databases can't be reached within ``timeout`` seconds.
        IndexBuildError: at the first failure; what was done before it stays done.
        UsageError: without ``yes``, where something is to be dropped and nobody can be asked.
    """
    with connected_aliases(settings, aliases, timeout) as settings, ExitStack() as stack:
        if drop and not _may_drop(output, settings, yes=yes):
            output.message("nothing was changed")
            return ExitCode.FAILURE
        wants_progress = output.as_json or output.stderr.isatty()
        tell = stack.enter_context(telling(output.stderr, "indexes")) if wants_progress else None
        bring_in_line = partial(
            indexes.sync, drop=drop, hide=hide, commit_quorum=commit_quorum, on_progress=tell
        )
        actions = [action for alias in settings for action in bring_in_line(alias)]
        left = {alias: indexes.diff(alias) for alias in settings}
    rows = [(each.alias, each.collection, each.kind, each.name) for each in actions]
    output.show(
        {"actions": [action.as_dict() for action in actions], "left": _documents(left)},
        [Table((Name("alias"), Name("collection"), "action", Name("name")), rows)],
    )
    for alias, differences in left.items():
        for each in differences:
            seen = [index for index in each.unknown if not index.options.get("hidden")]
            unknown, other = len(seen), len(each.changed) + len(each.options)
            if not (unknown or other):
                continue
            output.message(
                f"{alias}.{each.collection}: left as they are: {unknown} unknown indexes and "
                f"{other} other differences"
                + ("" if drop else "; see `datalayer indexes diff`, --hide and --drop")
            )
    _tell_of_hidden(output, actions, left)
    others = (replace(each, unknown=()) for found in left.values() for each in found)
    pending = not all(each.in_sync for each in others)
    return ExitCode.PENDING if pending else ExitCode.OK


def _may_drop(output: Output, aliases: Iterable[str], *, yes: bool) -> bool:
    """Whether a person agrees to what would be dropped, as far as there is any."""
    doomed = [
        f"{index.name!r} of {alias}.{each.collection}"
        for alias in aliases
        for each in indexes.diff(alias)
        for index in (
            *each.unknown,
            *(change.actual for change in each.changed if not change.in_place),
        )
    ]
    return not doomed or output.confirmed(
        f"drop (and build anew, where a model declares it otherwise) {', '.join(doomed)}?",
        yes=yes,
        reason=f"--drop would drop {', '.join(doomed)}",
    )


def _tell_of_hidden(
    output: Output, actions: Sequence[Action], left: Mapping[str, Sequence[CollectionDiff]]
) -> None:
    """What goes on although an index is hidden."""
    hidden = {
        (each.alias, each.collection, each.name) for each in actions if each.kind == "hide_index"
    }
    for alias, differences in left.items():
        for each in differences:
            for index in each.unknown:
                for option, words in _STILL_AT_WORK.items():
                    if (alias, each.collection, index.name) in hidden and option in index.options:
                        output.message(f"{alias}.{each.collection}: {index.name} {words}")
    if hidden:
        output.message(
            "hidden indexes are kept up to date: `datalayer indexes unhide NAME` brings one back "
            "at once, and `datalayer indexes drop` drops what nobody has missed"
        )


def _documents(found: Mapping[str, Sequence[CollectionDiff]]) -> dict[str, Any]:
    return {alias: [each.as_dict() for each in diffs] for alias, diffs in found.items()}


def _table(found: Mapping[str, Sequence[CollectionDiff]]) -> Table:
    rows = [
        (alias, each.collection, *line)
        for alias, diffs in found.items()
        for each in diffs
        for line in _lines(each)
    ]
    columns = (Name("alias"), Name("collection"), "difference", Name("name"), Prose("details"))
    return Table(columns, rows)


def _lines(each: CollectionDiff) -> Iterator[tuple[Cell, ...]]:
    if not each.exists:
        yield Styled("missing", "red"), "", "the collection itself"
    for index in each.missing:
        yield Styled("missing", "red"), index.name, _described(index)
    for change in each.changed:
        details = f"declared {_described(change.expected)}; found {_described(change.actual)}"
        yield Styled("changed", "yellow"), change.actual.name, details
    for index in each.unknown:
        yield Styled("unknown", "cyan"), index.name, _described(index)
    for option in each.options:
        details = f"declared {option.expected!r}; found {option.actual!r}"
        if option.name == "validator":  # which may be pages long
            details = "`datalayer schema diff` tells in what it differs"
        yield Styled("changed", "yellow"), option.name, details


def _described(index: Index) -> str:
    keys = ", ".join(f"{name} {kind}" for name, kind in index.keys)
    options = "".join(f", {name}={value}" for name, value in index.options.items())
    return f"({keys}{options})"
