"""Where do operations go in the present context? For each alias, to which alias and which database
of its server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from datalayer.context.stack import ContextStack


class Place(NamedTuple):
    """An alias, and a database of its server."""

    alias: str
    database: str | None = None
    """``None`` for the alias's own."""


ORIGIN = ""
"""The key, no alias's name, of the place where a document lies whose references are followed."""

places: ContextStack[Mapping[str, Place]] = ContextStack("datalayer_using", copies_keep=True)
"""By alias, where its operations go."""


def place_from(told: Any) -> Place:
    """What an application said: an alias, or an alias and a database.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(told, Place):
        return told
    if isinstance(told, str):
        return Place(told)
    match told:
        case (str(alias), str(database)):
            return Place(alias, database)
    raise TypeError(
        "operations go to an alias, or to a database as (alias, database), both as text; "
        f"a {type(told).__name__} is neither"
    )
