"""What flask-mongoengine's object offered besides connecting, so that ``db.Document`` and
``db.StringField`` of an application that comes from there go on."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_DOCUMENTS = "datalayer.documents"
_OURS = {
    "BaseQuerySet": (_DOCUMENTS, "QuerySet"),
    "Document": (_DOCUMENTS, "Document"),
    "DynamicDocument": (_DOCUMENTS, "DynamicDocument"),
    "DynamicEmbeddedDocument": (_DOCUMENTS, "DynamicEmbeddedDocument"),
    "EmbeddedDocument": (_DOCUMENTS, "EmbeddedDocument"),
    "QuerySet": (_DOCUMENTS, "QuerySet"),
}
_WHO_CONNECTS = frozenset({"connect", "disconnect", "disconnect_all", "register_connection"})


def mongoengine_name(name: str) -> Any:
    """What ``name`` stands for: datalayer's documents and querysets, all else MongoEngine's.

    Raises:
        AttributeError: for what neither has, and for what connects: that is the extension's.
    """
    if name in _WHO_CONNECTS:
        raise AttributeError(
            f"DataLayer has no {name}(): it connects by itself, each alias that the settings name"
        )
    home, own_name = _OURS.get(name, ("mongoengine", name))
    found = getattr(import_module(home), own_name, None)
    if found is None or name.startswith("_"):
        raise AttributeError(f"neither DataLayer nor MongoEngine has {name!r}")
    return found
