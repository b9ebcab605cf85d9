"""``datalayer shard show|sync``: the shard keys that the models declare against those of the
collections on a sharded cluster."""

from __future__ import annotations

from collections.abc import Sequence

from datalayer import sharding
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.model_options import comparing, comparing_options, connected_aliases
from datalayer.cli.options import Commands
from datalayer.cli.output import Output
from datalayer.cli.tables import Cell, Name, Prose, Styled, Table
from datalayer.settings import Settings
from datalayer.sharding import Sharding

_STYLES = {"as declared": "green", "not declared": "cyan"}


def add_to(commands: Commands) -> None:
    """Add ``shard`` to the command line."""
    group = commands.add_parser(
        "shard", help="compare the models' shard keys with the collections', and shard them"
    ).add_subparsers(metavar="COMMAND", required=True)
    options = comparing_options()
    showing = group.add_parser(
        "show",
        help="show how collections are sharded, and how many documents each shard has",
        description="Shows the sharded collections and those that models want to be sharded. "
        "Exit code 3 when they differ.",
        parents=[options],
    )
    showing.set_defaults(run=comparing(show))
    syncing = group.add_parser(
        "sync",
        help="shard what models want to be sharded; never reshards",
        description="Shards collections by the keys that their models declare, and extends keys "
        "by declared fields that they lack. Exit code 3 when a collection is sharded by another "
        "key: resharding is for an operator.",
        parents=[options],
    )
    syncing.set_defaults(run=comparing(sync))


def show(
    output: Output,
    settings: Settings,
    *,
    aliases: Sequence[str] | None = None,
    timeout: float = 10.0,
) -> ExitCode:
    """Show the collections of ``aliases`` (default: all) that are sharded or should be.

    Raises:
        ConfigurationError: where one of the servers is no router of a sharded cluster.
        ConnectError: when one of the databases can't be reached within ``timeout`` seconds.
    """
    with connected_aliases(settings, aliases, timeout) as settings:
        found = [each for alias in settings for each in sharding.look(alias)]
    output.show([each.as_dict() for each in found], [_table(found)])
    return ExitCode.PENDING if any(each.is_pending for each in found) else ExitCode.OK


def sync(
    output: Output,
    settings: Settings,
    *,
    aliases: Sequence[str] | None = None,
    timeout: float = 10.0,
) -> ExitCode:
    """Shard the collections of ``aliases`` (default: all) as their models want it.

    Raises:
        ConfigurationError: where one of the servers is no router of a sharded cluster, or would
            refuse a key.
        ConnectError: when one of the databases can't be reached within ``timeout`` seconds.
        IndexBuildError: at the first failure; what was done before it stays done.
    """
    with connected_aliases(settings, aliases, timeout) as settings:
        actions = [action for alias in settings for action in sharding.sync(alias)]
        left = [each for alias in settings for each in sharding.look(alias) if each.is_pending]
    rows = [(each.alias, each.collection, each.kind, str(each.key)) for each in actions]
    output.show(
        {
            "actions": [action.as_dict() for action in actions],
            "left": [each.as_dict() for each in left],
        },
        [Table((Name("alias"), Name("collection"), "action", Prose("key")), rows)],
    )
    for each in left:
        output.message(
            f"{each.alias}.{each.collection}: left as it is, sharded by ({each.actual}) and "
            f"declared by ({each.declared}); reshardCollection would write all of it anew"
        )
    return ExitCode.PENDING if left else ExitCode.OK


def _table(found: Sequence[Sharding]) -> Table:
    rows = [_row(each) for each in found]
    names = (Name("alias"), Name("collection"))
    return Table((*names, *map(Prose, ("declared", "actual", "state", "documents"))), rows)


def _row(each: Sharding) -> tuple[Cell, ...]:
    documents = ", ".join(f"{shard}: {count:,}" for shard, count in sorted(each.documents.items()))
    state = each.state if each.obstacle is None else f"{each.state}; {each.obstacle}"
    return (
        each.alias,
        each.collection,
        str(each.declared or ""),
        str(each.actual or ""),
        Styled(state, _STYLES.get(each.state, "yellow")),
        documents,
    )
