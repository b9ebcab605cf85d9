"""Fields that a dynamic document has and its class doesn't, when the document is read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bson import SON

from datalayer.documents.engine import slots
from datalayer.documents.rollback.snapshots import snapshot


@contextmanager
def forgetting(document: Any, names: Sequence[str] = ()) -> Iterator[Callable[[], Any]]:
    """Let a dynamic document forget its own fields, or those called ``names``, before it is read
    again: MongoEngine keeps those that the database doesn't have.

    What it gives undoes it, and so does an error."""
    own = [name for name in document._dynamic_fields if not names or name in names]
    if not own:
        yield lambda: None
        return
    put_back = snapshot(document)
    kept = [(name, field) for name, field in document._dynamic_fields.items() if name not in own]
    slots.dynamic_fields(document, SON(kept))
    ordered = tuple(name for name in document._fields_ordered if name not in own)
    document.__dict__["_fields_ordered"] = ordered
    for name in own:
        document._data.pop(name, None)
        document.__dict__.pop(name, None)
    try:
        yield put_back
    except BaseException:
        put_back()
        raise
