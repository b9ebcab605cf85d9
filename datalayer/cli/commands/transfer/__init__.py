"""``datalayer transfer``: plans, runs, verifies and takes back moves of documents between
databases."""

from datalayer.cli.commands.transfer.command import add_to

__all__ = ["add_to"]
