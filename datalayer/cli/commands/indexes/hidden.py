"""``datalayer indexes unhide|drop``: what becomes of indexes that ``sync --hide`` has hidden."""

from __future__ import annotations

from collections.abc import Sequence

from datalayer import indexes
from datalayer.cli.exit_codes import ExitCode, UsageError
from datalayer.cli.model_options import connected_aliases
from datalayer.cli.output import Output
from datalayer.cli.tables import Cell, Name, Prose, Styled, Table
from datalayer.indexes import HiddenIndex
from datalayer.settings import Settings

_DAY_SECONDS = 86_400.0


def unhide(
    output: Output,
    settings: Settings,
    names: Sequence[str],
    *,
    collection: str | None = None,
    aliases: Sequence[str] | None = None,
    timeout: float = 10.0,
) -> ExitCode:
    """Let queries use the indexes ``names`` of ``aliases`` (default: all) again.

    Raises:
        UsageError: where a name is that of no hidden index, or of several.
        ConnectError: when one of the databases can't be reached within ``timeout`` seconds.
        IndexBuildError: where a server refuses.
    """
    with connected_aliases(settings, aliases, timeout) as settings:
        found = [
            (alias, *place)
            for alias in settings
            for place in indexes.hidden_names(alias)
            if collection in (None, place[0])
        ]
        chosen = [_chosen(name, found) for name in dict.fromkeys(names)]
        for place in chosen:
            indexes.unhide(*place)
    actions = [indexes.Action("unhide_index", *place) for place in chosen]
    output.show(
        {"actions": [action.as_dict() for action in actions]},
        [Table((Name("alias"), Name("collection"), Name("unhidden")), chosen)],
    )
    return ExitCode.OK


def drop(
    output: Output,
    settings: Settings,
    *,
    aliases: Sequence[str] | None = None,
    hidden_for_days: float,
    yes: bool = False,
    timeout: float = 10.0,
) -> ExitCode:
    """Drop the indexes that no model declares, that have been hidden for ``hidden_for_days``, and
    that no member has used since; says why the others stay.

    Raises:
        ConnectError: when one of the databases can't be reached within ``timeout`` seconds.
        IndexBuildError: at the first failure; what was dropped before it stays dropped.
        UsageError: without ``yes``, where nobody can be asked.
    """
    seconds = hidden_for_days * _DAY_SECONDS
    with connected_aliases(settings, aliases, timeout) as settings:
        found = [each for alias in settings for each in indexes.hidden(alias)]
        ready = [each for each in found if each.reason_to_keep(seconds) is None]
        agreed = not ready or output.confirmed(
            f"drop {', '.join(map(_shown, ready))}?",
            yes=yes,
            reason=f"this drops {len(ready)} indexes, which can only be built anew",
        )
        dropped = ready if agreed else []
        actions = [indexes.drop(each) for each in dropped]
    kept = [each for each in found if each not in dropped]
    output.show(
        {
            "actions": [action.as_dict() for action in actions],
            "kept": [
                {**each.as_dict(), "reason": each.reason_to_keep(seconds) or "not confirmed"}
                for each in kept
            ],
        },
        [_table(found, dropped, seconds)],
    )
    for host in sorted({host for each in found for host in each.not_asked}):
        output.message(f"{host} did not answer: its counters are not among those that were asked")
    if not found:
        output.message("no index is hidden that the models don't declare")
    return ExitCode.PENDING if kept else ExitCode.OK


def _chosen(name: str, found: Sequence[tuple[str, str, str]]) -> tuple[str, str, str]:
    places = [place for place in found if place[2] == name]
    if not places:
        others = ", ".join(f"{place[2]!r} of {place[1]}" for place in found) or "none"
        raise UsageError(f"no hidden index has the name {name!r}; hidden are: {others}")
    if len(places) > 1:
        where = ", ".join(f"{alias}.{collection}" for alias, collection, _ in places)
        raise UsageError(f"{name!r} is hidden in {where}; choose with --collection and --alias")
    return places[0]


def _shown(each: HiddenIndex) -> str:
    options = each.index.options
    loses = [
        words
        for option, words in (
            ("unique", "duplicates will no longer be refused"),
            ("expireAfterSeconds", "documents will no longer expire"),
        )
        if option in options
    ]
    note = f" ({'; '.join(loses)})" if loses else ""
    return f"{each.index.name!r} of {each.alias}.{each.collection}{note}"


def _table(found: Sequence[HiddenIndex], dropped: Sequence[HiddenIndex], seconds: float) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for each in found:
        done = each in dropped
        why = "" if done else each.reason_to_keep(seconds) or "not confirmed"
        verdict = Styled("dropped", "green") if done else Styled("kept", "yellow")
        rows.append((each.alias, each.collection, each.index.name, verdict, why))
    columns = (Name("alias"), Name("collection"), Name("index"), "result", Prose("why"))
    return Table(columns, rows)
