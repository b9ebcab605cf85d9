"""How does mypy get to know the names that MongoEngine makes of a model's fields?

    [tool.mypy]
    plugins = ["datalayer.mypy_plugin"]

``hooks`` says where mypy asks; ``signatures`` gives a call the keywords that its model has;
``keywords`` knows what a keyword of a filter or an update leads to and takes, ``paths`` how names
lead into lists, mappings and parts; ``models`` tells the fields of a class.

Nothing of datalayer imports this: mypy does, and only then has it to be installed.
"""

from __future__ import annotations

from mypy.plugin import Plugin

from datalayer import __version__ as __version__  # another one makes mypy's caches void
from datalayer.mypy_plugin.hooks import DatalayerPlugin


def plugin(version: str) -> type[Plugin]:
    """What mypy calls, with its own version."""
    return DatalayerPlugin
