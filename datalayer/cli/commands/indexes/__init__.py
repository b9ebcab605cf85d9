"""``datalayer indexes``: ``command`` reads the command line, ``comparing`` shows differences and
removes them, and ``hidden`` brings hidden indexes back or drops them."""

from datalayer.cli.commands.indexes.command import add_to

__all__ = ["add_to"]
