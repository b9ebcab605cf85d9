"""No write puts a part of a document, which is all that was loaded, in the place of the whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mongoengine import EmbeddedDocument
from mongoengine.base import BaseDocument

from datalayer.documents.engine import PartialData
from datalayer.documents.partial import partial_documents, stale
from datalayer.documents.partial.partial_documents import Partial, projection_in
from datalayer.documents.partial.projections import Projection


def refuse_whole(document: Any) -> None:
    """Refuse to insert a document that would lack what wasn't loaded of it.

    Raises:
        StaleDocumentError: before anything is sent.
    """
    is_part = type(document._data) is PartialData
    if (is_part or partial_documents.some_are_parts) and _lacks_some(document):
        raise stale.error(
            document,
            document.pk,
            "was loaded in part, by only(), exclude() or fields(), so that storing it anew would "
            "leave a fragment; nothing was written. Load all of it first, with reload()",
        )


def refuse_fragments(document: Any, paths: Iterable[str]) -> None:
    """Refuse changes at ``paths`` that would overwrite what wasn't loaded of a value.

    Raises:
        StaleDocumentError: before anything is sent.
    """
    if type(document._data) is not PartialData and not partial_documents.some_are_parts:
        return
    for path in paths:
        if _overwrites(document, path.split(".")):
            raise stale.error(
                document,
                document.pk,
                f"was loaded with a part of {path}, by only(), exclude() or fields(), so that "
                "saving the change would lose the rest; nothing was written. Load all of it "
                "first, with reload(), or use update()",
            )


def with_shard_key(document: Any, doc: Any) -> Any:
    """What is stored of ``document``, with the values that the server finds its shard by."""
    if type(document._data) is not PartialData or not document._meta.get("shard_key"):
        return doc
    for path in document._meta["shard_key"]:
        getattr(document, path.partition(".")[0])
    return document.to_mongo()


def _overwrites(document: Any, parts: list[str]) -> bool:
    here: Any = document
    loaded: bool | Projection = True
    for part in parts:
        if isinstance(here, BaseDocument):
            known = projection_in(here) if isinstance(here, Partial) else loaded
            loaded = known.of(part) if isinstance(known, Projection) else True
            if loaded is False and not isinstance(here, Partial):
                return True  # MongoEngine's own doesn't know what it lacks
            here = dict.get(here._data, here._reverse_db_field_map.get(part, part))
        elif isinstance(here, list) and part.isdigit():
            here = list.__getitem__(here, int(part)) if int(part) < len(here) else None
            if isinstance(loaded, Projection) and not isinstance(here, EmbeddedDocument):
                return True  # the server leaves out items that hold nothing of it
        elif isinstance(here, dict):
            loaded = loaded.of(part) if isinstance(loaded, Projection) else loaded
            here = dict.get(here, part)
        if isinstance(loaded, Projection) and loaded.is_slice:
            return True
    return _holds_part(loaded, here)


def _holds_part(loaded: bool | Projection, value: Any) -> bool:
    """Whether ``value``, of which ``loaded`` was asked for, lacks something that is stored.

    A loop rather than a recursion: what is refused for its levels only afterwards may have
    more of them than the stack has room for.
    """
    waiting = [(loaded, value)]
    while waiting:
        loaded, value = waiting.pop()
        is_part = isinstance(loaded, Projection)
        if isinstance(value, EmbeddedDocument):
            if _lacks_some(value) or (is_part and not isinstance(value, Partial)):
                return True
        elif isinstance(value, list):
            items = list(list.__iter__(value))
            are_documents = [isinstance(item, EmbeddedDocument) for item in items]
            if isinstance(loaded, Projection) and (loaded.is_slice or not all(are_documents)):
                return True
            waiting.extend(
                (loaded if is_document else True, item)
                for item, is_document in zip(items, are_documents, strict=True)
            )
        elif isinstance(value, dict):
            if is_part:
                return True
            waiting.extend((True, item) for item in dict.values(value))
    return False


def _lacks_some(document: Any) -> bool:
    data = document._data
    projection = projection_in(document)
    if projection is not None and any(map(data.lacks, data.loaded.absent)):
        return True
    names = document._db_field_map
    return any(
        _holds_part(True if projection is None else projection.of(names.get(name, name)), value)
        for name, value in dict.items(data)
    )
