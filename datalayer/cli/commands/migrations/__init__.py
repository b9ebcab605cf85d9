"""``datalayer migrations``: plans, applies and undoes changes of the shape of documents."""

from datalayer.cli.commands.migrations.command import add_to

__all__ = ["add_to"]
