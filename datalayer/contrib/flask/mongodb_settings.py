"""Flask-MongoEngine's settings in datalayer's variables: ``MONGODB_SETTINGS``, which held keyword
arguments of ``mongoengine.connect``, one mapping for each alias, and keys for one database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from datalayer.settings.mongoengine.connect_arguments import variables_of_connects, with_plain_keys
from datalayer.settings.mongoengine.flat_keys import FLAT_KEYS, unheeded
from datalayer.settings.parsing import Given
from datalayer.settings.unknown_variables import looks_like

OLDER_KEY = "MONGODB_SETTINGS"
_EXAMPLE = "MONGODB_URI=mongodb://user:password@host:27017/name?authSource=admin"


def variables_of_mongodb_settings(value: Any, problems: list[str]) -> dict[str, str]:
    """``MONGODB_SETTINGS`` as variables: a URI for each alias, and the names of further aliases.

    ``None`` stands for no such setting; what can't be carried over is added to ``problems``.
    """
    if value is None:
        return {}
    entries = [value] if isinstance(value, Mapping) else value
    if not isinstance(entries, (list, tuple)) or not all(
        isinstance(entry, Mapping) for entry in entries
    ):
        problems.append(f"{OLDER_KEY} must be a dict or a list of dicts, one for each database")
        return {}
    connects = [with_plain_keys(entry) for entry in entries]
    return variables_of_connects(
        ((str(each.get("alias", "default")), each) for each in connects), OLDER_KEY, problems
    )


def problems_of_flat_keys(
    config: Mapping[str, Any], known: Set[str], *, has_uri: bool
) -> Iterator[str]:
    """A problem for keys of one database in ``config`` that say something and are not read."""
    flat = sorted(FLAT_KEYS & set(config))
    if flat and not has_uri:
        yield (
            f"app.config has {', '.join(flat)}, flask-mongoengine's flat settings; write them as "
            f"one URI: {_EXAMPLE}"
        )
        return
    texts = {n: Given(str(config[n]), "app.config") for n in (*flat, "MONGODB_URI") if n in config}
    for problem in unheeded(texts):
        yield f"app.config: {problem}"
    for name in sorted(set(config) - known - FLAT_KEYS):
        near = looks_like(name, [*FLAT_KEYS, OLDER_KEY], len("MONGODB_"))
        if name.startswith("MONGODB_") and near is not None and name != OLDER_KEY:
            also = "" if near == OLDER_KEY else f"; that is not read either: write {_EXAMPLE}"
            yield f"app.config: {name} is not read; did you mean {near}?{also}"
